"""Shared: keyed and random tokens, purposes, domains, rotation, mapping, audited re-identification."""
