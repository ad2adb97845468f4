"""Foreign keys: measured on source and output, and proven equal."""
