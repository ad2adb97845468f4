"""Known values of the source are recognised in whatever spelling, and stored as keyed hashes only."""

from __future__ import annotations

import hashlib
import pickle
import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spec.publish.residue_data import CLASSIFICATION, KEY, PATIENT_COLUMNS, PATIENT_ROWS, residue_policy, sensitive

from wardlake.detect.path_texts import has_path, select_path
from wardlake.model.identifiers import ColumnPath
from wardlake.model.treatments import Classification, Profile, Surrogate, SurrogateKind, Token, TokenMode
from wardlake.model.treatments import IdentifierKind as Kind
from wardlake.publish.residue.canaries.known import draw_known_canaries
from wardlake.publish.residue.known_values.collection import collect_known_values, key_relation
from wardlake.publish.residue.known_values.forms import list_forms
from wardlake.publish.residue.known_values.hashing import hash_key, hash_texts
from wardlake.publish.residue.known_values.index import KnownValues, build_known_values, load_known_values
from wardlake.publish.residue.known_values.matcher import known_matchers
from wardlake.publish.residue.known_values.policy import known_kind
from wardlake.publish.residue.linkage.columns import find_person_columns
from wardlake.publish.residue.recall import add_planted, lower_bound

POLICY = residue_policy()
_ARABIC = "\u0665\u0661\u0662\u0663\u0665\u0669\u0664\u0667\u0663"


def collect(patients: DataFrame, key: bytes = KEY) -> DataFrame:
    return collect_known_values(
        {"patients": patients},
        CLASSIFICATION,
        policy=POLICY.known_values,
        key=key,
        birth_words=POLICY.birth_words,
    )


@pytest.fixture(scope="module")
def patients(spark: SparkSession) -> DataFrame:
    return spark.createDataFrame(PATIENT_ROWS, ", ".join(f"`{name}` string" for name in PATIENT_COLUMNS))


@pytest.fixture(scope="module")
def known(patients: DataFrame) -> KnownValues:
    return load_known_values(collect(patients), key=KEY, policy=POLICY.known_values)


def found(known: KnownValues, text: str) -> set[tuple[str, Kind]]:
    values = pa.array(["nothing to see", text, ""])
    hits = set()
    for matcher in known_matchers(known):
        for kind, mask in matcher.match(values).items():
            assert mask.to_pylist()[0] is False and mask.to_pylist()[2] is False
            if mask.to_pylist()[1]:
                hits.add((matcher.name, kind))
    return hits


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("512-35-9473", Kind.SSN),
        ("SSN 512 35 9473 on file", Kind.SSN),
        ("\uff15\uff11\uff12-\uff13\uff15-\uff19\uff14\uff17\uff13", Kind.SSN),
        ("512\u200b-35-\u200b9473", Kind.SSN),
        ("seen, 417-09-3388, discharged", Kind.SSN),
        ("(302) 664-6860", Kind.PHONE),
        ("call +1 302.664.6860 now", Kind.PHONE),
        ("484/371-9025", Kind.PHONE),
        ("mr0044718", Kind.MRN),
        ("see chart MR 0044718.", Kind.MRN),
        ("licence s99962708", Kind.DRIVING_LICENCE),
        ("560 RITCHIE WAY STE 68", Kind.STREET_ADDRESS),
        ("lives at 560 ritchie way", Kind.STREET_ADDRESS),
        ("17 S. Clover St", Kind.STREET_ADDRESS),
        ("Willa.Ober@PostBox.net", Kind.EMAIL),
        ("WILHELMINA OBERHOLTZER", Kind.PERSON_NAME),
        ("Oberholtzer, Wilhelmina", Kind.PERSON_NAME),
        ("Mrs Wilhelmina Rose Oberholtzer was seen", Kind.PERSON_NAME),
        ("scan_wilhelmina-oberholtzer.pdf", Kind.PERSON_NAME),
        ("wilhelminaoberholtzer", Kind.PERSON_NAME),
        ("Jose OBrien Nunez", Kind.PERSON_NAME),
        ("https://x.example/p?name=Wilhelmina%20Oberholtzer", Kind.PERSON_NAME),
        ("{'n': 'Jos\\u00e9 O Brien-Nu\\u00f1ez'}", Kind.PERSON_NAME),
        ("1E621F4C-DB30-C273-49E9-2DCAD508A9CB", Kind.UNIQUE_CODE),
        ("/files/1e621f4c-db30-c273-49e9-2dcad508a9cb/scan.png", Kind.UNIQUE_CODE),
        ("urn:uuid:1e621f4cdb30c27349e92dcad508a9cb", Kind.UNIQUE_CODE),
        ("(01)28139969173882(11)191214(17)441228(10)8810(21)408828821111378", Kind.DEVICE),
    ],
)
def test_a_known_value_is_found_however_it_is_written(known: KnownValues, text: str, kind: Kind) -> None:
    assert ("known-value", kind) in found(known, text)


@pytest.mark.parametrize("text", ["512359473", "ref 00512359473001", "id512359473x", _ARABIC])
def test_a_known_number_is_found_as_bare_digits_and_inside_longer_ones(known: KnownValues, text: str) -> None:
    assert found(known, text) == {("known-digits", Kind.SSN)}


def test_a_serial_number_of_a_device_is_found_without_the_rest(known: KnownValues) -> None:
    assert ("known-digits", Kind.DEVICE) in found(known, "pump serial 408828821111378")


def test_a_single_name_is_told_apart_from_a_full_one(known: KnownValues) -> None:
    assert found(known, "Wilhelmina reports pain") == {("known-name", Kind.PERSON_NAME)}


@pytest.mark.parametrize(
    "text",
    [
        "Allergy to substance (finding)",
        "2024-03-19T09:31:55Z",
        "130.39",
        "419199007",
        "Rose fever",
        "9f621f4c-db30-c273-49e9-2dcad508a9cb",
        "Ritchie Way",
        "1957-03-09",
        "19720",
        "512-35-9474",
        "302-664-6861",
    ],
)
def test_other_values_are_not_found(known: KnownValues, text: str) -> None:
    assert not {hit for hit in found(known, text) if hit[0] != "known-name"}


def test_two_keys_share_no_hash(patients: DataFrame) -> None:
    hashes = [{row.hash for row in collect(patients, key).collect()} for key in (KEY, bytes(32))]
    assert hashes[0] and not hashes[0] & hashes[1]


def test_the_hash_is_siphash_under_a_subkey() -> None:
    """The reference vector of SipHash-2-4 for the bytes 0 to 14, after pandas' own bijective mixing."""
    mixed = np.uint64(0xA129CA6149BE45E5)
    with np.errstate(over="ignore"):
        for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
            mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    assert hash_texts(pa.array([bytes(range(15)).decode()]), bytes(range(16)))[0] == mixed
    assert hash_key(KEY) != KEY[:16] and hash_key(KEY) not in hashlib.sha256(KEY).digest()


def test_what_is_stored_holds_neither_values_nor_key(patients: DataFrame) -> None:
    collected = collect(patients)
    plan = re.sub(r"#\d+L?|plan_id=\d+", "", collected._jdf.queryExecution().toString())  # numbers of Spark's own
    stored = str(collected.collect())
    for secret in (KEY.hex(), hash_key(KEY).hex(), repr(hash_key(KEY)), "Oberholtzer", "9473"):
        assert secret not in plan and secret not in stored


def test_the_key_goes_to_the_engine_without_a_python_file(spark: SparkSession) -> None:
    relation = key_relation(spark, KEY)
    lineage = relation._jdf.queryExecution().toRdd().toDebugString()
    assert "ParallelCollectionRDD" in lineage and "Python" not in lineage
    assert [bytes(row[0]) for row in relation.collect()] == [hash_key(KEY)]


def test_nested_fields_arrays_maps_and_json_are_collected(spark: SparkSession) -> None:
    rows = spark.sql(
        """SELECT named_struct('number', 'ABX-7712903') AS card,
                  array(named_struct('mail', 'ann@dusk.example'), named_struct('mail', 'bo@dawn.example')) AS mails,
                  map('KEY-5550123A', 'VAL-5550123B') AS tags,
                  '{"ids": [{"code": "JSN-8841200"}], "one": "ONE-7711223"}' AS doc"""
    )
    decision = sensitive(Token(domain="code"), Kind.ACCOUNT)
    paths = ["card.number", "mails[].mail", "tags.{key}", "tags.{value}", "doc$.ids[].code", "doc$.one"]
    classification = Classification(
        source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"t": dict.fromkeys(paths, decision)}
    )
    collected = collect_known_values({"t": rows}, classification, policy=POLICY.known_values, key=KEY, birth_words=())
    known = load_known_values(collected, key=KEY, policy=POLICY.known_values)
    texts = ["ABX7712903", "ann@dusk.example", "bo@dawn.example", "key-5550123a", "VAL 5550123B", "JSN-8841200", "one7711223"]
    hits = known_matchers(known)[0].match(pa.array(texts))
    assert hits[Kind.ACCOUNT].to_pylist() == [True] * len(texts)


def test_arrays_within_arrays_are_one_list(spark: SparkSession) -> None:
    rows = spark.sql(
        """SELECT array(named_struct('telecom', array(named_struct('value', 'A1'), named_struct('value', 'A2'))),
                        named_struct('telecom', null)) AS contact,
                  array(array('g1', 'g2'), null, array(null, 'g3')) AS given,
                  array(named_struct('tags', map('k1', array('v1', 'v2')))) AS marks,
                  '{"c": [{"t": [{"v": "J1"}, {"v": "J2"}]}, {"t": [{"v": "J3"}]}]}' AS many,
                  '{"c": [{"t": [{"v": "K1"}]}]}' AS one,
                  array('{"a": ["Q1", "Q2"]}', '{"a": ["Q3"]}') AS documents,
                  'w' AS `back``tick`"""
    )
    paths = {
        "contact[].telecom[].value": ["A1", "A2"],
        "given[]": ["g1", "g2", None, "g3"],
        "marks[].tags.{key}": ["k1"],
        "marks[].tags.{value}[]": ["v1", "v2"],
        "many$.c[].t[].v": ["J1", "J2", "J3"],
        "one$.c[].t[].v": ["K1"],
        "documents[]$.a[]": ["Q1", "Q2", "Q3"],
        "back`tick": "w",
    }
    assert list(rows.select(*[select_path(rows, path) for path in paths]).first()) == list(paths.values())
    assert [path for path in paths if not has_path(rows, path)] == []
    assert not any(has_path(rows, gone) for gone in ("gone", "contact[].gone", "contact[].telecom[].value.gone", "gone$.a"))


def test_prefixes_and_suffixes_name_nobody() -> None:
    for kind in (SurrogateKind.NAME_PREFIX, SurrogateKind.NAME_SUFFIX):
        decision = sensitive(Surrogate(kind=kind, domain="patient"), Kind.PERSON_NAME)
        assert known_kind(decision) is None
        assert find_person_columns({"PREFIX": decision}, ["PREFIX"], birth_words=()).all == ()


def test_columns_whose_values_stand_elsewhere_are_not_read(patients: DataFrame) -> None:
    less = collect_known_values(
        {"patients": patients}, CLASSIFICATION, policy=POLICY.known_values, key=KEY, birth_words=(),
        skip=[ColumnPath("patients", "SSN")],
    )  # fmt: skip
    assert Kind.SSN.value not in {row.kind for row in less.collect()}


def test_matchers_pickle_with_one_copy_of_the_values_and_show_no_key(known: KnownValues) -> None:
    matchers = known_matchers(known)
    both, one = len(pickle.dumps(matchers)), len(pickle.dumps(matchers[:1]))
    assert both < 1.01 * one
    assert hash_key(KEY).hex() not in repr(matchers) and repr(hash_key(KEY)) not in repr(matchers)


def test_no_known_values_find_nothing(spark: SparkSession) -> None:
    empty = collect_known_values(
        {"visits": spark.createDataFrame([("a",)], "GENDER string")}, CLASSIFICATION, policy=POLICY.known_values,
        key=KEY, birth_words=(),
    )  # fmt: skip
    known = load_known_values(empty, key=KEY, policy=POLICY.known_values)
    assert found(known, "Wilhelmina Oberholtzer 512-35-9473") == set()


def test_a_short_street_is_searched_for_where_it_has_a_number() -> None:
    texts = {form.text for form in list_forms("387 East Street Apt 43", Kind.STREET_ADDRESS, POLICY.known_values)}
    assert "387est" in texts
    assert "est" not in {form.text for form in list_forms("East Street", Kind.STREET_ADDRESS, POLICY.known_values)}


def test_made_up_values_are_found_whatever_the_run() -> None:
    floors, nothing = residue_policy().recall, np.array([], dtype=np.int8)
    none_known = build_known_values(
        nothing, nothing, nothing.astype(np.int16), nothing.astype(np.int64), subkey=bytes(16), policy=POLICY.known_values
    )
    for run in range(5):
        planted = draw_known_canaries(f"run-{run}", per_kind=floors.canaries_per_kind)
        value, _, digits = known_matchers(add_planted(none_known, planted))
        for kind, plants in planted.items():
            cells = pa.array([plant.text for plant in plants])
            masks = [matcher.match(cells).get(kind, pa.array([False] * len(cells))) for matcher in (value, digits)]
            hits = int(pc.sum(pc.or_(*masks)).as_py())
            assert lower_bound(hits, len(plants), floors.confidence) >= floors.known_value_floor, (run, kind)
