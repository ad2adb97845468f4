"""Key names: `purpose/domain`, checked before they become a path of a vault."""

from __future__ import annotations

import re

from wardlake.model.errors import KeysUnavailable

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(/[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*")


def check_key_name(name: str) -> str:
    """The name itself; raises `KeysUnavailable` for one that no vault can hold."""
    if not _NAME.fullmatch(name):
        raise KeysUnavailable("This is not a key's name.", next_step="Name keys purpose/domain, of letters, digits, '_' and '-'.")
    return name
