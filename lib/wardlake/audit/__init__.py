"""Shared: events, hash chain, archive, retention, the questions a regulator asks."""
