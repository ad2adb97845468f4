"""Time zones in which a test that starts before midnight does not end after it."""

from __future__ import annotations

from datetime import UTC, datetime


def where_it_is_noon() -> str:
    """A time zone in which no day ends within eleven hours; the signs of these names are inverted."""
    return f"Etc/GMT{datetime.now(UTC).hour - 12:+d}"
