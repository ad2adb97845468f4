"""One way to write a text: a note and the identifiers looked for in it are folded alike before they are compared."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator

import pandas as pd
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.pandas.functions import pandas_udf
from pyspark.sql.types import ArrayType, StringType

_APOSTROPHES = "\u2018\u2019\u201b\u02bc\u02b9\u2032\u00b4`"  # in names: D'Arcy, O'Hara
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043"
_SPACES = "\t\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u3000"
_INVISIBLE = "\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
_FULL_WIDTH = range(0xFF01, 0xFF5F)
_PLANE = 0x10000


def fold_text(text: Column) -> Column:
    """A text with apostrophes, dashes, spaces, digits and full-width letters as ASCII has them, invisible characters gone.

    Native and cheap. Accents stay as they are stored: what is looked for is looked for in both ways (`stored_forms`).
    """
    return F.translate(text, _FROM + _INVISIBLE, _TO)


def stored_forms(text: Column) -> Column:
    """The ways in which Unicode stores a text, folded: as it is, accents composed (NFKC) and apart (NFD); no two the same."""
    return F.transform(_forms(text), fold_text)


def _both(texts: pd.Series) -> pd.Series:
    return pd.Series([_forms_of(text) if isinstance(text, str) else None for text in texts], dtype="object")


def _forms_of(text: str) -> list[str]:
    composed = unicodedata.normalize("NFKC", text)
    return list(dict.fromkeys([text, composed, unicodedata.normalize("NFD", composed)]))


def _folded() -> Iterator[tuple[str, str]]:
    yield from ((each, "'") for each in _APOSTROPHES)
    yield from ((each, "-") for each in _DASHES)
    yield from ((each, " ") for each in _SPACES)
    yield from ((chr(code), chr(code - 0xFEE0)) for code in _FULL_WIDTH)
    others = (chr(code) for code in range(128, _PLANE) if chr(code).isdecimal() and code not in _FULL_WIDTH)
    yield from ((each, str(int(each))) for each in others)


_FROM, _TO = ("".join(part) for part in zip(*_folded(), strict=True))
_forms = pandas_udf(_both, ArrayType(StringType()))  # type: ignore[call-overload]
