"""A small clinic whose records a refresh is tried on: configuration and CSV files, written where a test wants them."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from wardlake.model.plan import Step
from wardlake.pipelines.key_making import create_keys, domains_needed
from wardlake.pipelines.refresh.run import run_refresh
from wardlake.runs.states import StepRecord
from wardlake.settings.check import check_settings
from wardlake.settings.load import load_settings
from wardlake.settings.today import today
from wardlake.wiring import Wiring

ROOT = Path(__file__).parents[2]
PATIENTS = 40

SOURCE = """\
name: clinic
kind: csv
location: data
schema_version: "7"
patients: patients
contracts: false
tables:
  patients:
    primary_key: [id]
    patient: id
    types: {id: string, birth_date: date, ssn: string, first_name: string, last_name: string, street: string, sex: string}
  visits:
    primary_key: [id]
    patient: patient_id
    references: [{columns: [patient_id], table: patients, to: [id]}]
    types: {id: string, patient_id: string, seen_at: timestamp, reason_code: string}
"""
CLASSIFICATION = """\
# the clinic's decisions
source: clinic
profile: expert
token_mode: keyed
tables:
  patients:
    id: {sensitive: {rule: token, domain: patient}, kind: mrn}
    birth_date: {sensitive: {rule: date_shift}, kind: date}
    ssn: {sensitive: {rule: token, domain: ssn}, kind: ssn}
    first_name: {sensitive: {rule: surrogate, kind: first_name, domain: patient, by: id}, kind: person_name}
    last_name: {sensitive: {rule: surrogate, kind: last_name, domain: patient, by: id}, kind: person_name}
    street: {sensitive: {rule: surrogate, kind: street, domain: patient, by: id}, kind: street_address}
    sex: safe
  visits:
    id: {sensitive: {rule: token, domain: visit}, kind: unique_code}
    patient_id: {sensitive: {rule: token, domain: patient}, kind: mrn}
    seen_at: {sensitive: {rule: date_shift}, kind: date}
    reason_code: safe
"""
FIRST = ("Aurelia", "Bartholomew", "Clementine", "Demetrius", "Evangeline", "Ferdinand", "Guinevere", "Hezekiah")
LAST = ("Abernathy", "Blackwood", "Carmichael", "Dunleavy", "Eastbrook", "Fairweather", "Galbraith", "Hollingsworth")


def patients() -> list[dict[str, str]]:
    """Forty invented people."""
    return [
        {
            "id": f"MRN{700000 + 13 * n}",
            "birth_date": f"{1940 + n}-{1 + n % 12:02d}-{1 + n % 28:02d}",
            "ssn": f"{200 + n}-{11 + n % 80}-{4000 + 37 * n}",
            "first_name": FIRST[n % len(FIRST)],
            "last_name": LAST[(n // len(FIRST) + n) % len(LAST)],
            "street": f"{1200 + 17 * n} Thistlewick Lane",
            "sex": "FM"[n % 2],
        }
        for n in range(PATIENTS)
    ]


def visits() -> list[dict[str, str]]:
    """Three visits each."""
    return [
        {
            "id": f"V{90000 + 3 * n + k}",
            "patient_id": person["id"],
            "seen_at": f"2024-0{1 + k}-{1 + n % 28:02d}T09:{n:02d}:00Z",
            "reason_code": ("A10", "B20", "C30")[(n + k) % 3],
        }
        for n, person in enumerate(patients())
        for k in range(3)
    ]


class Quiet:
    """Progress that nobody watches; `at` maps a step to what happens when it begins."""

    def __init__(self, at: Mapping[str, Callable[[], None]] | None = None) -> None:
        self._at = at or {}

    def started(self, step: Step, number: int, of: int) -> None:
        self._at.get(step.name, lambda: None)()

    def skipped(self, step: Step, number: int, of: int) -> None: ...

    def finished(self, step: Step, record: StepRecord) -> None: ...

    def failed(self, step: Step, seconds: float) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Clinic:
    """The clinic's files below a folder, and the lake that a test refreshes it into."""

    folder: Path
    spark: SparkSession | None = None
    environment: str = "embedded"
    progress: Any = field(default_factory=Quiet)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def write(self, name: str, text: str) -> None:
        path = self.folder / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def edit(self, name: str, before: str, after: str) -> None:
        text = (self.folder / "conf" / name).read_text("utf-8")
        assert before in text
        self.write(name, text.replace(before, after))

    def table(self, name: str, rows: list[dict[str, str]]) -> None:
        path = self.folder / "data" / f"{name}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)

    def wiring(self) -> Wiring:
        settings = load_settings(self.folder / "conf", self.environment, today=today())
        check_settings(settings)
        return Wiring(
            environment=settings.environment,
            lake=str(self.lake),
            root=settings.root,
            session=(lambda: self.spark) if self.spark else None,
        )

    def make_keys(self) -> None:
        settings = load_settings(self.folder / "conf", self.environment, today=today())
        create_keys(self.wiring(), domains_needed(settings.classification("clinic")))

    def refresh(self, **options: Any) -> dict[str, Any]:
        settings = load_settings(self.folder / "conf", self.environment, today=today())
        check_settings(settings)
        asked = {"source": "clinic", "classification": "", "sample": "100%", "run_id": "", "only": "", "fresh": False}
        return run_refresh(settings, self.wiring(), progress=self.progress, told=lambda _: None, **{**asked, **options})


def make_clinic(
    folder: Path, spark: SparkSession | None = None, *, environments: Mapping[str, str] | None = None, **options: Any
) -> Clinic:
    """The clinic as it is when all is well, with its keys made where they are in a file; `environments` adds some by name."""
    clinic = Clinic(folder=folder, spark=spark, **options)
    for part in ("detection", "disclosure", "surrogates"):
        shutil.copytree(ROOT / "conf" / part, folder / "conf" / part)
    shutil.copytree(ROOT / "conf" / "environments", folder / "conf" / "environments")
    text = (folder / "conf" / "environments" / "embedded.yaml").read_text()
    clinic.write(
        "environments/embedded.yaml", text.replace("driver_memory: 2g", f"driver_memory: 1g\n  jars: {ROOT}/.tools/jars")
    )
    for name, text in (environments or {}).items():
        clinic.write(f"environments/{name}.yaml", text)
    clinic.write("sources/clinic.yaml", SOURCE)
    clinic.write("classification/clinic.yaml", CLASSIFICATION)
    clinic.table("patients", patients())
    clinic.table("visits", visits())
    if clinic.environment == "embedded":
        clinic.make_keys()
    return clinic
