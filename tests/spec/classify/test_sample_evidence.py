"""On the bundled sample evidence speaks for what identifies people, and does not cry wolf on clinical columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from pyspark.sql.pandas.types import from_arrow_schema
from tests.detection_rules import evidence_rules, matchers

from wardlake.classify.evidence import build_evidence
from wardlake.detect.counting import finish_tally
from wardlake.detect.scan import ScanPlan, Unit, scan_unit
from wardlake.detect.storage import StorageOptions
from wardlake.model.evidence import ColumnEvidence

SAMPLE = Path(__file__).parents[2] / "data" / "synthea"

IDENTIFYING = {
    "patients": ["Id", "BIRTHDATE", "SSN", "DRIVERS", "PASSPORT", "FIRST", "LAST", "ADDRESS", "CITY", "ZIP", "LAT", "LON"],
    "providers": ["Id", "NAME", "ADDRESS", "CITY", "ZIP", "LAT", "LON"],
    "payer_transitions": ["PATIENT", "MEMBERID", "OWNER_NAME", "START_DATE"],
    "devices": ["UDI", "START"],
    "imaging_studies": ["SERIES_UID", "INSTANCE_UID", "DATE"],
    "organizations": ["PHONE", "ADDRESS"],
}
CLINICAL = {
    "patients": ["RACE", "ETHNICITY", "GENDER", "MARITAL", "HEALTHCARE_EXPENSES", "INCOME"],
    "conditions": ["CODE", "DESCRIPTION", "SYSTEM"],
    "medications": ["CODE", "DESCRIPTION", "BASE_COST", "DISPENSES", "TOTALCOST", "REASONCODE", "REASONDESCRIPTION"],
    "observations": ["CATEGORY", "CODE", "DESCRIPTION", "UNITS", "TYPE"],
    "procedures": ["CODE", "DESCRIPTION", "BASE_COST"],
    "encounters": ["ENCOUNTERCLASS", "CODE", "DESCRIPTION", "BASE_ENCOUNTER_COST", "TOTAL_CLAIM_COST"],
    "imaging_studies": ["BODYSITE_CODE", "MODALITY_CODE", "MODALITY_DESCRIPTION", "SOP_CODE", "SOP_DESCRIPTION"],
    "supplies": ["CODE", "DESCRIPTION", "QUANTITY"],
    "claims": ["STATUS1", "OUTSTANDING1", "DIAGNOSIS1"],
}


def judge(table: str, folder: Path) -> tuple[dict[str, ColumnEvidence], pa.Table]:
    rows = pacsv.read_csv(SAMPLE / f"{table}.csv.gz")
    columns = {
        n: c.cast(pa.string()) if pa.types.is_null(c.type) else c for n, c in zip(rows.column_names, rows.columns, strict=True)
    }
    rows = pa.table({n: c.cast(pa.timestamp("us")) if pa.types.is_timestamp(c.type) else c for n, c in columns.items()})
    pq.write_table(rows, folder / "t.parquet")
    plan = ScanPlan(
        schema=from_arrow_schema(rows.schema), matchers=matchers(), with_shapes=True, rows_per_unit=0, storage=StorageOptions()
    )
    tallies = scan_unit(Unit(str(folder / "t.parquet"), 1, 0, 1), plan)
    counts = [finish_tally(path, tally, min_shape_rows=11, sampled=False) for path, tally in tallies.items()]
    return {row.path: row for row in build_evidence(table, counts, evidence_rules())}, rows


@pytest.mark.parametrize("table", sorted(IDENTIFYING))
def test_identifying_columns_have_evidence(table: str, tmp_path: Path) -> None:
    evidence, _ = judge(table, tmp_path)
    assert [c for c in IDENTIFYING[table] if not evidence[c].content and not evidence[c].names] == []


@pytest.mark.parametrize("table", sorted(CLINICAL))
def test_clinical_columns_have_none(table: str, tmp_path: Path) -> None:
    evidence, _ = judge(table, tmp_path)
    assert {
        c: (evidence[c].content, evidence[c].names) for c in CLINICAL[table] if evidence[c].content or evidence[c].names
    } == {}


def test_evidence_shows_no_value_of_the_patients(tmp_path: Path) -> None:
    evidence, rows = judge("patients", tmp_path)
    shown = repr(list(evidence.values()))
    secret = [
        c for c in ("Id", "SSN", "DRIVERS", "PASSPORT", "FIRST", "LAST", "ADDRESS", "CITY") for c in rows[c].to_pylist() if c
    ]
    assert [value for value in secret if str(value) in shown] == []
