"""What de-identifying costs beside two other ways: the same rules as pandas functions on Spark, and Presidio's structured engine.

    python -m tests.benchmarks.others --from FOLDER [--rows 200000] [--presidio-rows 2000]

FOLDER holds an export as Parquet, e.g. one that `tests.benchmarks.amplify` made. The pandas side works on whole columns, once
with a digest for each value, as such functions are usually written, and once with a digest for each different value of a batch.
It reads and writes the same Delta tables. Wardlake looks tokens up as a refresh does; measuring the references, which a refresh
does for their proof, is told apart. CPU of the whole process tree, the least of two warm turns each. Presidio analyses and
changes patients row by row as its documentation shows, without a language model; Wardlake's side of that ratio scans every cell
and applies every rule.
"""

from __future__ import annotations

import argparse
import hashlib
import hmac
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.sql import DataFrame, SparkSession
from tests.benchmarks.cost import cpu_of, take_turns
from tests.benchmarks.presidio import start_analyzer
from tests.detection_rules import matchers

from wardlake.adapters.spark_session import start_session
from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.rules.surrogate_lists import SurrogateLists
from wardlake.deidentify.tables import deidentify_table
from wardlake.detect.scan import scan_table
from wardlake.model.sources import Reference
from wardlake.model.treatments import (
    DateShift,
    Decision,
    FreeText,
    Generalise,
    Null,
    Rule,
    Surrogate,
    SurrogateKind,
    Token,
    TokenMode,
    Verdict,
    Zip3,
)
from wardlake.pipelines.key_making import domains_needed
from wardlake.pipelines.refresh.parents import few_parents
from wardlake.ports.keys import Key
from wardlake.ports.tables import DataFile
from wardlake.publish.references.measure import measure_references
from wardlake.runs.cpu import watched_cpu
from wardlake.settings.knowledge import load_knowledge
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.source import TokenSource

ROOT = Path(__file__).parents[2]
TABLES = ("patients", "encounters", "claims_transactions")
WANTED = {"pandas": 1.6, "presidio": 20.0}


def main() -> None:
    """Print the ratios as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--from", dest="origin", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=200_000, help="of each table, at most")
    parser.add_argument("--presidio-rows", type=int, default=2_000)
    parser.add_argument("--memory", default="2g")
    asked = parser.parse_args()
    conf = {"spark.driver.memory": asked.memory, "spark.sql.shuffle.partitions": "2"}
    spark = start_session("others", jar_folder=ROOT / ".tools" / "jars", master="local[2]", conf=conf)
    with tempfile.TemporaryDirectory(prefix="others-") as scratch:
        sides = Sides(spark, Path(scratch))
        counts = sides.prepare(asked.origin, asked.rows)
        cpu = sides.measure()
        presidio = beside_presidio(sides, counts["patients"], asked.presidio_rows)
    told = {
        "rows": counts,
        "cpu_seconds": cpu,
        "pandas_over_wardlake": {way: round(cpu[way] / cpu["wardlake"], 2) for way in ("pandas", "pandas_once_a_batch")},
        "measuring_references": sides.references_cost,
        "presidio": presidio,
        "wanted": WANTED,
    }
    print(json.dumps(told, indent=2))


@dataclass
class Sides:
    """Both ways over the same tables."""

    spark: SparkSession
    scratch: Path

    def __post_init__(self) -> None:
        self.settings = load_settings(ROOT / "conf", "embedded", today=today())
        self.source = self.settings.source("synthea")
        self.decided = self.settings.classification("synthea")
        knowledge = load_knowledge(ROOT / "conf")
        self.references = ReferenceData(
            zip3_allowed=frozenset(knowledge.zip3.allowed),
            surrogates=knowledge.surrogates,
            password_hash=knowledge.password_hash,
        )
        keys = {domain: Key(f"dev/{domain}", 1, bytes(range(32))) for domain in domains_needed(self.decided)}
        self.tokens = TokenSource(mode=TokenMode.KEYED, ring=KeyRing(purpose="dev", keys=keys))

    def prepare(self, origin: Path, rows: int) -> dict[str, int]:
        """Both read the same Delta tables."""
        for name in TABLES:
            self.spark.read.parquet(str(origin / name)).limit(rows).write.format("delta").save(self.path(name))
        frames = {name: self.read(name) for name in TABLES}
        tables = {name: replace(self.source.tables[name], references=self.references_among(name)) for name in TABLES}
        source = replace(self.source, tables=tables)
        with watched_cpu() as cpu:
            measured = measure_references(frames, source)
            self.references_cost = round(cpu.seconds(), 2)
        self.parents = few_parents(source, self.decided, frames, measured)
        return {name: frame.count() for name, frame in frames.items()}

    def references_among(self, name: str) -> tuple[Reference, ...]:
        return tuple(each for each in self.source.tables[name].references if each.table in TABLES)

    def path(self, name: str) -> str:
        return str(self.scratch / "source" / name)

    def read(self, name: str) -> DataFrame:
        return self.spark.read.format("delta").load(self.path(name))

    def measure(self) -> dict[str, float]:
        """The least CPU seconds of two turns after one that warms up, all tables together."""
        ways: dict[str, Callable[[str], DataFrame]] = {"plain": self.read, "wardlake": self.by_wardlake}
        ways["pandas"] = partial(self.by_pandas, once=False)
        ways["pandas_once_a_batch"] = partial(self.by_pandas, once=True)

        def rewrite(way: str) -> None:
            for name in TABLES:
                ways[way](name).write.format("delta").mode("overwrite").save(str(self.scratch / way / name))

        return take_turns({way: partial(rewrite, way) for way in ways}, 2)[0]

    def by_wardlake(self, name: str) -> DataFrame:
        return deidentify_table(
            self.read(name),
            table=self.source.tables[name],
            decisions=self.decided.tables[name],
            tokens=self.tokens,
            references=self.references,
            as_of=date(2026, 1, 1),
            parents=self.parents.get(name, {}),
        )

    def by_pandas(self, name: str, *, once: bool) -> DataFrame:
        rows = self.read(name)
        decisions = self.decided.tables[name]
        kept = [field for field in rows.schema.fields if decisions[field.name].verdict is not Verdict.BLOCKED]
        patient, lists, allowed = self.source.tables[name].patient, self.references.surrogates, self.references.zip3_allowed
        rules = PandasRules(decisions, patient, lists, allowed, once=once)

        def change(batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
            return (rules.apply(batch) for batch in batches)

        narrow = rows.select(*[field.name for field in kept])
        return narrow.mapInPandas(change, narrow.schema)


class PandasRules:
    """The rules of these tables on a pandas frame; `once`: a digest for each different value, else for each value."""

    def __init__(
        self, decisions: Mapping[str, Decision], patient: str, lists: SurrogateLists, allowed: frozenset[str], *, once: bool
    ) -> None:
        self.decisions, self.patient, self.lists, self.allowed, self.once = decisions, patient, lists, allowed, once
        self.key = bytes(range(32))

    def apply(self, batch: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({name: self.column(batch, name) for name in batch.columns})

    def column(self, batch: pd.DataFrame, name: str) -> pd.Series:
        rule = self.decisions[name].rule
        return batch[name] if rule is None else self.by_rule(rule, batch, batch[name])

    def by_rule(self, rule: Rule, batch: pd.DataFrame, values: pd.Series) -> pd.Series:
        match rule:
            case Token(domain=domain):
                if values.dtype == object:
                    return self.drawn(values, domain, lambda digest: digest[:32])
                return self.drawn(values, domain, lambda digest: int(digest[:15], 16)).astype("Int64")
            case DateShift(days=days):
                return self.shifted(values, batch[self.patient or "Id"], days)
            case Surrogate():
                owner = batch[rule.by] if rule.by else values
                drawn = self.drawn(owner, "surrogate", lambda digest: self.stand_in(rule.kind, digest))
                return drawn.where(values.notna(), None)
            case Zip3():
                short = values.str[:3]
                return short.where(short.isin(self.allowed), "000").where(values.notna(), None)
            case Generalise(to=to, other=other):
                numbers = pd.to_numeric(values, errors="coerce").notna()
                return values.where(numbers, values.map(to).fillna(other)).where(values.notna(), None)
            case Null() | FreeText():
                return pd.Series([None] * len(values), index=values.index)
        raise ValueError(f"no pandas function for {rule.rule}")

    def drawn(self, values: pd.Series, label: str, draw: Callable[[str], object]) -> pd.Series:
        """What `draw` makes of each value's keyed digest; null for null."""

        def of(value: object) -> object:
            return draw(hmac.new(self.key, f"{label}/{value}".encode(), hashlib.sha256).hexdigest())

        if not self.once:
            return values.map(of, na_action="ignore")
        return values.map({value: of(value) for value in values.dropna().unique()})

    def shifted(self, values: pd.Series, patient: pd.Series, days: int) -> pd.Series:
        offsets = self.drawn(patient, "date", lambda digest: pd.Timedelta(days=int(digest[:13], 16) % (2 * days) - days))
        times = pd.to_datetime(values, errors="coerce") + offsets
        is_date = values.dtype == object
        return times.dt.date.where(times.notna(), None) if is_date else times

    def stand_in(self, kind: SurrogateKind, digest: str) -> str:
        draw = int(digest[5:10], 16)
        entries = {
            SurrogateKind.FIRST_NAME: self.lists.first_names,
            SurrogateKind.MIDDLE_NAME: self.lists.first_names,
            SurrogateKind.LAST_NAME: self.lists.last_names,
            SurrogateKind.CITY: self.lists.cities,
            SurrogateKind.COUNTY: self.lists.counties,
            SurrogateKind.STREET: self.lists.street_names,
        }[kind]
        chosen = entries[draw % len(entries)]
        return f"{101 + draw % 9899} {chosen}" if kind is SurrogateKind.STREET else chosen


def beside_presidio(sides: Sides, rows: int, presidio_rows: int) -> dict[str, Any]:
    """Rows a CPU second on patients: every cell searched and every rule applied, by both."""
    files = [DataFile(path=str(p), size=p.stat().st_size) for p in sorted(Path(sides.path("patients")).glob("*.parquet"))]
    ours = min(cpu_of(lambda: _search_and_change(sides, files)) for _ in range(2))
    sample = sides.read("patients").limit(presidio_rows).toPandas().astype("string").astype("object")
    theirs = cpu_of(lambda: run_presidio(sample))
    per_second = {"wardlake": round(rows / ours), "presidio_structured": round(len(sample) / theirs, 1)}
    return {"rows_a_cpu_second": per_second, "ratio": round(rows / ours / (len(sample) / theirs), 1)}


def _search_and_change(sides: Sides, files: list[DataFile]) -> None:
    scan_table(sides.spark, files, sides.read("patients").schema, matchers(), with_shapes=True)
    sides.by_wardlake("patients").write.format("delta").mode("overwrite").save(str(sides.scratch / "searched"))


def run_presidio(sample: pd.DataFrame) -> None:
    """Columns analysed over all rows, then the cells of those found replaced by their hashes."""
    from presidio_anonymizer.entities import OperatorConfig
    from presidio_structured import PandasAnalysisBuilder, StructuredEngine

    filled = sample.fillna("")
    analysis = PandasAnalysisBuilder(analyzer=start_analyzer()).generate_analysis(filled)
    StructuredEngine().anonymize(filled, analysis, operators={"DEFAULT": OperatorConfig("hash")})


if __name__ == "__main__":
    main()
