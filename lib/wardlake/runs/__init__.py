"""Shared: plans as data, locks, resume, audit first."""
