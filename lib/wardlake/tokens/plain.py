"""The tokens of single values in plain Python, identical to those of the Spark expressions: for free text and audits."""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Any

from pyspark.sql.types import BinaryType, DataType, DecimalType, IntegerType, LongType, StringType

from wardlake.model.errors import ConfigurationError
from wardlake.tokens.keyed import TOKEN_HEX, UUID_LENGTH
from wardlake.tokens.keyring import KeyRing, KeyUse, hmac_pads
from wardlake.tokens.permutation import permute_number

_UUID_HYPHENS = (8, 23)


def token_of(ring: KeyRing, value: Any, data_type: DataType, *, domain: str, prefix: str = "") -> Any:
    """What `token_column` gives for one value of that type."""
    if value is None:
        return None
    match data_type:
        case StringType():
            return _text_token(ring, value, domain, prefix)
        case BinaryType():
            return bytes.fromhex(_digest(ring, bytes(value), domain, KeyUse.TOKEN)[:TOKEN_HEX])
        case IntegerType() | LongType():
            return permute_number(value, data_type, _number_pad(ring, domain))
        case DecimalType():
            return Decimal(permute_number(int(value), data_type, _number_pad(ring, domain)))
        case _:
            raise ConfigurationError(what=f"There is no token of type {data_type.simpleString()}.")


def digest_of(ring: KeyRing, value: str | bytes, *, domain: str, label: str) -> str:
    """What `digest_column` gives for one value."""
    data = value.encode() if isinstance(value, str) else value
    return _digest(ring, data, domain, KeyUse(label))


def spell(digits: str, hyphen: str) -> str:
    """32 hexadecimal digits as a token without a prefix, as `spell_token` makes it."""
    return hyphen.join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:32]))


def is_uuid_shaped(value: str) -> bool:
    """Whether `looks_like_uuid` holds."""
    first, last = _UUID_HYPHENS
    return len(value.encode()) == UUID_LENGTH and value.find("-") == first and value[last : last + 1] == "-"


def _text_token(ring: KeyRing, value: str, domain: str, prefix: str) -> str:
    if value == "":
        return ""
    digits = _digest(ring, value.encode(), domain, KeyUse.TOKEN)[:TOKEN_HEX]
    if prefix:
        return prefix + digits
    return spell(digits, "-" if is_uuid_shaped(value) else "")


def _digest(ring: KeyRing, data: bytes, domain: str, use: KeyUse) -> str:
    return hmac.new(ring.subkey(domain, use), data, hashlib.sha256).hexdigest()


def _number_pad(ring: KeyRing, domain: str) -> bytes:
    return hmac_pads(ring.subkey(domain, KeyUse.NUMBER))[0]
