"""Shared: thresholds, rounding, suppression, the release ledger. Reserved; ZIP3's allow-list is its first reference table."""
