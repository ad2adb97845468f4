"""Commitments: what leaves the raw zone instead of a hash.

A hash of a small count can be guessed, and today's row sum minus yesterday's is the hash of the one new row. A commitment
is a HMAC under a secret of the snapshot: it says nothing until the owner reveals secret and content to a regulator.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

from wardlake.audit.canonical import canonical_json

SECRET_BYTES = 32
_LABEL = b"wardlake commitment 1\x00"


def commit(secret: bytes, content: Any) -> str:
    """HMAC-SHA256 in hex over the canonical JSON of `content`; `secret` has at least 256 bits and serves one snapshot.

    Raises `ValueError` for a shorter secret.
    """
    if len(secret) < SECRET_BYTES:
        raise ValueError("a commitment's secret has at least 256 bits")
    return hmac.new(secret, _LABEL + canonical_json(content), hashlib.sha256).hexdigest()


def verify_commitment(secret: bytes, content: Any, commitment: str) -> bool:
    """Whether `commitment` was made of this content under this secret."""
    return hmac.compare_digest(commit(secret, content).encode(), commitment.encode())
