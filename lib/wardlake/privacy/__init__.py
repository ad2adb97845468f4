"""Shared: noise, accounting, the budget ledger. Reserved for the studies and the learning platform."""
