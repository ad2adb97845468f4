"""Names and texts as the engine's expressions write them."""

from __future__ import annotations


def quote_name(name: str) -> str:
    """One column or field name in backticks, those in it doubled, so that any name is only a name."""
    return f"`{name.replace('`', '``')}`"


def quote_text(text: str) -> str:
    """A text as a literal, so that whatever it holds is only a text."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
