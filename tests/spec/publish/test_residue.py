"""The residue scan's verdict: what stops a run, what is only reported, and that a clean output passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spec.publish.residue_data import (
    CLASSIFICATION,
    CLEAN_PATIENTS,
    CLEAN_VISITS,
    KEY,
    PATIENT_COLUMNS,
    PATIENT_ROWS,
    SAFE,
    VISITS,
    scan_means,
    sensitive,
    surrogate,
)

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.detect.counting import CellCounts
from wardlake.model.errors import IdentifiersFound
from wardlake.model.evidence import CanaryRecall
from wardlake.model.treatments import (
    RULES_ALLOWED,
    DateShift,
    Decision,
    FormatToken,
    FreeText,
    Profile,
    Rule,
    Surrogate,
    SurrogateKind,
    Token,
    Verdict,
)
from wardlake.model.treatments import IdentifierKind as Kind
from wardlake.model.zones import LakeLayout
from wardlake.publish.residue.known_values.collection import collect_known_values
from wardlake.publish.residue.known_values.index import Chances, KnownValues
from wardlake.publish.residue.linkage.counts import LinkCounts
from wardlake.publish.residue.scan import ResidueReport, count_residue, judge_residue
from wardlake.publish.residue.verdict import decision_for, is_no_accident, kinds_by_design
from wardlake.publish.verify_dataset import read_known_values, verify_dataset

MEANS = scan_means()
PATIENT_TYPES = ", ".join(f"`{name}` string" for name in PATIENT_COLUMNS)
VISIT_TYPES = ", ".join(f"`{name}` string" for name in VISITS)


@pytest.fixture(scope="module")
def kept(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[DeltaTables, LakeLayout]:
    """A lake whose restricted zone keeps the known values of run `r1`."""
    tables, layout = DeltaTables(spark), LakeLayout(str(tmp_path_factory.mktemp("lake")))
    patients = spark.createDataFrame(PATIENT_ROWS, PATIENT_TYPES)
    policy = MEANS.policy
    collected = collect_known_values(
        {"patients": patients}, CLASSIFICATION, policy=policy.known_values, key=KEY, birth_words=policy.birth_words
    )
    tables.replace(layout.known_values("r1"), collected)
    return tables, layout


@pytest.fixture(scope="module")
def known(kept: tuple[DeltaTables, LakeLayout]) -> KnownValues:
    values = read_known_values(*kept, "r1", key=KEY, policy=MEANS.policy.known_values)
    assert values is not None
    return values


def patients_with(**cells: str) -> list[tuple[str | None, ...]]:
    """The clean patients, the first row's cells replaced."""
    first = dict(zip(PATIENT_COLUMNS, CLEAN_PATIENTS[0], strict=True)) | cells
    return [tuple(first.values()), *CLEAN_PATIENTS[1:]]


def scan(
    tables: DeltaTables, known: KnownValues, folder: Path, patients: list[tuple[str | None, ...]], visits: DataFrame | None = None
) -> ResidueReport:
    spark = tables.spark
    staged = {"patients": str(folder / "patients"), "visits": str(folder / "visits")}
    tables.replace(staged["patients"], spark.createDataFrame(patients, PATIENT_TYPES))
    tables.replace(staged["visits"], visits if visits is not None else spark.createDataFrame(CLEAN_VISITS, VISIT_TYPES))
    counts = count_residue(tables, staged, CLASSIFICATION, known, means=MEANS, expected_rows={"patients": len(patients)})
    return judge_residue(counts, CLASSIFICATION, known, means=MEANS)


def seen(report: ResidueReport) -> set[tuple[str, Kind, str]]:
    return {(f"{f.table}.{f.column}", f.kind, f.detector) for f in report.findings}


def test_a_clean_output_passes(kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path) -> None:
    report = scan(kept[0], known, tmp_path, CLEAN_PATIENTS)
    assert report.passed and not report.notices
    report.require_clean()


def test_a_single_known_name_is_reported_and_does_not_stop_the_run(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path
) -> None:
    report = scan(kept[0], known, tmp_path, patients_with(FIRST="Wilhelmina"))
    assert report.passed
    assert [(n.column, n.kind, n.detector) for n in report.notices] == [("FIRST", Kind.PERSON_NAME, "known-name")]


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ({"BIRTHDATE": "1957-03-09"}, ("FIRST+LAST+BIRTHDATE", Kind.DATE)),
        ({"ADDRESS": "560 Ritchie Way, Suite 68"}, ("FIRST+LAST+ADDRESS", Kind.STREET_ADDRESS)),
        ({"PHONE": "302.664.6860"}, ("FIRST+LAST+PHONE", Kind.PHONE)),
    ],
)
def test_a_full_name_beside_a_birth_date_address_or_phone_of_one_person_stops_the_run(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path, cells: dict[str, str], found: tuple[str, Kind]
) -> None:
    report = scan(kept[0], known, tmp_path, patients_with(FIRST="Wilhelmina", LAST="Oberholtzer", **cells))
    assert (f"patients.{found[0]}", found[1], "linkage") in seen(report)


def test_a_full_name_beside_another_persons_birth_date_is_no_link(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path
) -> None:
    report = scan(kept[0], known, tmp_path, patients_with(FIRST="Wilhelmina", LAST="Oberholtzer", BIRTHDATE="1988-11-30"))
    assert not {f for f in seen(report) if f[2] == "linkage"}


def test_an_exact_birth_date_with_its_zip_stops_the_run(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path
) -> None:
    report = scan(kept[0], known, tmp_path, patients_with(BIRTHDATE="1988-11-30", ZIP="19958"))
    assert ("patients.BIRTHDATE+ZIP", Kind.ZIP, "linkage") in seen(report)


def test_surrogates_that_passed_through_stop_the_run(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path
) -> None:
    """Both names kept, all else replaced: nothing links, yet more names are known than exchanged ones would be."""
    place = PATIENT_COLUMNS.index
    mixed = [
        tuple(raw[at] if name in {"FIRST", "MIDDLE", "LAST"} else clean[at] for at, name in enumerate(PATIENT_COLUMNS))
        for raw, clean in zip(PATIENT_ROWS, CLEAN_PATIENTS, strict=True)
    ]
    assert mixed[0][place("LAST")] == "Oberholtzer"
    assert ("patients.FIRST+LAST", Kind.PERSON_NAME, "linkage") in seen(scan(kept[0], known, tmp_path, mixed))


def test_values_of_the_wrong_kind_stop_the_run(kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path) -> None:
    visits = kept[0].spark.createDataFrame(
        [("x", "y", "2024-03-19", "mail to zoe@faraway.example", "1"), ("x", "y", "219-09-9999", "n", "1")], VISIT_TYPES
    )
    report = scan(kept[0], known, tmp_path, CLEAN_PATIENTS, visits)
    assert {("visits.NOTE", Kind.EMAIL, "pattern"), ("visits.START", Kind.SSN, "pattern")} <= seen(report)


def test_the_error_names_columns_and_kinds_and_no_value(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path
) -> None:
    report = scan(kept[0], known, tmp_path, patients_with(MRN="512-35-9473"))
    with pytest.raises(IdentifiersFound) as raised:
        report.require_clean()
    assert raised.value.exit_code == 11
    assert "patients.MRN: ssn by known-value in 1 cells" in str(raised.value)
    assert "9473" not in str(raised.value) and "9473" not in repr(report)


def test_a_scan_too_blind_stops_the_run() -> None:
    recall = CanaryRecall(kind=Kind.SSN, planted=1000, found=980, lower_bound=0.9712, floor=0.99)
    report = ResidueReport(findings=(), notices=(), recall=(recall,))
    assert not report.passed
    with pytest.raises(IdentifiersFound, match="recall of ssn"):
        report.require_clean()


def test_a_published_dataset_is_scanned_again_with_the_values_kept(
    kept: tuple[DeltaTables, LakeLayout], known: KnownValues, tmp_path: Path
) -> None:
    tables = kept[0]
    path = str(tmp_path / "patients")
    tables.replace(path, tables.spark.createDataFrame(patients_with(UDI="serial 408828821111378"), PATIENT_TYPES))
    few = replace(MEANS, policy=replace(MEANS.policy, recall=replace(MEANS.policy.recall, canaries_per_kind=20)))
    report = verify_dataset(tables, {"patients": path}, CLASSIFICATION, known, means=few, verification_id="v1")
    assert ("patients.UDI", Kind.DEVICE, "known-digits") in seen(report)
    assert {r.planted for r in (*report.recall, *report.known_recall)} == {20}
    assert read_known_values(tables, kept[1], "no-such-run", key=KEY, policy=MEANS.policy.known_values) is None


# --- the verdict alone, over counts ------------------------------------------------------------------------------------


def judge(counts: CellCounts, decision: Decision, chance: float = 0.0) -> set[tuple[str, str]]:
    from wardlake.publish.residue.verdict import judge_column

    both = Chances(numbers={Kind.SSN: chance}, formats={Kind.SSN: chance})
    said = judge_column("t", counts, decision, sift=MEANS.sift, chance=both, policy=MEANS.policy)
    return {(f.detector, f.severity) for f in said}


def column(*, rows: int = 1000, **hits: int) -> CellCounts:
    counted = {(name.replace("_", "-"), Kind.SSN): count for name, count in hits.items()}
    return CellCounts(
        path="c", type="string", rows=rows, nulls=0, distinct_estimate=rows, hits=counted, distinct_hits=counted, texts=rows
    )


def test_bare_numbers_are_judged_against_what_accident_gives() -> None:
    assert judge(column(known_digits=1), SAFE, chance=1e-6) == {("known-digits", "finding")}
    assert judge(column(known_digits=1), SAFE, chance=1e-3) == {("known-digits", "notice")}
    assert judge(column(known_digits=900), SAFE, chance=1e-3) == {("known-digits", "finding")}


@pytest.mark.parametrize("decision", [SAFE, sensitive(Token(domain="patient"))])
def test_a_copied_column_is_found_where_as_many_numbers_are_known_as_there_can_be(decision: Decision) -> None:
    million = 1_000_000
    assert judge(column(rows=million, known_digits=million), decision, chance=1.0) == {("known-digits", "finding")}
    assert judge(column(rows=million, known_digits=632_000), decision, chance=1.0) == {("known-digits", "notice")}


def test_what_reads_like_a_name_counts_in_released_text_alone() -> None:
    hits = {("text-name", Kind.PERSON_NAME): 1}
    one = replace(column(), hits=hits, distinct_hits=hits)
    assert judge(one, sensitive(FreeText(release=True))) == {("text-name", "finding")}
    assert judge(one, SAFE) == judge(one, sensitive(FreeText())) == set()


def test_the_boundary_of_accident() -> None:
    """One hit among n texts that each hit with a small probability p has probability n p, about."""
    rare, texts = MEANS.policy.chance.rare, 1_000_000
    assert not is_no_accident(0, texts, 0.0, rare)
    assert is_no_accident(1, texts, 0.0, rare)
    assert is_no_accident(1, texts, rare * 0.99 / texts, rare)
    assert not is_no_accident(1, texts, rare * 1.01 / texts, rare)
    assert not is_no_accident(12, texts, 6.0 / texts, rare) and is_no_accident(16, texts, 6.0 / texts, rare)


def test_a_format_token_may_equal_known_values_by_accident_and_not_be_copied() -> None:
    """Forty thousand social security numbers: 1.6 tokens equal one of them by accident."""
    keeping, many = sensitive(FormatToken(domain="ssn"), Kind.SSN), 40_000
    for hits in (1, 4, 9):
        assert judge(column(rows=many, known_value=hits), keeping, many / 1e9) == {("known-value", "notice")}
    for hits in (25, many // 100, many):
        assert judge(column(rows=many, known_value=hits), keeping, many / 1e9) == {("known-value", "finding")}
    assert judge(column(rows=3, known_value=1), keeping, 3 / 1e9) == {("known-value", "finding")}
    for rule in (SAFE, sensitive(Token(domain="ssn"), Kind.SSN)):
        assert judge(column(rows=many, known_value=1), rule, many / 1e9) == {("known-value", "finding")}


def test_a_number_s_token_is_judged_as_strictly_as_a_format_token() -> None:
    """Seven hits where 1.6 are expected: too many for text that is no token, not for a permuted number."""
    number = replace(column(rows=40_000, known_digits=7), type="bigint")
    copied = replace(column(rows=40_000, known_digits=40_000), type="bigint")
    keeping = sensitive(Token(domain="ssn"), Kind.SSN)
    assert judge(number, keeping, 1.6 / 40_000) == {("known-digits", "notice")}
    assert judge(number, SAFE, 1.6 / 40_000) == {("known-digits", "finding")}
    assert judge(replace(number, type="string"), keeping, 1.6 / 40_000) == {("known-digits", "finding")}
    assert judge(copied, keeping, 1.6 / 40_000) == {("known-digits", "finding")}


def test_a_format_token_is_of_whatever_kind_has_its_format() -> None:
    """A permuted social security number reads like a telephone number now and then."""
    for kind in (Kind.PHONE, Kind.SSN, Kind.CREDIT_CARD):
        hits = {("pattern", kind): 7}
        assert judge(replace(column(), hits=hits, distinct_hits=hits), sensitive(FormatToken(domain="ssn"), Kind.SSN)) == set()


def test_the_chance_of_a_format_is_known_values_over_values_of_that_length(known: KnownValues) -> None:
    of_format, of_numbers = known.chance.formats, known.chance.numbers
    assert of_format[Kind.SSN] == pytest.approx(len({row[1] for row in PATIENT_ROWS}) / 1e9)
    assert of_numbers[Kind.SSN] == pytest.approx(8 * of_format[Kind.SSN])  # in a run of 16 digits, 8 places
    assert 0 < of_format[Kind.DRIVING_LICENCE] < 1e-6  # a letter and digits


def test_dropped_nulled_and_blocked_columns_must_be_empty() -> None:
    blocked = Decision(verdict=Verdict.BLOCKED)
    assert judge(column(rows=3), blocked) == {("blocked", "finding")}
    assert judge(CellCounts(path="c", type="string", rows=3, nulls=3, distinct_estimate=0), blocked) == set()


def test_a_surrogate_may_equal_a_known_value_once_and_not_often() -> None:
    def phones(count: int) -> CellCounts:
        hits = {("known-value", Kind.PHONE): count}
        return replace(column(), hits=hits, distinct_hits=hits)

    decision = surrogate(SurrogateKind.PHONE)
    assert judge(phones(1), decision) == {("known-value", "notice")}
    assert judge(phones(500), decision) == {("known-value", "finding")}


def test_a_surrogate_of_an_organisation_may_equal_one_of_the_sources() -> None:
    rule = Surrogate(kind=SurrogateKind.ORGANISATION, domain="organization")
    hits = {("known-value", Kind.UNIQUE_CODE): 1}
    one = replace(column(), hits=hits, distinct_hits=hits)
    assert judge(one, sensitive(rule, Kind.UNIQUE_CODE)) == {("known-value", "notice")}
    assert judge(one, sensitive(rule)) == {("known-value", "finding")}


def test_names_are_weighed_against_exchanged_last_names() -> None:
    from wardlake.publish.residue.verdict import judge_links

    def severity(cells: int, mixed: int) -> list[str]:
        link = LinkCounts(table="t", columns="F+L", kind=Kind.PERSON_NAME, cells=cells, mixed=mixed, rows=1000)
        return [f.severity for f in judge_links([link], {}, MEANS.policy)]

    assert severity(0, 0) == []
    assert severity(1, 0) == ["notice"]
    assert severity(300, 280) == ["notice"]
    assert severity(1000, 2) == ["finding"]


def test_links_of_columns_decided_safe_are_reported() -> None:
    from wardlake.publish.residue.verdict import judge_links

    link = LinkCounts(table="t", columns="B+Z", kind=Kind.ZIP, cells=5, mixed=0, rows=10)
    (reported,) = judge_links([link], {"t": {"B": SAFE, "Z": SAFE}}, MEANS.policy)
    (stopped,) = judge_links([link], {"t": {"B": sensitive(DateShift()), "Z": SAFE}}, MEANS.policy)
    assert (reported.severity, stopped.severity) == ("notice", "finding")


def test_every_rule_says_what_it_writes() -> None:
    names = {rule for allowed in RULES_ALLOWED.values() for rule in allowed}
    rules = [kind for kind in Rule.__args__]
    assert {kind.__dataclass_fields__["rule"].default for kind in rules} == names | {"date_shift", "free_text", "format_token"}
    needed = {"domain": "d", "kind": SurrogateKind.CITY, "pattern": "(x)", "value": "v", "to": {}}
    for kind in rules:
        fields = kind.__dataclass_fields__
        rule = kind(**{name: value for name, value in needed.items() if name in fields})
        assert isinstance(kinds_by_design(sensitive(rule)), frozenset)
    assert Profile.EXPERT in RULES_ALLOWED


def test_a_path_within_a_decided_column_takes_its_decision() -> None:
    decisions = {"doc": sensitive(FreeText()), "doc$.id": sensitive(Token(domain="d")), "list[].x": SAFE}
    assert decision_for("doc$.id", decisions) is decisions["doc$.id"]
    assert decision_for("doc$.id[]", decisions) is decisions["doc$.id"]
    assert decision_for("doc$.other.deep", decisions) is decisions["doc"]
    assert decision_for("else", decisions) is None
