"""The Merkle root over a table version's data files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

_LEAF, _NODE = b"\x00", b"\x01"
EMPTY = hashlib.sha256(b"").hexdigest()


def merkle_root(digests: Iterable[tuple[str, str]]) -> str:
    """The root, in hex, over (path, SHA-256 in hex) pairs in path order (RFC 6962, 2.1: leaves and nodes are told apart).

    Paths are relative to the table, or the root changes when the table moves. Raises `ValueError` for a path that occurs
    twice and for what is no SHA-256.
    """
    pairs = sorted(digests)
    if len({path for path, _ in pairs}) != len(pairs):
        raise ValueError("a data file is listed twice")
    return _root([_leaf(path, digest) for path, digest in pairs]).hex()


def _leaf(path: str, digest: str) -> bytes:
    name, body = path.encode(), bytes.fromhex(digest)
    if len(body) != hashlib.sha256().digest_size:
        raise ValueError("not a SHA-256")
    return hashlib.sha256(_LEAF + len(name).to_bytes(8, "big") + name + body).digest()


def _root(leaves: Sequence[bytes]) -> bytes:
    """Split at the largest power of two below the count, as the RFC does."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << ((len(leaves) - 1).bit_length() - 1)
    return hashlib.sha256(_NODE + _root(leaves[:half]) + _root(leaves[half:])).digest()
