"""Shared: identifiers in content. Patterns with checksums, dictionaries, and one pass over a table that applies them all."""
