"""Whichever patients a run takes, columns called safe stay without evidence: a part has fewer codes, and rates that lie apart."""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from ruamel.yaml import YAML
from tests.detection_rules import evidence_rules, matchers

from wardlake.detect.counting import CellCounts, Hit
from wardlake.detect.limits import speaking_hits
from wardlake.detect.text_names import TEXT_NAME

ROOT = Path(__file__).parents[3]
RULES = evidence_rules()
DRAWS = 40


@dataclass(frozen=True, kw_only=True)
class SafeColumn:
    """A column called safe that has hits: the texts that are, and each patient's cells."""

    path: str
    hits: Mapping[Hit, frozenset[str]]
    cells: Mapping[str, Counter[str]]

    def in_part(self, patients: Sequence[str]) -> CellCounts:
        cells: Counter[str] = Counter()
        for patient in patients:
            cells.update(self.cells.get(patient, {}))
        hits = {hit: sum(cells[text] for text in texts) for hit, texts in self.hits.items()}
        return CellCounts(
            path=self.path,
            type="string",
            rows=cells.total(),
            nulls=0,
            distinct_estimate=len(cells),
            hits={hit: count for hit, count in hits.items() if count},
            distinct_hits={hit: sum(text in cells for text in texts) for hit, texts in self.hits.items()},
        )


def rows_of(table: str) -> list[dict[str, str]]:
    path = ROOT / "tests" / "data" / "synthea" / f"{table}.csv.gz"
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def safe_columns() -> Iterator[SafeColumn]:
    """Columns called safe by either of the classifications that ship with the sample, of tables about patients."""
    decided: dict[str, set[str]] = {}
    for name in ("synthea", "synthea-safe-harbor"):
        document = YAML(typ="safe").load((ROOT / "conf" / "classification" / f"{name}.yaml").read_text(encoding="utf-8"))
        for table, decisions in document["tables"].items():
            decided.setdefault(table, set()).update(column for column, decision in decisions.items() if decision == "safe")
    for table, safe in decided.items():
        rows = rows_of(table)
        whose = next((name for name in ("PATIENT", "PATIENTID") if name in rows[0]), None)
        for column in sorted(safe) if whose else ():
            texts = sorted({row[column] for row in rows if row[column]})
            found = {
                (matcher.name, kind): frozenset(text for text, hit in zip(texts, mask.to_pylist(), strict=True) if hit)
                for matcher in matchers()
                if matcher.name != TEXT_NAME and texts  # meant for text alone
                for kind, mask in matcher.match(pa.array(texts)).items()
            }
            if any(found.values()):
                cells: dict[str, Counter[str]] = defaultdict(Counter)
                for row in rows:
                    cells[row[whose or ""]].update([row[column]] if row[column] else [])
                yield SafeColumn(path=f"{table}.{column}", hits=found, cells=cells)


def test_no_part_of_the_patients_makes_a_safe_column_speak() -> None:
    columns = list(safe_columns())
    assert columns  # some hits there are: codes that look like dates, plates or numbers
    patients = [row["Id"] for row in rows_of("patients")]
    draw = random.Random(20260101)
    parts = [[p for p in patients if draw.random() < share] for share in (0.5, 0.33, 0.1) for _ in range(DRAWS)]
    spoken = {
        (column.path, *hit) for part in parts for column in columns for hit in speaking_hits(column.in_part(part), RULES.content)
    }
    assert spoken == set()
