"""Entitlements compiled into the rules that the warehouse reads: pure, from values to values."""
