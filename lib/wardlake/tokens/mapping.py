"""The mapping from token to identifier: restricted, encrypted, complete for every token that a dataset may show.

One Delta table per purpose and domain; grain: one row per identifier, its kind, token mode and key version. A run in a mode sees
the rows of that mode only: a token derived under a key is never shown for one drawn at random (45 CFR 164.514(c)(1)).

An identifier is looked up by a keyed digest, and stands there encrypted (AES-256-GCM, the digest authenticated with it) under
a data key that is stored wrapped by a key that never leaves the vault. Rows are only ever added.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame
from pyspark.sql.types import BinaryType, DataType, StructField, StructType

from wardlake.model.errors import ContractBroken
from wardlake.model.treatments import TokenMode
from wardlake.model.zones import LakeLayout
from wardlake.ports.keys import Keys
from wardlake.ports.tables import Tables
from wardlake.tokens.format_preserving import format_token_column
from wardlake.tokens.forms import bare_column, identifier_text, kind_of
from wardlake.tokens.keyed import attach_keys, detach_keys, digest_column, token_column
from wardlake.tokens.keyring import KeyRing, KeyUse
from wardlake.tokens.one_row import one_row
from wardlake.tokens.random_tokens import draw_column

COLUMNS = ("lookup", "kind", "mode", "token", "value", "data_key", "key_version", "first_seen")
WIDE_KINDS = ("text", "binary")  # kinds whose tokens are drawn from so many that none is drawn twice
_DATA_KEY = "__wardlake_data_key"
_MOST_DRAWS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifiers:
    """The identifiers of one domain found in one column: `rows` has that column alone, repeats and nulls included.

    `unique`: none repeats, which was proven when the rows were read. `column`: the table and column, for messages.
    """

    rows: DataFrame
    keep_format: bool = False
    unique: bool = False
    column: str = ""

    @property
    def data_type(self) -> DataType:
        return self.rows.schema[0].dataType

    @property
    def kind(self) -> str:
        return kind_of(self.data_type, keep_format=self.keep_format)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mappings:
    """The mappings of one purpose: where they lie and what reads and writes them. One writer at a time."""

    tables: Tables
    layout: LakeLayout
    purpose: str

    @property
    def wrapping_key(self) -> str:
        """The vault's name of the key that wraps the data keys."""
        return f"{self.purpose}/mapping"

    def path(self, domain: str) -> str:
        return self.layout.mapping(self.purpose, domain)

    def exists(self, domain: str) -> bool:
        return self.tables.exists(self.path(domain))

    def read(self, domain: str) -> DataFrame:
        """All rows; raises `ContractBroken` where they do not say in which mode their tokens were made."""
        rows = self.tables.read(self.path(domain))
        if "mode" not in rows.columns:
            raise ContractBroken(
                "The mapping is of an earlier layout: it does not say which of its tokens were drawn at random.",
                which=[f"{self.purpose}/{domain}"],
                next_step="begin a new lake; the version that wrote this mapping still reads it",
            )
        return rows

    def rows_of(self, domain: str, *, mode: TokenMode, key_version: int) -> DataFrame:
        """The rows whose tokens a run in this mode shows under this key version."""
        return self.read(domain).filter((F.col("mode") == mode.value) & (F.col("key_version") == key_version))


def update_mapping(
    mappings: Mappings,
    keys: Keys,
    ring: KeyRing,
    domain: str,
    found: Sequence[Identifiers],
    *,
    mode: TokenMode,
    run_id: str,
) -> None:
    """Add every identifier of `found` that the mapping does not hold yet in this mode, under the ring's key version.

    Idempotent: a run killed at any moment and begun again leaves the same rows. Raises `ContractBroken`, naming the domain, where
    two identifiers share a token.
    """
    update = _Update(mappings=mappings, keys=keys, ring=ring, domain=domain, mode=mode, run_id=run_id)
    for kind in dict.fromkeys(each.kind for each in found):
        _add_kind(update, [each for each in found if each.kind == kind])
    check_collisions(mappings, domain)


def check_collisions(mappings: Mappings, domain: str) -> None:
    """Raise `ContractBroken` where two identifiers of the domain have one token.

    Text tokens over all modes and key versions; numbers and formats within each, since a short range holds only so many tokens.
    """
    short = ~F.col("kind").isin(*WIDE_KINDS)
    group = [F.col("token"), *(F.when(short, F.col(name)) for name in ("key_version", "mode", "kind"))]
    rows = mappings.read(domain)
    by_hash = _twice(rows, [F.xxhash64(*group)])
    if not by_hash.isEmpty() and not _twice(rows, group).isEmpty():  # two tokens may share a hash
        raise ContractBroken(
            "Two identifiers have the same token.",
            which=[f"{mappings.purpose}/{domain}"],
            next_step="nothing is published; rotate the domain's key and run again: wardlake keys rotate",
        )


def _twice(rows: DataFrame, group: Sequence[Column]) -> DataFrame:
    return rows.groupBy(*group).agg(F.count("lookup").alias("identifiers")).filter("identifiers > 1")


def lookup_column(value: Column, data_type: DataType, *, domain: str, keep_format: bool = False) -> Column:
    """The keyed digest an identifier is found by; needs `attach_keys`. Null for null and for empty text."""
    kind = kind_of(data_type, keep_format=keep_format)
    text = F.concat(F.lit(f"{kind}\x00"), identifier_text(value, data_type))
    return F.unhex(digest_column(text, domain=domain, label=KeyUse.LOOKUP.value))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Update:
    """One run's update of one domain."""

    mappings: Mappings
    keys: Keys
    ring: KeyRing
    domain: str
    mode: TokenMode
    run_id: str

    @property
    def path(self) -> str:
        return self.mappings.path(self.domain)

    @property
    def version(self) -> int:
        return self.ring.keys[self.domain].version

    def known(self) -> DataFrame | None:
        """The rows of this mode and key version; none before the first update."""
        if not self.mappings.exists(self.domain):
            return None
        return self.mappings.rows_of(self.domain, mode=self.mode, key_version=self.version)


def _add_kind(update: _Update, found: Sequence[Identifiers]) -> None:
    """Without asking first whether there is anything new: the question costs as much as the answer."""
    kind = found[0]
    rows = _encrypt(update, _new_identifiers(update, found), kind)
    if update.mode is TokenMode.RANDOM and kind.kind not in WIDE_KINDS:
        _append_distinct_draws(update, rows)
    else:
        update.mappings.tables.append(update.path, rows)


def _new_identifiers(update: _Update, found: Sequence[Identifiers]) -> DataFrame:
    """One row per identifier not in the mapping: `value`, `lookup`."""
    kind, domain = found[0], update.domain
    values = reduce(DataFrame.unionAll, [each.rows.toDF("value") for each in found])
    values = values if len(found) == 1 and kind.unique else values.distinct()
    lookup = lookup_column(F.col("value"), kind.data_type, domain=domain, keep_format=kind.keep_format)
    rows = detach_keys(attach_keys(values, update.ring, [domain]).withColumn("lookup", lookup))
    rows = rows.filter(F.col("lookup").isNotNull())
    known = update.known()
    return rows if known is None else rows.join(known.select("lookup"), "lookup", "left_anti")


def _encrypt(update: _Update, rows: DataFrame, kind: Identifiers) -> DataFrame:
    """The rows as the mapping holds them, under a data key of this run's own."""
    data_key = update.keys.new_data_key(update.mappings.wrapping_key)
    field = StructField(_DATA_KEY, BinaryType(), nullable=False)
    secret = one_row(rows.sparkSession, StructType([field]), [data_key.plain])
    keyed = attach_keys(rows, update.ring, [update.domain]).crossJoin(F.broadcast(secret))
    text = identifier_text(F.col("value"), kind.data_type)
    sealed = F.aes_encrypt(text, F.col(_DATA_KEY), F.lit("GCM"), F.lit("DEFAULT"), F.lit(b""), F.col("lookup"))
    return keyed.select(
        "lookup",
        F.lit(kind.kind).alias("kind"),
        F.lit(update.mode.value).alias("mode"),
        _bare(update, kind).alias("token"),
        sealed.alias("value"),
        F.lit(data_key.wrapped).alias("data_key"),
        F.lit(update.version).alias("key_version"),
        F.lit(update.run_id).alias("first_seen"),
    )


def _bare(update: _Update, kind: Identifiers) -> Column:
    value, data_type, keep = F.col("value"), kind.data_type, kind.keep_format
    match update.mode:
        case TokenMode.RANDOM:
            return draw_column(value, data_type, keep_format=keep)
        case TokenMode.KEYED if keep:
            return format_token_column(value, domain=update.domain)
        case TokenMode.KEYED:
            return bare_column(token_column(value, data_type, domain=update.domain), data_type)
        case _:
            raise ValueError(f"no such token mode: {update.mode}")


def _append_distinct_draws(update: _Update, rows: DataFrame) -> None:
    """Add the rows, drawing again for those whose token is taken.

    A draw is written before it is compared, since drawing it twice gives two tokens.
    """
    tables, drawn_path = update.mappings.tables, f"{update.path}.drawn"
    for _ in range(_MOST_DRAWS):
        tables.replace(drawn_path, rows)
        drawn = tables.read(drawn_path)
        tables.append(update.path, _without_taken(drawn, update.known()))
        known = update.mappings.rows_of(update.domain, mode=update.mode, key_version=update.version)
        left = drawn.select("lookup").join(known.select("lookup"), "lookup", "left_anti")
        if left.isEmpty():
            tables.delete_folder(drawn_path)
            return
        rows = rows.join(known.select("lookup"), "lookup", "left_anti").select(*COLUMNS)
    raise ContractBroken("A range is too full to draw tokens from.", which=[f"{update.mappings.purpose}/{update.domain}"])


def _without_taken(drawn: DataFrame, known: DataFrame | None) -> DataFrame:
    """Of each token drawn, one row; none of those the mapping holds."""
    first = drawn.groupBy("token").agg(F.min("lookup").alias("lookup")).select("lookup")
    rows = drawn.join(first, "lookup", "left_semi")
    if known is not None:
        rows = rows.join(known.select("token", "kind"), ["token", "kind"], "left_anti")
    return rows.select(*COLUMNS)
