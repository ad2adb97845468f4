"""The bundled sample, all eighteen tables, refreshed in one lake under both classifications that ship with it."""

from __future__ import annotations

import csv
import gzip
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from tests.end_to_end.clinic import ROOT, Quiet

from wardlake.audit.archive import query_records
from wardlake.model.audit import AuditKind
from wardlake.model.treatments import IdentifierKind
from wardlake.model.zones import Zone
from wardlake.pipelines.key_making import create_keys, domains_needed
from wardlake.pipelines.refresh.run import run_refresh
from wardlake.publish.pointer import open_dataset
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.wiring import Wiring

SAMPLE = ROOT / "tests" / "data" / "synthea"
OLDEST = 90
DAY = re.compile(r"(?<!\d)(?:19|20)\d\d-(?!01-01(?:T00:00:00(?:\.0+)?Z?)?(?!\d))\d\d-\d\d(?!\d)")
pytestmark = pytest.mark.usefixtures("as_in_production")


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A refreshed sample: its answer, its publication's record, and the rows that engineers see."""

    answer: dict[str, Any]
    record: dict[str, Any]
    rows: dict[str, list[dict[str, Any]]]
    wiring: Wiring


def refresh(folder: Path, spark: SparkSession, classification: str, sample: str) -> Sample:
    settings = load_settings(ROOT / "conf", "embedded", today=today())
    wiring = Wiring(environment=settings.environment, lake=str(folder), root=ROOT, session=lambda: spark)
    create_keys(wiring, domains_needed(settings.classification(classification)))
    answer = run_refresh(
        settings,
        wiring,
        source="synthea",
        classification=classification,
        sample=sample,
        run_id="",
        only="",
        fresh=False,
        progress=Quiet(),
        told=lambda _: None,
    )
    paths = open_dataset(wiring.tables, wiring.layout, Zone.DEV, classification)
    records = query_records(wiring.audit_objects, run_id=answer["run_id"])
    (record,) = [each.event.details for each in records if each.event.kind is AuditKind.DATASET_PUBLISHED]
    rows = {name: [row.asDict() for row in wiring.tables.read(path).collect()] for name, path in paths.items()}
    return Sample(answer=answer, record=dict(record), rows=rows, wiring=wiring)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lake")


@pytest.fixture(scope="module")
def expert(lake: Path, spark: SparkSession) -> Sample:
    return refresh(lake, spark, "synthea", "100%")


@pytest.fixture(scope="module")
def safe_harbor(lake: Path, spark: SparkSession, expert: Sample) -> Sample:
    """A third of the patients, after the keyed run, whose tokens it must not show."""
    return refresh(lake, spark, "synthea-safe-harbor", "33%")


def source(table: str) -> list[dict[str, str]]:
    with gzip.open(SAMPLE / f"{table}.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def cells(sample: Sample) -> list[tuple[str, str, Any]]:
    return [
        (table, column, value)
        for table, rows in sample.rows.items()
        for row in rows
        for column, value in row.items()
        if value is not None
    ]


def test_every_row_of_every_table_is_published_for_experts(expert: Sample) -> None:
    wanted = {path.name.removesuffix(".csv.gz"): len(source(path.name.removesuffix(".csv.gz"))) for path in SAMPLE.glob("*.gz")}
    assert len(wanted) == 18
    assert {table["name"]: table["rows_out"] for table in expert.answer["tables"]} == wanted
    assert {name: len(rows) for name, rows in expert.rows.items()} == wanted


@pytest.mark.parametrize("which", ["expert", "safe_harbor"])
def test_no_identifier_of_a_patient_is_in_any_cell(which: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(which)
    people = source("patients")
    known = {person[column] for person in people for column in ("Id", "SSN", "DRIVERS", "PASSPORT", "ADDRESS")} - {""}
    known |= {f"{person['FIRST']} {person['LAST']}" for person in people}
    seen = json.dumps([value for _, _, value in cells(sample) if isinstance(value, str)], ensure_ascii=False)
    assert [value for value in known if value in seen] == []


@pytest.mark.parametrize("which", ["expert", "safe_harbor"])
def test_every_patient_s_rows_are_joined_to_a_patient(which: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(which)
    people = {row["Id"] for row in sample.rows["patients"]}
    for table in ("encounters", "conditions", "observations", "claims_transactions"):
        column = "PATIENTID" if table == "claims_transactions" else "PATIENT"
        assert {row[column] for row in sample.rows[table]} <= people, table
    assert {row["PATIENT"] for row in sample.rows["encounters"]} == people


def test_under_safe_harbor_no_date_is_finer_than_a_year(safe_harbor: Sample) -> None:
    dates = [(table, column, value) for table, column, value in cells(safe_harbor) if isinstance(value, date)]
    finer = {(table, column) for table, column, value in dates if (value.month, value.day) != (1, 1)}
    timed = {
        (table, column) for table, column, value in dates if isinstance(value, datetime) and value.time().isoformat() > "00:00:00"
    }
    written = {(table, column) for table, column, value in cells(safe_harbor) if isinstance(value, str) and DAY.search(value)}
    assert len(dates) > 1000
    assert (finer, timed, written) == (set(), set(), set())


def test_under_safe_harbor_nobody_is_seen_to_be_over_ninety(safe_harbor: Sample) -> None:
    oldest = today().year
    born = [row["BIRTHDATE"].year for row in safe_harbor.rows["patients"]]
    over = [person for person in source("patients") if int(person["BIRTHDATE"][:4]) < oldest - OLDEST]
    assert over, "the sample holds people over ninety"
    assert min(born) >= oldest - OLDEST


def test_under_safe_harbor_a_zip_is_three_digits_of_the_allowed(safe_harbor: Sample) -> None:
    zips = {row["ZIP"] for rows in safe_harbor.rows.values() for row in rows if row.get("ZIP")}
    assert zips
    assert {code for code in zips if not re.fullmatch(r"\d{3}", code)} == set()


def test_under_safe_harbor_tokens_are_drawn_at_random_and_say_so(safe_harbor: Sample, expert: Sample) -> None:
    assert safe_harbor.record["profile"] == "safe-harbor"
    assert (safe_harbor.record["token_mode"], expert.record["token_mode"]) == ("random", "keyed")
    mapping = safe_harbor.wiring.tables.read(safe_harbor.wiring.layout.mapping("dev", "patient"))
    for sample, mode in ((safe_harbor, "random"), (expert, "keyed")):
        made = {row["token"] for row in mapping.filter(f"mode = '{mode}'").select("token").collect()}
        assert {row["Id"].replace("-", "") for row in sample.rows["patients"]} <= made  # without the hyphens of a UUID


def test_no_token_under_safe_harbor_leads_to_a_row_of_the_keyed_dataset(safe_harbor: Sample, expert: Sample) -> None:
    shown = [
        {
            str(value)
            for table, column, value in cells(sample)
            if sample.record["rules"][table].get(column) == "token" and isinstance(value, str) and value
        }
        for sample in (safe_harbor, expert)
    ]
    assert min(map(len, shown)) > 1000
    assert shown[0] & shown[1] == set()


@pytest.mark.parametrize("which", ["expert", "safe_harbor"])
def test_the_scan_was_shown_to_see(which: str, request: pytest.FixtureRequest) -> None:
    sample: Sample = request.getfixturevalue(which)
    recall = {each["kind"]: each for each in sample.record["scan"]["recall"]}
    assert sample.record["scan"]["passed"] is True
    assert sample.record["scan"]["findings"] == 0
    assert recall[IdentifierKind.SSN.value]["lower_bound"] >= 0.99
