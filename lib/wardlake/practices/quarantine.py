"""What a practice that is set aside has waiting, as a table for who may see the practice. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType, TimestampType

from wardlake.practices.change_log import parse_row
from wardlake.practices.leaving import BASE_PART
from wardlake.practices.log_entries import Deed
from wardlake.practices.marts.mart import PRACTICE
from wardlake.practices.raw_tables import RawTable

OWN = ("wardlake_deed", "wardlake_reason", "wardlake_commit", "wardlake_committed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Why a practice's entries wait, and which columns of its rows nobody may see for that."""

    reason: str
    hidden: frozenset[str] = frozenset()  # as table.column


def quarantine_schema(table: RawTable) -> StructType:
    """Of one raw table's quarantine: the columns that the gate admitted, as the texts that came."""
    own = [StructField(PRACTICE, StringType()), *(StructField(name, StringType()) for name in OWN[:-1])]
    rest = [StructField(OWN[-1], TimestampType()), *(StructField(name, StringType()) for name in _shown(table))]
    return StructType([*own, *rest])


def make_quarantine(log: DataFrame, table: RawTable, why: Mapping[str, Why]) -> DataFrame:
    """One row per entry of this table that waits, of the practices in `why`: in the order of `quarantine_schema`.

    A delete shows its key. What the gate did not admit, or holds against the practice, is not in it.
    """
    of_table = log.where((F.col("table") == table.name) & F.col("practice").isin(sorted(why)))
    told = parse_row(F.coalesce("row", "key"))
    of_rows = (F.col("deed") != Deed.EMPTY.value) & (F.col("part") > BASE_PART)  # what stands in for another was told by nobody
    rows = of_table.where(of_rows).withColumn("told", told)
    return rows.select(
        F.col("practice").alias(PRACTICE),
        F.col("deed").alias(OWN[0]),
        _by_practice({name: each.reason for name, each in why.items()}).alias(OWN[1]),
        F.col("commit").cast("string").alias(OWN[2]),
        F.col("committed_at").alias(OWN[3]),
        *(_shown_to(table.name, name, why).alias(name) for name in _shown(table)),
    )


def _shown(table: RawTable) -> list[str]:
    """The practice stands in the table's first column; Delta's names do not differ in case."""
    taken = {PRACTICE, *OWN}
    return [name for name in table.columns if name.lower() not in taken]


def _shown_to(table: str, column: str, why: Mapping[str, Why]) -> Column:
    value = F.col("told").getItem(column)
    hidden = sorted(name for name, each in why.items() if f"{table}.{column}" in each.hidden)
    return F.when(~F.col("practice").isin(hidden), value) if hidden else value


def _by_practice(texts: Mapping[str, str]) -> Column:
    return F.element_at(F.create_map(*(F.lit(each) for pair in sorted(texts.items()) for each in pair)), F.col("practice"))
