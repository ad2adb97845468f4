"""A quarter of the bundled sample's rows, which more than half of its practices and patients have."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from pathlib import Path

from tests.end_to_end.clinic import ROOT

SAMPLE = ROOT / "tests" / "data" / "synthea"
MOST_RECORDS = 1500  # of a patient; the few with more have three quarters of all rows


def write_part(folder: Path) -> Path:
    """The sample's files with the patients who have few records, and with theirs alone."""
    tables = {path.name: _read(path) for path in sorted(SAMPLE.glob("*.csv.gz"))}
    records = Counter(_patient(name, row) for name, rows in tables.items() for row in rows)
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        with gzip.open(folder / name, "wt", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(row for row in rows if not _patient(name, row) or records[_patient(name, row)] <= MOST_RECORDS)
    return folder


def _patient(table: str, row: dict[str, str]) -> str:
    """Whom a row is about; nobody in tables of organisations, providers and payers."""
    return row["Id"] if table.startswith("patients.") else row.get("PATIENT") or row.get("PATIENTID") or ""


def _read(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
