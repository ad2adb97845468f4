"""Tokens that keep an identifier's format: digits stay digits, letters letters of their case, separators where they are.

FF1 (NIST SP 800-38G) under a key of its own. All values of one format make up one domain, and FF1 permutes it: two values never
share a token, and a token never leaves its format. Text of digits alone, or of letters alone, is one FF1 numeral string. Mixed
text is numbered within its format, permuted as a bit string, and permuted again until the number lies within the format
(cycle walking). The format is the tweak, so that equal digits in two formats have unrelated tokens.

A format of fewer than a million values is refused: SP 800-38G asks for that many, since fewer can be tried one by one.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Iterator
from math import prod

import pandas as pd
import pyspark.sql.functions as F
from fastfpe import ff1
from pyspark.sql import Column
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import StringType

from wardlake.model.errors import ConfigurationError
from wardlake.tokens.keyed import KEYS
from wardlake.tokens.keyring import KeyRing, KeyUse

SMALLEST_DOMAIN = 1_000_000
_SEPARATORS = frozenset(string.punctuation + " ")
ALPHABETS = {"9": string.digits, "a": string.ascii_lowercase, "A": string.ascii_uppercase}


def format_token_column(value: Column, *, domain: str) -> Column:
    """The format-preserving token of a text column; needs `attach_keys`. Null stays null, empty text stays empty.

    The key comes to the worker as a column. Each distinct value of a batch is computed once. The job fails,
    naming no value, where a value's format holds fewer than a million values or has a character that is no ASCII letter,
    digit or separator: `require_wide_formats` tells before.
    """
    key = F.col(KEYS).getField(f"{domain}/{KeyUse.FORMAT.value}/inner")
    return F.when(value == "", value).otherwise(_encrypt_batch()(value, key))


def find_narrow_formats(value: Column) -> Column:
    """True where `format_token_column` would refuse the value; for a check before the run."""
    digits = F.length(F.regexp_replace(value, "[^0-9]", ""))
    letters = F.length(F.regexp_replace(value, "[^A-Za-z]", ""))
    size = F.pow(F.lit(10.0), digits) * F.pow(F.lit(26.0), letters)
    strange = F.regexp_replace(value, r"[ -~]", "") != ""
    return (value != "") & (strange | (size < SMALLEST_DOMAIN))


def format_token_of(ring: KeyRing, value: str, *, domain: str) -> str:
    """The token of one value; raises `ConfigurationError` for a format that cannot be kept safely."""
    return keep_format(value, ring.subkey(domain, KeyUse.FORMAT).hex()) if value else value


def keep_format(value: str, key: str) -> str:
    """The value's token under `key` (hexadecimal, 256 bits)."""
    shape = format_of(value)
    alphabets = [ALPHABETS[mark] for mark in shape if mark in ALPHABETS]
    tweak = hashlib.sha256(shape.encode()).hexdigest()[:32]
    characters = [c for c, mark in zip(value, shape, strict=True) if mark in ALPHABETS]
    if len(set(alphabets)) == 1:
        token: Iterator[str] = iter(ff1.encrypt(key, tweak, alphabets[0], "".join(characters)))
    else:
        token = iter(_permute_mixed(characters, alphabets, key, tweak))
    return "".join(next(token) if mark in ALPHABETS else mark for mark in shape)


def format_of(value: str) -> str:
    """The format: `9`, `a` and `A` for digit and letters, separators as they are.

    Raises `ConfigurationError` where it has another character or holds fewer than a million values. A digit or letter is never
    a separator, so the marks are unambiguous.
    """
    shape = "".join(_mark(character) for character in value)
    if prod(len(ALPHABETS[mark]) for mark in shape if mark in ALPHABETS) < SMALLEST_DOMAIN:
        raise ConfigurationError(
            what="A format token needs a format of at least a million values.", next_step="use the rule token for this column"
        )
    return shape


def _permute_mixed(characters: list[str], alphabets: list[str], key: str, tweak: str) -> list[str]:
    size = prod(map(len, alphabets))
    bits = (size - 1).bit_length()
    number = 0
    for character, alphabet in zip(characters, alphabets, strict=True):
        number = number * len(alphabet) + alphabet.index(character)
    while True:
        number = int(ff1.encrypt(key, tweak, "01", format(number, f"0{bits}b")), 2)
        if number < size:
            return _spell(number, alphabets)


def _spell(number: int, alphabets: list[str]) -> list[str]:
    characters: list[str] = []
    for alphabet in reversed(alphabets):
        number, index = divmod(number, len(alphabet))
        characters.append(alphabet[index])
    return characters[::-1]


def _mark(character: str) -> str:
    for mark, alphabet in ALPHABETS.items():
        if character in alphabet:
            return mark
    if character in _SEPARATORS:
        return character
    raise ConfigurationError(
        what="A format token keeps ASCII letters, digits and separators only.", next_step="use the rule token for this column"
    )


def _encrypt_batch() -> Callable[[Column, Column], Column]:
    def encrypt(values: pd.Series, pads: pd.Series) -> pd.Series:
        if values.empty:
            return values
        key = bytes(byte ^ 0x36 for byte in pads.iloc[0][:32]).hex()
        distinct = values.dropna().unique()
        tokens = {value: keep_format(value, key) if value else value for value in distinct}
        return pd.Series([tokens.get(value) for value in values], dtype="object")  # a map of nulls alone has no texts' type

    encrypting: Callable[[Column, Column], Column] = pandas_udf(encrypt, StringType())  # type: ignore[call-overload]
    return encrypting
