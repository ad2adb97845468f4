"""Keyed permutations of whole numbers: a bigint stays a bigint, and two identifiers never share a token.

A Feistel network in the manner of FF1 (NIST SP 800-38G): the number is split in two halves, and each round adds to one half
a keyed function of the other. Every round can be undone, so the whole is a permutation whatever the round function is.

The round function is the inner half of HMAC-SHA256, `SHA-256(inner pad || round || half)`. HMAC's outer half guards against
messages of many lengths; here every message is exactly one padded block, for which the inner half alone is a pseudorandom
function (Bellare, Canetti, Krawczyk 1996, the cascade construction), at half the cost.

Eight rounds, as in FF3-1. The best generic attack known on a Feistel network of r rounds over halves of size N needs about
N^(r-4) known pairs (Patarin 2001), which from six rounds on is the whole range, N^2; two more are the margin.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

import pyspark.sql.functions as F
from pyspark.sql import Column
from pyspark.sql.types import DataType, DecimalType, IntegerType, LongType

from wardlake.model.errors import ConfigurationError

ROUNDS = 8
SMALLEST_DIGITS = 6  # fewer than a million values can be tried one by one
_LONG_HALF = 10**18  # halves up to this size are bigints, larger ones decimals
_PIECE = 10**9
BITS = {IntegerType: 31, LongType: 63}


@dataclass(frozen=True, slots=True)
class Split:
    """How a range is cut in two halves: the sizes of the high and of the low one."""

    name: str
    high: int
    low: int

    def rounds(self) -> Iterator[tuple[bytes, int]]:
        """The label of each round and the size of the half that it changes, high first."""
        for number in range(ROUNDS):
            yield f"{self.name}:{number}:".encode(), self.low if number % 2 else self.high


def split_of(data_type: DataType) -> Split:
    """The halves of a type's non-negative range; raises `ConfigurationError` where that is no range to permute."""
    match data_type:
        case IntegerType() | LongType():
            bits = BITS[type(data_type)]
            return Split(f"b{bits}", 2 ** (bits // 2), 2 ** (bits - bits // 2))
        case DecimalType() if data_type.scale == 0 and data_type.precision >= SMALLEST_DIGITS:
            high = data_type.precision // 2
            return Split(f"d{data_type.precision}", 10**high, 10 ** (data_type.precision - high))
        case _:
            raise ConfigurationError(
                what=f"Numbers of type {data_type.simpleString()} cannot be permuted.",
                next_step="use int, bigint, or decimal(p,0) with at least six digits",
            )


def permute_integer(value: Column, data_type: DataType, *, pad: Column, nested: bool = False) -> Column:
    """A bijection of the type's range under `pad`; negatives stay negative, null stays null.

    A negative number is permuted as its complement, by rounds that differ from those of the others. Written out, each round
    names the one before twice, which Spark computes once at the top of a projection only; `nested` puts the rounds into one
    `aggregate` instead, for use inside lambdas and conditions.
    """
    split = split_of(data_type)
    width = split.low.bit_length() - 1
    number = value.cast("bigint")
    sign = F.shiftright(number, 63)
    plain = number.bitwiseXOR(sign)
    high, low = F.shiftright(plain, width), plain.bitwiseAND(split.low - 1)

    def change(half: Column, other: Column, label: Column, size: Column) -> Column:
        digest = _round_digest(pad, label, other.bitwiseXOR(sign))
        return half.bitwiseXOR(F.crc32(F.unhex(digest)).bitwiseAND(size - 1))

    def join(high: Column, low: Column) -> Column:
        return F.shiftleft(high, width).bitwiseOR(low).bitwiseXOR(sign).cast(data_type)

    if nested:
        return F.aggregate(
            _rounds(split),
            F.struct(high.alias("a"), low.alias("b")),
            lambda s, r: F.struct(s["b"].alias("a"), change(s["a"], s["b"], r["label"], r["size"]).alias("b")),
            lambda s: join(s["a"], s["b"]),
        )
    for label, size in split.rounds():
        high, low = low, change(high, low, F.lit(label), F.lit(size).cast("bigint"))
    return join(high, low)


def permute_decimal(value: Column, data_type: DecimalType, *, pad: Column) -> Column:
    """A bijection of the whole numbers of at most `precision` digits under `pad`; sign and null stay.

    No negative number is zero, so one that would become zero takes what zero becomes (one step of cycle walking).
    """
    split = split_of(data_type)
    half = "bigint" if split.low <= _LONG_HALF else "decimal(20,0)"
    low_digits = len(str(split.low)) - 1
    high_digits = data_type.precision - low_digits
    mark = F.when(value < 0, F.lit(b"-")).otherwise(F.lit(b"+"))

    def step(state: Column, this: Column) -> Column:
        digest = _round_digest(pad, F.concat(this["label"], mark), state["b"])
        size = this["size"].cast(half)
        return F.struct(state["b"].alias("a"), ((state["a"] + _draw(digest, this, half)) % size).cast(half).alias("b"))

    def joined(state: Column, sign: str = "") -> Column:
        low = F.lpad(state["b"].cast("string"), low_digits, "0")
        return F.concat(F.lit(sign), state["a"].cast("string"), low).cast(data_type)

    def signed(state: Column) -> Column:
        zero = F.struct(F.lit(0).cast(half).alias("a"), F.lit(0).cast(half).alias("b"))
        of_zero = F.aggregate(_rounds(split), zero, step, lambda end: joined(end, "-"))
        is_zero = (state["a"] == 0) & (state["b"] == 0)
        return F.when(value >= 0, joined(state)).when(is_zero, of_zero).otherwise(joined(state, "-"))

    # as text: Spark negates and divides decimals to 34 digits only
    text = F.lpad(F.replace(value.cast("string"), F.lit("-"), F.lit("")), data_type.precision, "0")
    start = F.struct(
        F.left(text, F.lit(high_digits)).cast(half).alias("a"), F.right(text, F.lit(low_digits)).cast(half).alias("b")
    )
    return F.aggregate(_rounds(split), start, step, signed)


def permute_number(value: int, data_type: DataType, key_pad: bytes) -> int:
    """What the two columns above give for one number; for free text and audits."""
    split = split_of(data_type)
    decimal = isinstance(data_type, DecimalType)
    if not decimal:
        return ~_walk(~value, split, key_pad, complement=True) if value < 0 else _walk(value, split, key_pad)
    image = _walk(abs(value), split, key_pad, mark=b"-" if value < 0 else b"+")
    if value < 0 and image == 0:
        image = _walk(0, split, key_pad, mark=b"-")
    return -image if value < 0 else image


def _walk(number: int, split: Split, pad: bytes, *, mark: bytes = b"", complement: bool = False) -> int:
    a, b = divmod(number, split.low)
    for label, size in split.rounds():
        text = str(~b if complement else b).encode()
        digest = hashlib.sha256(pad + label + mark + text).digest()
        if mark:
            first, rest = int(digest.hex()[:15], 16), int(digest.hex()[15:30], 16)
            a, b = b, (a + first % max(size // _PIECE, 1) * _PIECE + rest % min(size, _PIECE)) % size
        else:
            a, b = b, a ^ (zlib.crc32(digest) & (size - 1))
    return a * split.low + b


def _rounds(split: Split) -> Column:
    """The rounds as an array: a constant expression, however many rounds there are."""
    wide = split.low > _LONG_HALF
    rounds = [
        F.struct(
            F.lit(label).alias("label"),
            (F.lit(Decimal(size)).cast("decimal(20,0)") if wide else F.lit(size).cast("bigint")).alias("size"),
            F.lit(max(size // _PIECE, 1)).cast("bigint").alias("first"),
            F.lit(min(size, _PIECE)).cast("bigint").alias("rest"),
        )
        for label, size in split.rounds()
    ]
    return F.array(*rounds)


def _round_digest(pad: Column, label: Column, half: Column) -> Column:
    return F.sha2(F.concat(pad, label, half.cast("string").cast("binary")), 256)


def _draw(digest: Column, this: Column, half: str) -> Column:
    """A number below the round's size from two 60-bit pieces of the digest; the bias is below 1e-8."""
    first = F.conv(F.substring(digest, 1, 15), 16, 10).cast("bigint") % this["first"]
    rest = F.conv(F.substring(digest, 16, 15), 16, 10).cast("bigint") % this["rest"]
    return (first.cast(half) * F.lit(_PIECE).cast(half) + rest).cast(half)
