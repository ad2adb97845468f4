"""Finding and opening one row of a mapping, for an approved re-identification and for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyspark.sql.functions as F
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyspark.sql import Row

from wardlake.model.errors import ContractBroken, VerificationFailed
from wardlake.model.treatments import TokenMode
from wardlake.ports.keys import Keys
from wardlake.tokens.forms import bare_token
from wardlake.tokens.mapping import Mappings

_NONCE = 12  # bytes in front of what aes_encrypt writes in GCM mode
_MOST_TOLD = 20  # rows that a refusal lists


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """What is known of a token beside its text; what is empty is not known. Numbers and formats may need it to be told apart."""

    key_version: int | None = None
    kind: str = ""  # the column's type: `int`, `bigint`, `decimal(12,0)`; `text`, `binary`; `format` for a format token
    mode: TokenMode | None = None

    @property
    def flags(self) -> str:
        """As a person types it."""
        return f"--key-version {self.key_version} --kind '{self.kind}' --mode {self.mode}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedIdentifier:
    """The one row of a mapping that a token leads to, still encrypted."""

    purpose: str
    domain: str
    origin: Origin
    wrapping_key: str
    lookup: bytes = field(repr=False)
    value: bytes = field(repr=False)
    data_key: str = field(repr=False)


def locate_identifier(mappings: Mappings, domain: str, token: str, known: Origin | None = None) -> SealedIdentifier:
    """The row behind a token in any of its forms, of any mode and key version; nothing is decrypted.

    Raises `ContractBroken` where the mapping holds no such token, or several identifiers for it, as it may for numbers and
    formats: the message then says what tells them apart.
    """
    rows = mappings.read(domain).filter(F.col("token").isin(*bare_token(token)))
    known = known or Origin()
    wanted = {"key_version": known.key_version, "kind": known.kind, "mode": known.mode and known.mode.value}
    for column, value in wanted.items():
        rows = rows.filter(F.col(column) == value) if value else rows
    found = rows.select("lookup", "value", "data_key", *wanted).limit(_MOST_TOLD).collect()
    which = f"{mappings.purpose}/{domain}"
    if not found:
        raise ContractBroken("The mapping holds no such token.", which=[which], next_step="check token, purpose and domain")
    if len(found) > 1:
        raise _several(which, found)
    return SealedIdentifier(
        purpose=mappings.purpose,
        domain=domain,
        origin=_origin(found[0]),
        wrapping_key=mappings.wrapping_key,
        lookup=bytes(found[0]["lookup"]),
        value=bytes(found[0]["value"]),
        data_key=found[0]["data_key"],
    )


def open_identifier(keys: Keys, sealed: SealedIdentifier) -> str:
    """The identifier. Decrypted in this process: it enters no Spark job."""
    plain = keys.unwrap(sealed.wrapping_key, sealed.data_key)
    try:
        return AESGCM(plain).decrypt(sealed.value[:_NONCE], sealed.value[_NONCE:], sealed.lookup).decode()
    except InvalidTag:
        raise VerificationFailed("The mapping's row was changed.", which=[f"{sealed.purpose}/{sealed.domain}"]) from None


def _origin(row: Row) -> Origin:
    return Origin(key_version=int(row["key_version"]), kind=str(row["kind"]), mode=TokenMode(row["mode"]))


def _several(which: str, found: Sequence[Row]) -> ContractBroken:
    return ContractBroken(
        "The token stands for several identifiers.",
        which=[f"{which}: {flags}" for flags in sorted(_origin(row).flags for row in found)],
        next_step="add the line that fits: mode and key versions stand in the dataset's record, the kind is the column's type",
    )
