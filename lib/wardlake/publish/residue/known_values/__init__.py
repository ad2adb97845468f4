"""Identifiers of the source as keyed hashes: collected, indexed, and matched in output."""
