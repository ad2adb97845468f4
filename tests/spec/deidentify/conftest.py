"""One column in, one rule, one column out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from chispa import assert_df_equality
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.rules.surrogate_lists import SurrogateLists, parse_lists
from wardlake.deidentify.tables import deidentify_table
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, IdentifierKind, TokenMode, Verdict
from wardlake.model.treatments import Rule as Treatment
from wardlake.ports.keys import Key
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.source import TokenSource

CONF = Path(__file__).parents[3] / "conf"
SAFE, BLOCKED = Decision(verdict=Verdict.SAFE), Decision(verdict=Verdict.BLOCKED)
DOMAINS = ("patient", "provider", "city", "charge")

Rule = Callable[[Column, DataType], Column]
Apply = Callable[[str, Sequence[Any], Rule], list[Any]]
Becomes = Callable[[str, Sequence[str | None], Sequence[str | None], Rule], None]


@pytest.fixture
def apply_to(spark: SparkSession) -> Apply:
    """`apply_to("date", values, rule)`: the rule over a column of that type; dates and times come back as text."""

    def apply(ddl_type: str, values: Sequence[Any], rule: Rule) -> list[Any]:
        df = spark.createDataFrame([(n, v) for n, v in enumerate(values)], "n int, v string")
        df = df.withColumn("v", F.col("v").cast(ddl_type))
        data_type = df.schema["v"].dataType
        out = df.select("n", rule(F.col("v"), data_type).alias("v"))
        assert out.schema["v"].dataType == data_type
        shown = F.col("v").cast("string") if ddl_type.startswith(("date", "timestamp", "decimal")) else F.col("v")
        return [row.v for row in out.select("n", shown.alias("v")).orderBy("n").collect()]

    return apply


@pytest.fixture
def becomes(spark: SparkSession) -> Becomes:
    """`becomes("int", before, after, rule)`: the rule over a column of that type leaves this column, of the same type.

    Values are written as text and cast to the type; chispa shows the rows that differ.
    """

    def check(ddl_type: str, before: Sequence[str | None], after: Sequence[str | None], rule: Rule) -> None:
        rows = spark.createDataFrame(list(zip(before, after, strict=True)), "before string, after string")
        typed = rows.select(*[F.col(name).cast(ddl_type) for name in rows.columns])
        changed = typed.select(rule(F.col("before"), typed.schema["before"].dataType).alias("value"))
        assert_df_equality(changed, typed.select(F.col("after").alias("value")), ignore_nullable=True)

    return check


def sensitive(rule: Treatment, kind: IdentifierKind | None = None) -> Decision:
    return Decision(verdict=Verdict.SENSITIVE, rule=rule, kind=kind)


def ring_of(seed: int) -> KeyRing:
    keys = {domain: Key(f"dev/{domain}", 1, bytes([seed, place]) * 16) for place, domain in enumerate(DOMAINS)}
    return KeyRing(purpose="dev", keys=keys)


@pytest.fixture(scope="session")
def ring() -> KeyRing:
    return ring_of(7)


@pytest.fixture(scope="session")
def lists() -> SurrogateLists:
    return parse_lists({f.name: (CONF / "surrogates" / f"{f.name}.txt").read_text() for f in fields(SurrogateLists)})


@pytest.fixture(scope="session")
def references(lists: SurrogateLists) -> ReferenceData:
    return ReferenceData(zip3_allowed=frozenset({"197"}), surrogates=lists, password_hash="H")


@pytest.fixture(scope="session")
def deidentify(ring: KeyRing, references: ReferenceData) -> Callable[..., DataFrame]:
    """`deidentify(df, decisions)` with a key of the tests; `patient` names the patient's column, default `id`."""

    def run(df: DataFrame, decisions: Mapping[str, Decision], *, patient: str = "id", seed: int = 7) -> DataFrame:
        return deidentify_table(
            df,
            table=TableSpec(name="visits", patient=patient),
            decisions=decisions,
            tokens=TokenSource(mode=TokenMode.KEYED, ring=ring if seed == 7 else ring_of(seed)),
            references=references,
            as_of=date(2026, 6, 1),
        )

    return run
