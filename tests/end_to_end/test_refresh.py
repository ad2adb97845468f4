"""A refresh from a source to a published dataset: what reaches dev, what halts a run, how it goes on."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.end_to_end.clinic import LAST, Clinic, Quiet, make_clinic, patients, visits

from wardlake.audit.archive import query_records
from wardlake.audit.names import short_name
from wardlake.audit.verification import verify_archive
from wardlake.model.audit import AuditKind
from wardlake.model.errors import (
    AuditUnavailable,
    ContractBroken,
    IdentifiersFound,
    KeysUnavailable,
    NotAllowed,
    RunLocked,
    UnclassifiedColumns,
)
from wardlake.model.zones import Zone
from wardlake.pipelines.key_making import rotate_keys
from wardlake.publish.pointer import open_dataset, read_pointer


@pytest.fixture
def clinic(tmp_path, spark) -> Clinic:
    return make_clinic(tmp_path, spark)


@pytest.fixture(scope="module")
def published(tmp_path_factory, spark):
    """One refresh that the tests which only read share."""
    clinic = make_clinic(tmp_path_factory.mktemp("clinic"), spark)
    clinic.edit(
        "sources/clinic.yaml", "reason_code: string}", 'reason_code: string, due: string, "2024-01-31": string, "%ideal": string}'
    )
    clinic.edit("classification/clinic.yaml", "ssn: {sensitive: {rule: token,", "ssn: {sensitive: {rule: format_token,")
    due = "    due: {sensitive: {rule: date_shift, shared_days: accept}, kind: date}\n    form$.ward: safe\n    form$.fee: safe\n"
    due += '    "2024-01-31": safe\n    "%ideal": safe\n'
    clinic.edit("classification/clinic.yaml", "    reason_code: safe\n", "    reason_code: safe\n" + due)
    more = {"form": '{"ward": "north"}', "2024-01-31": "yes", "%ideal": "no"}  # no audit record takes such names
    clinic.table("visits", [{**visit, "due": "soon" if n < 3 else "2024-05-06", **more} for n, visit in enumerate(visits())])
    clinic.table("billing", [{"id": "B1"}])  # a table that nobody declared
    return clinic, clinic.refresh()


def report_of(answer: dict[str, object]) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((Path(str(answer["report"])).parent / "report.json").read_text())
    return report


def dev_tables(clinic: Clinic) -> dict[str, list[dict[str, object]]]:
    wiring = clinic.wiring()
    paths = open_dataset(wiring.tables, wiring.layout, Zone.DEV, "clinic")
    return {name: [row.asDict() for row in wiring.tables.read(path).collect()] for name, path in paths.items()}


def visible(clinic: Clinic):
    wiring = clinic.wiring()
    return read_pointer(wiring.tables, wiring.layout, Zone.DEV, "clinic")


def everything_below(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_the_answer_names_run_dataset_path_and_report(published):
    _clinic, answer = published
    assert {"run_id", "dataset_id", "snapshot_id", "path", "report", "tables"} <= set(answer)
    assert answer["tables"] == [
        {"name": "patients", "rows_in": 40, "rows_out": 40},
        {"name": "visits", "rows_in": 120, "rows_out": 120},
    ]
    assert sorted(path.name for path in Path(answer["path"]).iterdir() if path.is_dir()) == ["patients", "visits"]
    assert Path(answer["report"]).is_file()


def test_tokens_join_as_the_identifiers_did(published):
    clinic, _ = published
    tables = dev_tables(clinic)
    people = {row["id"] for row in tables["patients"]}
    assert len(people) == 40
    assert {row["patient_id"] for row in tables["visits"]} == people
    assert not people & {person["id"] for person in patients()}


def test_no_identifier_of_the_source_reaches_dev_the_report_or_the_audit(published):
    clinic, answer = published
    wiring = clinic.wiring()
    shown = everything_below(Path(answer["report"]).parent) + everything_below(clinic.lake / "audit")
    dev = json.dumps(dev_tables(clinic), default=str)
    for person in patients():
        for column in ("id", "ssn", "street"):
            assert person[column] not in dev
            assert person[column].encode() not in shown
        assert f"{person['first_name']} {person['last_name']}".encode() not in shown
        assert person["birth_date"].encode() not in shown
    assert wiring.layout.zone(Zone.DEV) in answer["path"]


def test_a_format_token_has_the_format_of_its_identifier_and_is_none(published):
    clinic, _ = published
    shown = {row["ssn"] for row in dev_tables(clinic)["patients"]}
    assert len(shown) == 40
    assert all(re.fullmatch(r"\d{3}-\d{2}-\d{4}", str(token)) for token in shown)
    assert not shown & {person["ssn"] for person in patients()}


def test_what_is_safe_stays_as_it_was(published):
    clinic, _ = published
    tables = dev_tables(clinic)
    assert sorted(row["sex"] for row in tables["patients"]) == sorted(person["sex"] for person in patients())
    assert sorted(row["reason_code"] for row in tables["visits"]) == sorted(visit["reason_code"] for visit in visits())


def test_the_run_leaves_one_publication_record_in_an_intact_chain(published):
    clinic, answer = published
    wiring = clinic.wiring()
    records = query_records(wiring.audit_objects, run_id=answer["run_id"])
    about = [record.event for record in records if record.event.kind is AuditKind.DATASET_PUBLISHED]
    assert len(about) == 1
    details = about[0].details
    assert about[0].dataset_id == answer["dataset_id"]
    assert details["snapshot_id"] == answer["snapshot_id"]
    assert details["rules"]["patients"]["ssn"] == "format_token"
    assert details["rules"]["visits"][short_name("%ideal")] == "safe" and "%ideal" not in details["rules"]["visits"]
    assert details["token_mode"] == "keyed"
    assert details["key_versions"]["patient"] == 1
    assert details["scan"]["passed"] is True
    assert details["became_null"] == {"visits": {"due": 3}}
    assert min(each["lower_bound"] for each in details["scan"]["recall"] if each["kind"] == "ssn") >= 0.99
    assert verify_archive(wiring.audit_objects, head=wiring.audit_sink.head()).ok


def test_what_no_gate_can_judge_is_told(published):
    """A table nobody declared, dates that are none, a decision on a path that is not there; what was not searched and why."""
    _clinic, answer = published
    report = report_of(answer)
    page = Path(answer["report"]).read_text()
    assert answer["undeclared_tables"] == ["billing"]
    assert report["attention"] == {
        "undeclared_tables": ["billing"],
        "empty_tables": [],
        "warnings": [],
        "unknown_decisions": ["visits.form$.fee"],
        "became_null": [{"where": "visits.due", "what": "3"}],
        "given_up": [],
        "undescribed": [],
    }
    assert "Tables at the source that nobody declared" in page and "visits.due" in page
    assert {recall["kind"] for recall in report["known_recalls"]} >= {"ssn", "person_name"}
    assert report["searched"]["cells"] > 500 and report["searched"]["known_values"]["numbers"] >= 40


def test_a_second_refresh_has_the_same_tokens_and_the_first_stays_readable(published):
    clinic, first = published
    before = {row["id"] for row in dev_tables(clinic)["patients"]}
    second = clinic.refresh(fresh=True)
    assert {row["id"] for row in dev_tables(clinic)["patients"]} == before
    assert second["run_id"] != first["run_id"]
    assert second["dataset_id"] == first["dataset_id"]  # the same rows under the same keys
    record = query_records(clinic.wiring().audit_objects, run_id=second["run_id"])[-1].event  # it names the files that are there
    manifest = json.loads((Path(second["path"]) / "dataset.json").read_text())
    assert {t["name"]: t["commitment"] for t in record.details["tables"]} == {
        t["name"]: t["commitment"] for t in manifest["tables"]
    }
    assert record.details["files_of_run"] == manifest["run_id"] == first["run_id"]


def test_the_report_says_that_embedded_mode_is_not_for_production(published):
    _, answer = published
    assert report_of(answer)["production"] is False
    assert "Not for production" in Path(answer["report"]).read_text()


def test_nothing_is_left_in_staging(published):
    clinic, _ = published
    assert not list((clinic.lake / "staging").glob("*"))


def test_a_new_column_halts_the_run_and_pages_by_name(clinic):
    clinic.edit("sources/clinic.yaml", "sex: string}", "sex: string, nickname: string}")
    clinic.table("patients", [{**person, "nickname": f"Zanzibar{n}"} for n, person in enumerate(patients())])
    with pytest.raises(UnclassifiedColumns) as halted:
        clinic.refresh()
    pages = (clinic.lake / "restricted" / "pages.jsonl").read_text()
    assert "patients.nickname" in str(halted.value)
    assert json.loads(pages)["lines"] == ["patients.nickname"]
    (path,) = [line.removeprefix("report: ") for line in halted.value.which if line.startswith("report: ")]
    report = report_of({"report": path})
    assert report["asked"] == ["patients.nickname"] and report["evidence"][0]["names"] == ["person_name"]
    assert "Zanzibar" not in str(halted.value) + pages + Path(path).read_text()
    assert visible(clinic) is None
    assert not (clinic.lake / "dev").exists()


def test_after_review_the_run_goes_on_where_it_halted(clinic):
    clinic.edit("classification/clinic.yaml", "    sex: safe\n", "")
    begun: list[str] = []
    with pytest.raises(UnclassifiedColumns):
        clinic.refresh()
    clinic.edit("classification/clinic.yaml", "  visits:\n", "    sex: safe\n  visits:\n")
    steps = Quiet(at={name: (lambda name=name: begun.append(name)) for name in ("snapshot", "classify", "publish")})
    answer = Clinic(folder=clinic.folder, spark=clinic.spark, progress=steps).refresh()
    assert begun == ["classify", "publish"]
    assert visible(clinic).dataset_id == answer["dataset_id"]


def test_a_placeholder_that_a_shift_would_give_away_halts_the_run(clinic):
    unknown = [{**person, "birth_date": "1900-01-01" if n % 3 else person["birth_date"]} for n, person in enumerate(patients())]
    clinic.table("patients", unknown)
    with pytest.raises(UnclassifiedColumns, match=r"patients\.birth_date") as halted:
        clinic.refresh()
    events = [each.event for each in query_records(clinic.wiring().audit_objects)]
    (columns,) = [each.details["columns"] for each in events if each.kind is AuditKind.CLASSIFICATION_HALTED]
    pages = (clinic.lake / "restricted" / "pages.jsonl").read_text()
    assert "sentinels" in halted.value.next_step
    assert columns == ["patients.birth_date"]
    assert "patients.birth_date" in pages and "visits" not in pages
    assert "1900" not in str(halted.value) + pages
    (path,) = [line.removeprefix("report: ") for line in halted.value.which if line.startswith("report: ")]
    assert report_of({"report": path})["asked"] == []  # the column has its decision: none waits for one
    assert list((clinic.lake / "staging").rglob("*.parquet")) == []
    assert visible(clinic) is None


def test_a_safe_column_whose_content_turns_sensitive_halts_the_run(clinic):
    rows = visits()
    rows[7]["reason_code"] = patients()[7]["ssn"]
    clinic.table("visits", rows)
    with pytest.raises(UnclassifiedColumns, match=r"visits\.reason_code") as halted:
        clinic.refresh()
    assert patients()[7]["ssn"] not in str(halted.value)


def test_identifiers_in_the_output_quarantine_the_dataset(clinic):
    # a code that no pattern knows and that repeats, so the gate lets it pass; the residue scan knows whose number it is
    rows = [{**row, "reason_code": patients()[0]["id"].lower()} for row in visits()]
    clinic.table("visits", rows)
    with pytest.raises(IdentifiersFound, match=r"visits\.reason_code") as stopped:
        clinic.refresh()
    quarantined = list((clinic.lake / "staging" / "quarantine").iterdir())
    pages = (clinic.lake / "restricted" / "pages.jsonl").read_text()
    kinds = [record.event.kind for record in query_records(clinic.wiring().audit_objects)]
    assert visible(clinic) is None
    assert len(quarantined) == 1
    assert json.loads(pages)["lines"] == ["visits.reason_code"]
    assert AuditKind.DATASET_QUARANTINED in kinds
    assert not re.search(r"(?i)MRN7\d{5}", str(stopped.value) + pages)


def test_a_column_that_nobody_released_breaks_the_output_s_contract(clinic):
    """A staged table that holds more than the decisions leave stands for a rule that let a column through."""
    suite = clinic.folder / "expectations" / "clinic"
    suite.mkdir(parents=True)
    columns = {"patients": "id: string", "visits": "id: string, patient_id: string, seen_at: timestamp, reason_code: string"}
    lines = "".join(f"  {name}: {{columns: {{{described}}}}}\n" for name, described in columns.items())
    for side in ("source", "output"):
        (suite / f"{side}.yaml").write_text(f"tables:\n{lines}")
    clinic.edit("sources/clinic.yaml", "contracts: false", "contracts: true")
    clinic.edit("classification/clinic.yaml", "reason_code: safe", "reason_code: blocked")

    def let_a_column_through() -> None:
        wiring = clinic.wiring()
        (run,) = [path.name for path in (clinic.lake / "staging").iterdir()]
        path = wiring.layout.staged_table(run, "visits")
        rows = wiring.tables.spark.createDataFrame(
            [("a", "b", None, "c")], "id string, patient_id string, seen_at timestamp, reason_code string"
        )
        wiring.tables.delete_folder(path)
        assert wiring.tables.replace(path, rows) == 0

    steps = Quiet(at={"output-contracts": let_a_column_through})
    with pytest.raises(ContractBroken, match="visits: expect_table_columns_to_match_set") as broken:
        Clinic(folder=clinic.folder, spark=clinic.spark, progress=steps).refresh()
    assert broken.value.exit_code == 20
    assert len(list((clinic.lake / "staging" / "quarantine").iterdir())) == 1
    assert visible(clinic) is None
    (path,) = [line.removeprefix("report: ") for line in broken.value.which if line.startswith("report: ")]
    undescribed = report_of({"report": path})["attention"]["undescribed"]
    assert "patients.street (output)" in undescribed and "patients.street (source)" in undescribed


def test_a_quarantined_run_is_over_and_the_next_begins_anew(clinic):
    good = visits()
    clinic.table("visits", [{**row, "reason_code": patients()[0]["id"].lower()} for row in good])
    with pytest.raises(IdentifiersFound):
        clinic.refresh()
    clinic.table("visits", good)
    assert clinic.refresh()["dataset_id"] == visible(clinic).dataset_id


def test_a_rule_changed_while_a_run_was_halted_holds_for_all_of_it(clinic):
    def stop() -> None:
        raise AuditUnavailable("stopped on purpose")

    with pytest.raises(AuditUnavailable):
        Clinic(folder=clinic.folder, spark=clinic.spark, progress=Quiet(at={"publish": stop})).refresh()
    clinic.edit("classification/clinic.yaml", "ssn: {sensitive: {rule: token, domain: ssn}, kind: ssn}", "ssn: blocked")
    answer = clinic.refresh()
    folder = Path(answer["path"]) / "patients"
    wiring = clinic.wiring()
    listed = {Path(file.path).name for file in wiring.tables.data_files(str(folder))}
    assert "ssn" not in dev_tables(clinic)["patients"][0]
    assert {path.name for path in folder.glob("*.parquet")} == listed
    record = query_records(wiring.audit_objects, dataset_id=answer["dataset_id"])[-1]
    assert record.event.details["rules"]["patients"]["ssn"] == "blocked"


def test_keys_rotated_while_a_run_was_halted_do_not_mix_into_it(clinic):
    def stop() -> None:
        raise AuditUnavailable("stopped on purpose")

    with pytest.raises(AuditUnavailable):
        Clinic(folder=clinic.folder, spark=clinic.spark, progress=Quiet(at={"references": stop})).refresh(sample="40%")
    rotate_keys(clinic.wiring(), ["patient"])
    answer = clinic.refresh(sample="40%")
    record = query_records(clinic.wiring().audit_objects, dataset_id=answer["dataset_id"])[-1]
    assert record.event.details["key_versions"]["patient"] == 1


def test_released_free_text_is_cleaned_and_its_scan_is_sharp_enough(clinic):
    told = "{last_name} felt dizzy; seen with Danka Przeździecka, SSN {ssn}"
    clinic.table("visits", [{**row, "reason_code": told.format(**patients()[n // 3])} for n, row in enumerate(visits())])
    clinic.edit(
        "classification/clinic.yaml", "    reason_code: safe", "    reason_code: {sensitive: {rule: free_text, release: true}}"
    )
    answer = clinic.refresh()
    texts = {str(row["reason_code"]) for row in dev_tables(clinic)["visits"]}
    assert all(" felt dizzy; seen with [person_name], SSN " in text for text in texts)
    assert not [text for text in texts for name in (*LAST, "Danka", "Przeździecka") if name in text]
    assert not [text for text in texts for person in patients() if person["ssn"] in text]
    (names,) = [recall for recall in report_of(answer)["recalls"] if recall["kind"] == "person_name"]
    assert names["enforced"] and names["lower_bound"] >= names["floor"] == 0.9


def test_a_value_whose_format_no_token_can_keep_halts_the_run_and_is_not_shown(clinic):
    clinic.edit("classification/clinic.yaml", "ssn: {sensitive: {rule: token,", "ssn: {sensitive: {rule: format_token,")
    rows = patients()
    rows[3]["ssn"], rows[5]["ssn"] = "71-17", "200-11-400Ł"
    clinic.table("patients", rows)
    with pytest.raises(ContractBroken, match=r"patients\.ssn: 2 values") as broken:
        clinic.refresh()
    assert "71-17" not in str(broken.value)
    assert not clinic.wiring().tables.list_folder(f"{clinic.lake}/restricted/mappings")


def test_random_tokens_join_too(clinic):
    clinic.edit("classification/clinic.yaml", "token_mode: keyed", "token_mode: random")
    clinic.refresh()
    tables = dev_tables(clinic)
    assert {row["patient_id"] for row in tables["visits"]} == {row["id"] for row in tables["patients"]}
    assert len({row["id"] for row in tables["patients"]}) == 40


def test_a_missing_key_is_said_before_anything_is_written(clinic):
    clinic.edit("classification/clinic.yaml", "domain: visit", "domain: visitz")
    with pytest.raises(KeysUnavailable, match="visitz"):
        clinic.refresh()
    assert visible(clinic) is None


def test_a_broken_source_names_table_and_column_and_no_value(clinic):
    rows = patients()
    rows[3]["birth_date"] = "not-a-day-Xyzzy"
    clinic.table("patients", rows)
    with pytest.raises(ContractBroken, match=r"patients\.birth_date") as broken:
        clinic.refresh()
    assert "Xyzzy" not in str(broken.value)


def test_a_column_that_was_decided_on_and_vanished_stops_the_run(clinic):
    """No type, key or contract speaks of it: its decision does."""
    clinic.edit("sources/clinic.yaml", ", reason_code: string}", "}")
    clinic.edit("classification/clinic.yaml", "    sex: safe\n", "    sex: safe\n    notes$.mood: blocked\n")
    clinic.table("visits", [{k: v for k, v in row.items() if k != "reason_code"} for row in visits()])
    with pytest.raises(ContractBroken) as broken:
        clinic.refresh()
    assert {"  visits.reason_code", "  patients.notes"} <= set(broken.value.which)
    assert visible(clinic) is None
    assert not [path for path in (clinic.lake / "raw").rglob("*.parquet")]


def test_without_its_audit_archive_nothing_is_published(clinic):
    def take_the_archive_away() -> None:
        objects = clinic.lake / "audit" / "objects"
        objects.rename(objects.with_name("gone"))
        objects.write_text("not a folder")

    broken = Clinic(folder=clinic.folder, spark=clinic.spark, progress=Quiet(at={"publish": take_the_archive_away}))
    with pytest.raises(AuditUnavailable):
        broken.refresh()
    assert visible(clinic) is None


def test_two_runs_at_once_are_refused(clinic):
    with clinic.wiring().registry.lock("dev-refresh/clinic"), pytest.raises(RunLocked):
        clinic.refresh()


def test_a_caller_without_the_role_is_refused(clinic):
    clinic.edit("environments/embedded.yaml", "[pipeline, steward]", "[engineer]")
    with pytest.raises(NotAllowed, match="pipeline"):
        clinic.refresh()


def test_a_sample_is_referentially_complete(clinic):
    answer = clinic.refresh(sample="30%")
    tables = dev_tables(clinic)
    people = {row["id"] for row in tables["patients"]}
    assert 0 < len(people) < 40
    assert {row["patient_id"] for row in tables["visits"]} == people
    assert len(tables["visits"]) == 3 * len(people)
    assert answer["tables"][0]["rows_out"] == len(people)
    wiring = clinic.wiring()  # what is searched for is everybody's, those who were left out included
    known = wiring.tables.read(wiring.layout.known_values(answer["run_id"]))
    assert known.filter("kind = 'ssn' AND length = 9").count() == 40


def test_a_surname_alone_is_no_finding(published):
    _clinic, answer = published
    report = report_of(answer)
    assert report["outcome"] == "published"
    assert not [finding for finding in report["findings"] if finding["severity"] == "finding"]
    assert len(LAST) == 8
