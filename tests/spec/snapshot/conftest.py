"""The place that snapshots are tried in."""

from tests.spec.snapshot.lab import lab

__all__ = ["lab"]
