"""Shared: staging, residue scan, references, contracts, one pointer."""
