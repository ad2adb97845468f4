"""Secrets by reference: `env:NAME` or `file:PATH`."""

from __future__ import annotations

import os
from pathlib import Path

from wardlake.model.errors import ConfigurationError


def resolve(reference: str) -> str:
    """What the reference leads to; an empty reference is an empty secret. The error names the reference, never the secret."""
    if not reference:
        return ""
    scheme, _, place = reference.partition(":")
    match scheme:
        case "env" if place in os.environ:
            return os.environ[place]
        case "file" if (text := _text_of(Path(place))) is not None:
            return text.strip()
    raise ConfigurationError(
        what="A secret that the configuration refers to is not there.",
        next_step=f"provide {reference if scheme in ('env', 'file') else 'it as env:NAME or file:PATH'}",
    )


def _text_of(path: Path) -> str | None:
    """None where there is no such file, or one that is not for this user or holds no text."""
    try:
        return path.read_text("utf-8")
    except (OSError, ValueError):
        return None
