"""Bare hashes give a row away; commitments do not, and their owner can still open them. The Merkle root is RFC 6962's."""

from __future__ import annotations

import hashlib
from decimal import Decimal

import pytest
from pyspark.sql import SparkSession

from wardlake.audit.canonical import canonical_json
from wardlake.audit.commitment import commit, verify_commitment
from wardlake.audit.content_hash import hash_row, sum_hashes
from wardlake.audit.merkle import EMPTY, merkle_root

SECRET, OTHER = b"s" * 32, b"o" * 32
SCHEMA = "patient string, diagnosis string"
YESTERDAY = [(f"p{number}", "asthma") for number in range(50)]
GUESSES = [(f"p{number}", diagnosis) for number in range(100) for diagnosis in ("asthma", "diabetes", "hiv")]
NEW = ("p77", "hiv")


def row_sum(spark: SparkSession, rows: list[tuple[str, str]]) -> int:
    df = spark.createDataFrame(rows, SCHEMA)
    (row,) = df.select(sum_hashes(hash_row(df.schema)).alias("rows")).collect()
    return int(Decimal(row["rows"]))


def test_the_difference_of_two_bare_sums_gives_the_new_row_away(spark: SparkSession) -> None:
    difference = row_sum(spark, [*YESTERDAY, NEW]) - row_sum(spark, YESTERDAY)
    guesses = spark.createDataFrame(GUESSES, SCHEMA)
    hashed = guesses.withColumn("h", hash_row(guesses.schema)).collect()
    assert [(row["patient"], row["diagnosis"]) for row in hashed if row["h"] == difference] == [NEW]


def test_commitments_of_the_same_two_tables_do_not(spark: SparkSession) -> None:
    before, after = row_sum(spark, YESTERDAY), row_sum(spark, [*YESTERDAY, NEW])
    published = [commit(SECRET, {"rows": str(before)}), commit(OTHER, {"rows": str(after)})]
    guesses = spark.createDataFrame(GUESSES, SCHEMA)
    hashes = [row["h"] for row in guesses.select(hash_row(guesses.schema).alias("h")).collect()]
    difference = int(published[1], 16) - int(published[0], 16)
    # Neither by subtraction, nor by guessing the content: every guess is tried, the true one too, without the secret.
    assert difference not in hashes
    guessed = {hashlib.sha256(canonical_json({"rows": str(before + each)})).hexdigest() for each in hashes}
    guessed |= {commit(bytes(32), {"rows": str(before + each)}) for each in hashes}
    assert before + hashes[GUESSES.index(NEW)] == after
    assert not guessed & set(published)


def test_the_same_content_under_two_secrets_has_nothing_in_common() -> None:
    assert commit(SECRET, {"rows": "1"}) != commit(OTHER, {"rows": "1"})


def test_the_owner_opens_a_commitment_with_secret_and_content() -> None:
    commitment = commit(SECRET, {"b": 1, "a": [1, {"x": None}]})
    assert verify_commitment(SECRET, {"a": [1, {"x": None}], "b": 1}, commitment)
    assert not verify_commitment(SECRET, {"a": [1, {"x": None}], "b": 2}, commitment)
    assert not verify_commitment(OTHER, {"a": [1, {"x": None}], "b": 1}, commitment)
    assert not verify_commitment(SECRET, {"a": [1, {"x": None}], "b": 1}, "ü")


def test_a_commitment_under_a_secret_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="256 bits"):
        commit(b"short", {})


def test_canonical_json_has_one_text_for_one_value() -> None:
    assert canonical_json({"b": 1, "a": "ü"}) == b'{"a":"\\u00fc","b":1}'


@pytest.mark.parametrize("value", [{1: "x"}, [{2.5: 1}], {"x": float("nan")}, {"x": b""}, {"x": object()}])
def test_what_has_no_canonical_text_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        canonical_json(value)


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def leaf(path: str, text: str) -> bytes:
    name = path.encode()
    return hashlib.sha256(b"\x00" + len(name).to_bytes(8, "big") + name + bytes.fromhex(digest(text))).digest()


def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def test_the_root_is_that_of_the_standard() -> None:
    files = [(name, digest(name)) for name in "abcde"]
    a, b, c, d, e = (leaf(name, name) for name in "abcde")
    assert merkle_root([]) == EMPTY == hashlib.sha256(b"").hexdigest()
    assert merkle_root(files[:1]) == a.hex()
    assert merkle_root(files[:3]) == node(node(a, b), c).hex()
    assert merkle_root(files) == node(node(node(a, b), node(c, d)), e).hex()


def test_the_root_does_not_depend_on_the_order_and_does_on_all_else() -> None:
    files = [("a", digest("1")), ("b", digest("2"))]
    assert merkle_root(files) == merkle_root(reversed(files))
    others = [
        [("a", digest("2")), ("b", digest("1"))],
        [("a", digest("1")), ("c", digest("2"))],
        [("a", digest("1"))],
        [*files, ("c", digest("3"))],
    ]
    assert len({merkle_root(files), *map(merkle_root, others)}) == 5


def test_a_node_does_not_pass_for_a_leaf() -> None:
    pair = merkle_root([("a", digest("1")), ("b", digest("2"))])
    assert merkle_root([("a", pair)]) != pair


@pytest.mark.parametrize("files", [[("a", digest("1")), ("a", digest("2"))], [("a", "ab")], [("a", "not hex")]])
def test_what_is_no_list_of_files_is_refused(files: list[tuple[str, str]]) -> None:
    with pytest.raises(ValueError):
        merkle_root(files)
