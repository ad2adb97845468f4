"""The mapping holds every token's way back: encrypted, complete, grown and never rewritten."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pyspark.sql.functions as F
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StringType
from tests.spec.tokens.conftest import find_identifier, make_ring

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.adapters.system_clock import SystemClock
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import ContractBroken, KeysUnavailable, VerificationFailed
from wardlake.model.treatments import TokenMode
from wardlake.tokens.format_preserving import format_of
from wardlake.tokens.keyring import KeyRing, open_ring
from wardlake.tokens.mapping import Identifiers, Mappings, check_collisions, update_mapping
from wardlake.tokens.reveal import Origin, locate_identifier
from wardlake.tokens.rotation import create, ensure_wrapping_key, rotate
from wardlake.tokens.source import TokenRequest, TokenSource, tokenise

KEYED, RANDOM = TokenMode.KEYED, TokenMode.RANDOM
ONE_UUID = "0b5b7b5c-2f5f-4b57-8d6a-3c5b4a5b6c7d"


@pytest.fixture
def keys(tmp_path: Path) -> SealedKeyFile:
    create_key_file(tmp_path / "keys.json", tmp_path / "master.key")
    keys = SealedKeyFile(tmp_path / "keys.json", tmp_path / "master.key")
    keys.create("dev/patient")
    keys.create_wrapping_key("dev/mapping")
    return keys


@pytest.fixture
def vault_ring(keys: SealedKeyFile) -> KeyRing:
    return open_ring(keys, "dev", ["patient"])


def ids(spark: SparkSession, *values: object, data_type: str = "string") -> DataFrame:
    return spark.createDataFrame([(value,) for value in values], f"id {data_type}")


def update(
    mappings: Mappings, keys: SealedKeyFile, rows: DataFrame, *, mode: TokenMode = KEYED, run: str = "run-1", keep: bool = False
) -> None:
    ring = open_ring(keys, "dev", ["patient"])
    found = [Identifiers(rows=rows, keep_format=keep)]
    update_mapping(mappings, keys, ring, "patient", found, mode=mode, run_id=run)


def tokens(
    mappings: Mappings, ring: KeyRing, df: DataFrame, mode: TokenMode, *, prefix: str = "", keep: bool = False
) -> list[object]:
    request = TokenRequest(column="id", domain="patient", data_type=df.schema["id"].dataType, prefix=prefix, keep_format=keep)
    out = tokenise(df, [request], TokenSource(mode=mode, ring=ring, mappings=mappings))
    assert out.columns == df.columns
    assert out.schema["id"].dataType == df.schema["id"].dataType
    return [row.id for row in out.collect()]


@pytest.mark.parametrize("mode", [KEYED, RANDOM])
def test_every_token_leads_back_to_its_identifier(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing, mode: TokenMode
) -> None:
    values = ["MRN-1", "MRN-2", ONE_UUID, "Łódź"]
    df = ids(spark, *values, None, "", "MRN-1")
    update(mappings, keys, df, mode=mode)
    assert mappings.read("patient").count() == 4
    for prefix in ("", "pat_"):
        request = TokenRequest(column="id", domain="patient", data_type=StringType(), prefix=prefix, output="token")
        out = tokenise(df, [request], TokenSource(mode=mode, ring=vault_ring, mappings=mappings)).collect()
        shown = {row.id: row.token for row in out}
        assert (len(out), len(shown), shown[None], shown[""]) == (7, 6, None, "")
        for value in values[1:3]:
            assert find_identifier(mappings, keys, "patient", shown[value]) == value


TYPES: dict[str, object] = {
    "bigint": 2**63 - 1,
    "int": -3,
    "decimal(12,0)": Decimal(10**12 - 1),
    "binary": b"\xff\x00",
    "string": "123-45-6789",  # its format is kept
}


@pytest.mark.parametrize("mode", [KEYED, RANDOM])
def test_tokens_of_every_type_lead_back(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing, mode: TokenMode
) -> None:
    df = spark.createDataFrame([tuple(TYPES.values())], ", ".join(f"`{t}` {t}" for t in TYPES))
    found = [Identifiers(rows=df.select(f"`{t}`"), keep_format=t == "string") for t in TYPES]
    update_mapping(mappings, keys, vault_ring, "patient", found, mode=mode, run_id="run-1")
    requests = [
        TokenRequest(column=t, domain="patient", data_type=df.schema[t].dataType, keep_format=t == "string") for t in TYPES
    ]
    out = tokenise(df, requests, TokenSource(mode=mode, ring=vault_ring, mappings=mappings))
    assert [(f.name, f.dataType) for f in out.schema] == [(f.name, f.dataType) for f in df.schema]
    for value, token in zip(TYPES.values(), out.collect()[0], strict=True):
        shown = bytes(token).hex() if isinstance(token, bytes | bytearray) else str(token)
        expected = value.hex() if isinstance(value, bytes) else str(value)
        assert shown != expected
        assert find_identifier(mappings, keys, "patient", shown) == expected
        if isinstance(value, str):
            assert format_of(shown) == format_of(value)


@pytest.mark.parametrize("mode", [KEYED, RANDOM])
def test_a_second_run_adds_only_new_identifiers(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, mode: TokenMode
) -> None:
    update(mappings, keys, ids(spark, "a", "b"), mode=mode, run="run-1")
    before = {row.lookup.hex(): (row.token, row.first_seen) for row in mappings.read("patient").collect()}
    update(mappings, keys, ids(spark, "a", "b", "c"), mode=mode, run="run-2")
    update(mappings, keys, ids(spark, "c", "a"), mode=mode, run="run-3")
    after = {row.lookup.hex(): (row.token, row.first_seen) for row in mappings.read("patient").collect()}
    assert before.items() <= after.items()
    assert sorted(run for _, run in after.values()) == ["run-1", "run-1", "run-2"]


class DyingTables(DeltaTables):
    """Tables of a process that ends before its n-th write."""

    writes_left = 0

    def append(self, path: str, rows: DataFrame) -> int:
        self._live()
        return super().append(path, rows)

    def replace(self, path: str, rows: DataFrame, *, properties: Mapping[str, str] | None = None) -> int:
        self._live()
        return super().replace(path, rows, properties=properties)

    def _live(self) -> None:
        self.writes_left -= 1
        if self.writes_left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("mode", [KEYED, RANDOM])
def test_a_run_that_died_anywhere_is_finished_by_the_next(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, mode: TokenMode
) -> None:
    rows = spark.range(3000).select(F.col("id").cast("decimal(6,0)"))
    for writes in range(3):
        dying = DyingTables(spark)
        dying.writes_left = writes
        with contextlib.suppress(KeyboardInterrupt):
            update(dataclasses.replace(mappings, tables=dying), keys, rows, mode=mode)
    update(mappings, keys, rows, mode=mode)
    counted = mappings.read("patient").agg(
        *(F.count_distinct(c).alias(c) for c in ("lookup", "token")), F.count("*").alias("rows")
    )
    assert counted.collect()[0].asDict() == {"lookup": 3000, "token": 3000, "rows": 3000}


def test_a_random_token_stays_and_says_nothing_of_its_identifier(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    df = ids(spark, "a", "b")
    update(mappings, keys, df, mode=RANDOM)
    first = tokens(mappings, vault_ring, df, RANDOM)
    update(mappings, keys, df, mode=RANDOM, run="run-2")
    assert tokens(mappings, vault_ring, df, RANDOM) == first
    mappings.tables.delete_folder(mappings.path("patient"))
    update(mappings, keys, df, mode=RANDOM)  # same identifiers, same keys: only chance differs
    assert not set(tokens(mappings, vault_ring, df, RANDOM)) & set(first)


def test_random_numbers_are_drawn_again_until_none_is_taken_twice(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile
) -> None:
    rows = spark.range(40_000).select(F.col("id").cast("decimal(6,0)"))  # some 800 pairs share their first draw
    update(mappings, keys, rows, mode=RANDOM)
    counted = mappings.read("patient").agg(F.count("*").alias("n"), F.count_distinct("token").alias("d")).collect()[0]
    assert (counted.n, counted.d) == (40_000, 40_000)
    assert not mappings.tables.exists(f"{mappings.path('patient')}.drawn")


def test_datasets_of_two_modes_share_no_token_and_both_lead_back(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    """What a keyed run mapped a random one draws anew, and what was drawn is not what a keyed run shows."""
    rows = spark.sql("SELECT concat('MRN-', id) text, concat('123-45-', 1000 + id) ssn, int(id) number FROM range(8)")
    asked = [
        TokenRequest(column=f.name, domain="patient", data_type=f.dataType, keep_format=f.name == "ssn") for f in rows.schema
    ]
    for mode, some in ((KEYED, rows.filter("number < 4")), (RANDOM, rows), (KEYED, rows)):
        found = [Identifiers(rows=some.select(r.column), keep_format=r.keep_format) for r in asked]
        update_mapping(mappings, keys, vault_ring, "patient", found, mode=mode, run_id="run-1")
    keyed, drawn = (
        tokenise(rows, asked, TokenSource(mode=mode, ring=vault_ring, mappings=mappings)).collect() for mode in (KEYED, RANDOM)
    )
    for column in rows.columns:
        shown = [{str(row[column]) for row in shown} for shown in (keyed, drawn)]
        assert (len(shown[0]), len(shown[1]), shown[0] & shown[1]) == (8, 8, set())
    for tokens_of_mode in (keyed, drawn):
        found_back = [find_identifier(mappings, keys, "patient", str(tokens_of_mode[n][0])) for n in (0, 7)]
        assert len(set(found_back)) == 2
        assert set(found_back) <= {f"MRN-{n}" for n in range(8)}


def test_an_identifier_that_was_not_mapped_stops_a_random_run(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    update(mappings, keys, ids(spark, "a"), mode=RANDOM)
    with pytest.raises(Exception, match="not in the mapping dev/patient") as caught:
        tokens(mappings, vault_ring, ids(spark, "a", "SECRET-77"), RANDOM)
    assert "SECRET-77" not in str(caught.value)


def test_a_random_token_in_another_column_is_the_same_token(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    update(mappings, keys, ids(spark, "a", "b"), mode=RANDOM)
    df = spark.createDataFrame([("a", "b", 1), ("b", "b", 2), (None, "a", 3)], "id string, mother string, n int")
    requests = [TokenRequest(column=c, domain="patient", data_type=StringType(), prefix="pat_") for c in ("id", "mother")]
    out = tokenise(df, requests, TokenSource(mode=RANDOM, ring=vault_ring, mappings=mappings))
    rows = {row.n: row for row in out.collect()}
    assert out.columns == df.columns
    assert rows[1].id == rows[3].mother
    assert rows[1].mother == rows[2].id == rows[2].mother
    assert rows[3].id is None


def test_a_collision_stops_the_run_and_names_the_domain_alone(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile
) -> None:
    update(mappings, keys, ids(spark, "a", "b"))
    row = mappings.read("patient").limit(1)
    mappings.tables.append(mappings.path("patient"), row.withColumn("lookup", F.unhex(F.lit("00" * 32))).localCheckpoint())
    with pytest.raises(ContractBroken) as caught:
        check_collisions(mappings, "patient")
    assert caught.value.which == ("dev/patient",)


def test_rotation_makes_new_tokens_and_old_ones_still_lead_back(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    df = ids(spark, "MRN-1", "MRN-2")
    for mode in (KEYED, RANDOM):
        events: list[AuditEvent] = []
        update(mappings, keys, df, mode=mode)
        ring = open_ring(keys, "dev", ["patient"])
        old = tokens(mappings, ring, df, mode)
        version = rotate(keys, "dev", "patient", actor="pipeline", clock=SystemClock(), record=events.append)
        assert [event.kind for event in events] == [AuditKind.KEY_ROTATED]
        new_ring = open_ring(keys, "dev", ["patient"])
        assert new_ring.versions == {"patient": version}
        update(mappings, keys, df, mode=mode, run="run-2")
        new = tokens(mappings, new_ring, df, mode)
        assert not set(old) & set(new)
        for token in (old[0], new[0]):
            assert find_identifier(mappings, keys, "patient", str(token)) in ("MRN-1", "MRN-2")


def test_what_cannot_be_recorded_is_not_rotated(keys: SealedKeyFile) -> None:
    class SinkDown(Exception): ...

    def record(event: AuditEvent) -> None:
        raise SinkDown

    for act in (rotate, create):
        with pytest.raises(SinkDown):
            act(keys, "dev", "patient" if act is rotate else "device", actor="x", clock=SystemClock(), record=record)
    assert keys.versions("dev/patient") == (1,)
    assert keys.versions("dev/device") == ()


def test_a_wrapping_key_is_made_once_and_recorded_before(keys: SealedKeyFile) -> None:
    class SinkDown(Exception): ...

    def refuse(event: AuditEvent) -> None:
        raise SinkDown

    with pytest.raises(SinkDown):
        ensure_wrapping_key(keys, "study/mapping", actor="x", clock=SystemClock(), record=refuse)
    with pytest.raises(KeysUnavailable):
        keys.new_data_key("study/mapping")
    events: list[AuditEvent] = []
    made = [
        ensure_wrapping_key(keys, name, actor="x", clock=SystemClock(), record=events.append)
        for name in ("study/mapping", "study/mapping", "dev/mapping")
    ]
    assert made == [True, False, False]
    assert [(event.kind, event.details) for event in events] == [(AuditKind.KEY_CREATED, {"wrapping_key": "study/mapping"})]
    assert keys.new_data_key("study/mapping").wrapped


def test_reading_never_creates_a_key(keys: SealedKeyFile) -> None:
    for _ in range(2):
        with pytest.raises(KeysUnavailable) as caught:
            open_ring(keys, "dev", ["patient", "pateint", "device"])
        assert caught.value.exit_code == 17
        assert caught.value.which == ("dev/pateint", "dev/device")
    assert keys.versions("dev/pateint") == ()
    with pytest.raises(KeysUnavailable):
        rotate(keys, "dev", "pateint", actor="x", clock=SystemClock(), record=lambda event: None)
    assert keys.versions("dev/pateint") == ()


def test_the_mapping_holds_no_identifier_in_clear(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, tmp_path: Path
) -> None:
    update(mappings, keys, ids(spark, "UNIQUE-MRN-000777"))
    rows = mappings.read("patient").collect()
    assert "UNIQUE-MRN" not in str(rows)
    for file in Path(mappings.path("patient")).rglob("*"):
        assert not file.is_file() or b"UNIQUE-MRN" not in file.read_bytes()


def test_a_row_moved_to_another_identifier_is_noticed(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    df = ids(spark, "a", "b")
    update(mappings, keys, df)
    (token, _) = tokens(mappings, vault_ring, df, KEYED)
    mixed = mappings.read("patient").withColumn("lookup", F.reverse(F.hex("lookup")).cast("binary")).localCheckpoint()
    mappings.tables.replace(mappings.path("patient"), mixed)
    with pytest.raises(VerificationFailed):
        find_identifier(mappings, keys, "patient", str(token))


def test_a_mapping_that_does_not_say_how_its_tokens_were_made_is_refused(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile
) -> None:
    update(mappings, keys, ids(spark, "a"))
    mappings.tables.replace(mappings.path("patient"), mappings.read("patient").drop("mode").localCheckpoint())
    with pytest.raises(ContractBroken, match="earlier layout"):
        update(mappings, keys, ids(spark, "a", "b"))


def test_an_unknown_token_leads_nowhere(spark: SparkSession, mappings: Mappings, keys: SealedKeyFile) -> None:
    update(mappings, keys, ids(spark, "a"))
    with pytest.raises(ContractBroken, match="no such token"):
        find_identifier(mappings, keys, "patient", "0" * 32)


def test_a_number_that_stands_for_several_is_told_apart_by_what_is_known_of_it(
    spark: SparkSession, mappings: Mappings, keys: SealedKeyFile, vault_ring: KeyRing
) -> None:
    df = ids(spark, 7, data_type="int")
    update(mappings, keys, df)
    (token,) = map(str, tokens(mappings, vault_ring, df, KEYED))
    wide = mappings.read("patient").withColumn("kind", F.lit("bigint")).withColumn("lookup", F.unhex(F.lit("00" * 32)))
    mappings.tables.append(mappings.path("patient"), wide.localCheckpoint())
    with pytest.raises(ContractBroken) as caught:
        locate_identifier(mappings, "patient", token)
    assert caught.value.which == tuple(f"dev/patient: --key-version 1 --kind '{kind}' --mode keyed" for kind in ("bigint", "int"))
    assert find_identifier(mappings, keys, "patient", token, Origin(kind="int")) == "7"
    with pytest.raises(ContractBroken, match="no such token"):
        locate_identifier(mappings, "patient", token, Origin(mode=RANDOM))


def test_two_seeds_make_rings_without_a_common_subkey() -> None:
    from wardlake.tokens.keyring import KeyUse

    one, other = make_ring(seed=1), make_ring(seed=2)
    assert not {one.subkey("patient", u) for u in KeyUse} & {other.subkey("patient", u) for u in KeyUse}
