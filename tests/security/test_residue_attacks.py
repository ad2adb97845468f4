"""Identifiers of the source smuggled into an output: every hiding place is found, and nothing tells what was found."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.detection_rules import evidence_rules
from tests.spec.publish.residue_data import (
    CLASSIFICATION,
    KEY,
    PATIENT_COLUMNS,
    PATIENT_ROWS,
    SAFE,
    scan_means,
    sensitive,
)

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.classify.evidence import build_evidence
from wardlake.detect.scan import scan_table
from wardlake.model.treatments import Bucket, Classification, Constant, Decision, Drop, Generalise, Null, Verdict
from wardlake.model.treatments import IdentifierKind as Kind
from wardlake.model.zones import LakeLayout
from wardlake.publish.residue.known_values.collection import collect_known_values
from wardlake.publish.residue.known_values.hashing import hash_key
from wardlake.publish.residue.known_values.index import KnownValues, load_known_values
from wardlake.publish.residue.known_values.kinds import infer_kinds
from wardlake.publish.residue.scan import ResidueReport, count_residue, judge_residue
from wardlake.publish.verify_dataset import read_known_values

SECRETS = ("512-35-9473", "512359473", "Oberholtzer", "OBERHOLTZER", "willa.ober", "3026646860", "664-6860", "Ritchie")
MEANS = scan_means()

# Column by column of one wide table: what is hidden there, and as which kind it must be found
ATTACKS = {
    "free_text": ("'pt seen, ssn is 512 35 9473, stable'", Kind.SSN),
    "json": ("""'{"a": {"b": [{"note": "512-35-9473"}]}}'""", Kind.SSN),
    "json_key": ("""'{"512-35-9473": 1}'""", Kind.SSN),
    "url": ("'https://portal.example/p?who=Wilhelmina%20Oberholtzer'", Kind.PERSON_NAME),
    "file_name": ("'scan_oberholtzer_wilhelmina_2024.pdf'", Kind.PERSON_NAME),
    "array": ("array('x', '512-35-9473')", Kind.SSN),
    "map_key": ("map('512-35-9473', 'x')", Kind.SSN),
    "map_value": ("map('x', 'Oberholtzer, Wilhelmina')", Kind.PERSON_NAME),
    "struct": ("named_struct('deep', named_struct('er', '(302) 664-6860'))", Kind.PHONE),
    "array_of_structs": ("array(named_struct('m', 'WILLA.OBER@POSTBOX.NET'))", Kind.EMAIL),
    "long_digits": ("'00512359473001'", Kind.SSN),
    "a_number": ("512359473L", Kind.SSN),
    "a_decimal": ("cast(512359473 as decimal(20, 2))", Kind.SSN),
    "full_width": (r"'\uff15\uff11\uff12-\uff13\uff15-\uff19\uff14\uff17\uff13'", Kind.SSN),
    "arabic_digits": (r"'\u0665\u0661\u0662\u0663\u0665\u0669\u0664\u0667\u0663'", Kind.SSN),
    "zero_width": (r"'51\u200b2-3\u200d5-94\ufeff73'", Kind.SSN),
    "upper_case": ("'WILHELMINA OBERHOLTZER'", Kind.PERSON_NAME),
    "reversed": ("'Oberholtzer, Wilhelmina'", Kind.PERSON_NAME),
    "no_accents": ("'jose obrien nunez'", Kind.PERSON_NAME),
    "decomposed": (r"'Jose\u0301 O\u2019Brien-Nun\u0303ez'", Kind.PERSON_NAME),
    "address": ("'moved to 560 RITCHIE WAY #68'", Kind.STREET_ADDRESS),
    "an_id_in_a_path": ("'/img/1e621f4cdb30c27349e92dcad508a9cb/1.dcm'", Kind.UNIQUE_CODE),
    "ten_megabytes": ("concat(repeat('lorem ipsum ', 900000), 'Wilhelmina Oberholtzer')", Kind.PERSON_NAME),
}


@pytest.fixture(scope="module")
def lake(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[DeltaTables, LakeLayout]:
    return DeltaTables(spark), LakeLayout(str(tmp_path_factory.mktemp("lake")))


@pytest.fixture(scope="module")
def report(lake: tuple[DeltaTables, LakeLayout]) -> ResidueReport:
    """The verdict on a staged table that hides one identifier in every column, all of them decided safe."""
    tables, layout = lake
    policy = MEANS.policy
    patients = tables.spark.createDataFrame(PATIENT_ROWS, ", ".join(f"`{name}` string" for name in PATIENT_COLUMNS))
    collected = collect_known_values(
        {"patients": patients}, CLASSIFICATION, policy=policy.known_values, key=KEY, birth_words=policy.birth_words
    )
    tables.replace(layout.known_values("r1"), collected)
    known = read_known_values(tables, layout, "r1", key=KEY, policy=policy.known_values)
    path = layout.staged_table("r1", "loot")
    tables.replace(path, hidden(tables.spark))
    decided = Classification(
        source="clinic",
        profile=CLASSIFICATION.profile,
        token_mode=CLASSIFICATION.token_mode,
        tables={"loot": dict.fromkeys(ATTACKS, SAFE)},
    )
    counts = count_residue(tables, {"loot": path}, decided, known, means=MEANS, expected_rows={"loot": 1})
    return judge_residue(counts, decided, known, means=MEANS)


def hidden(spark: SparkSession) -> DataFrame:
    return spark.sql("SELECT " + ", ".join(f"{expression} AS `{name}`" for name, (expression, _) in ATTACKS.items()))


@pytest.mark.parametrize("place", ATTACKS)
def test_a_hidden_identifier_is_found(report: ResidueReport, place: str) -> None:
    found = {
        f.kind
        for f in report.findings
        if f.detector.startswith("known-") and f.column.replace("[", ".").replace("$", ".").split(".")[0] == place
    }
    assert ATTACKS[place][1] in found


def test_nothing_tells_what_was_found(report: ResidueReport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = repr(report) + caplog.text
    try:
        report.require_clean()
    except Exception as error:
        told += str(error) + repr(error)
    assert "loot.upper_case" in told
    assert not [secret for secret in SECRETS if secret in told]


def test_the_restricted_zone_keeps_hashes_without_values_or_key(
    report: ResidueReport, lake: tuple[DeltaTables, LakeLayout]
) -> None:
    tables, layout = lake
    assert report.findings
    kept = [file.read_bytes() for file in Path(layout.known_values("r1")).rglob("*") if file.is_file()]
    rows = str(tables.read(layout.known_values("r1")).collect())
    key_texts = [KEY, hash_key(KEY), KEY.hex().encode(), hash_key(KEY).hex().encode()]
    assert kept and not [body for body in kept for secret in key_texts if secret in body]
    assert not [secret for secret in SECRETS if secret in rows or any(secret.encode() in body for body in kept)]


# Columns that are treated and whose decision does not say what they hold, each with a value of theirs and where it turns up
SILENT_DECISIONS = {
    "GUARDIAN_NAME": Decision(verdict=Verdict.BLOCKED),
    "LEGACY": Decision(verdict=Verdict.BLOCKED),
    "SSN": sensitive(Null()),
    "HOME_PHONE": sensitive(Drop()),
    "MEMBER_ID": sensitive(Constant(value="x")),
    "STREET": sensitive(Generalise(to={}, other="somewhere")),
    "CHART_NUMBER": sensitive(Bucket(width=1000)),
    "EMAIL": Decision(verdict=Verdict.BLOCKED),
    "contact": Decision(verdict=Verdict.BLOCKED),
    "doc": Decision(verdict=Verdict.BLOCKED),
    "ward": Decision(verdict=Verdict.BLOCKED),
    "remark": Decision(verdict=Verdict.BLOCKED),
}
SILENT_ATTACKS = {
    "guardian_in_a_note": ("'guardian Temperance Vandermolen 7'", Kind.PERSON_NAME),
    "code_in_a_path": ("'/scans/LG-0000007-KX.dcm'", Kind.UNIQUE_CODE),
    "nulled_ssn": ("'id 412 55 1007 seen'", Kind.SSN),
    "dropped_phone": ("'call 302 664 1007'", Kind.PHONE),
    "constant_member": ("'policy HX 90000007'", Kind.ACCOUNT),
    "generalised_street": ("'107 THISTLEWICK LN'", Kind.STREET_ADDRESS),
    "bucketed_chart": ("'chart 88100007'", Kind.MRN),
    "blocked_email": ("'SOMEONE7@POSTBOX.NET'", Kind.EMAIL),
    "field_of_a_blocked_struct": ("'tel. 484-371-1007'", Kind.PHONE),
    "value_of_a_blocked_document": ("'plate or licence D4410007'", Kind.DRIVING_LICENCE),
}


@pytest.fixture(scope="module")
def silent_report(lake: tuple[DeltaTables, LakeLayout]) -> ResidueReport:
    """The verdict on an output that gives away values of columns decided without a word on what they hold."""
    tables, _ = lake
    people = tables.spark.range(60).selectExpr(
        "concat('Temperance Vandermolen ', id) GUARDIAN_NAME", "format_string('LG-%07d-KX', id) LEGACY",
        "format_string('412-55-%04d', 1000 + id) SSN", "format_string('302-664-%04d', 1000 + id) HOME_PHONE",
        "format_string('HX-%08d', 90000000 + id) MEMBER_ID", "concat(100 + id, ' Thistlewick Lane') STREET",
        "88100000 + id CHART_NUMBER", "concat('someone', id, '@postbox.net') EMAIL",
        "named_struct('phone', format_string('484-371-%04d', 1000 + id)) contact",
        """concat('{"driving_licence": "D441', format_string('%04d', id), '"}') doc""",
        "element_at(array('Ward North-1', 'Ward South-2'), 1 + int(id % 2)) ward",
        "concat('seen on ward ', id, ' and then sent home again in the evening') remark",
    )  # fmt: skip
    tables.replace(str(Path(lake[1].root) / "people"), people)
    kept = tables.read(str(Path(lake[1].root) / "people"))
    silent = replace(CLASSIFICATION, tables={"people": SILENT_DECISIONS})
    counts = scan_table(
        tables.spark, tables.data_files(str(Path(lake[1].root) / "people")), kept.schema, MEANS.matchers, with_shapes=True
    )
    columns = infer_kinds(silent, build_evidence("people", counts, evidence_rules()), MEANS.policy.known_values)
    assert {where.path for where in columns.left_out} == {"ward"}
    collected = collect_known_values(
        {"people": kept}, silent, policy=MEANS.policy.known_values, key=KEY,
        birth_words=MEANS.policy.birth_words, inferred=columns.inferred,
    )  # fmt: skip
    known = load_known_values(collected, key=KEY, policy=MEANS.policy.known_values)
    return judge_loot(lake, known, {**SILENT_ATTACKS, "a_category": ("'Ward North-1'", None), "a_remark": (REMARK, None)})


REMARK = "'seen on ward 7 and then sent home again in the evening'"


def judge_loot(lake: tuple[DeltaTables, LakeLayout], known: KnownValues, attacks: Mapping[str, tuple[str, Any]]) -> ResidueReport:
    """The verdict on one row whose columns, all decided safe, hold these expressions."""
    tables, layout = lake
    path = layout.staged_table("r2", "loot")
    tables.replace(path, tables.spark.sql("SELECT " + ", ".join(f"{text} AS `{name}`" for name, (text, _) in attacks.items())))
    decided = replace(CLASSIFICATION, tables={"loot": dict.fromkeys(attacks, SAFE)})
    counts = count_residue(tables, {"loot": path}, decided, known, means=MEANS, expected_rows={"loot": 1})
    return judge_residue(counts, decided, known, means=MEANS)


@pytest.mark.parametrize("place", SILENT_ATTACKS)
def test_values_of_columns_that_do_not_say_what_they_hold_are_found(silent_report: ResidueReport, place: str) -> None:
    found = {f.kind for f in silent_report.findings if f.detector.startswith("known-") and f.column == place}
    assert SILENT_ATTACKS[place][1] in found


def test_categories_and_sentences_of_such_columns_are_not_looked_for(silent_report: ResidueReport) -> None:
    found = {f.column for f in silent_report.findings if f.detector.startswith("known-")}
    assert not found & {"a_category", "a_remark"}
