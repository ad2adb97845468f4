"""A short Delta log replayed without Spark."""

from __future__ import annotations

import json
from typing import Any

import pytest

from wardlake.adapters.delta_log import absolute_path, commit_names, is_literal, replay_log

ID = {"name": "id", "type": "long", "nullable": True, "metadata": {}}


def metadata(*fields: Any, partitions: tuple[str, ...] = ()) -> dict[str, Any]:
    schema = json.dumps({"type": "struct", "fields": list(fields or (ID,))})
    return {"metaData": {"schemaString": schema, "partitionColumns": list(partitions)}}


def added(path: str, **more: Any) -> dict[str, Any]:
    return {"add": {"path": path, "size": 7, **more}}


def commit(*actions: dict[str, Any]) -> bytes:
    return "\n".join(json.dumps(action) for action in actions).encode()


PROTOCOL = {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}


def test_files_that_were_removed_are_not_live() -> None:
    state = replay_log([commit(PROTOCOL, metadata(), added("a"), added("b")), commit({"remove": {"path": "a"}}, added("c"))])
    assert state.files == {"b": 7, "c": 7}
    assert state.plain


@pytest.mark.parametrize(
    "actions",
    [
        pytest.param([{"protocol": {"minReaderVersion": 3}}, metadata()], id="features"),
        pytest.param([PROTOCOL, metadata(partitions=("id",))], id="partitions"),
        pytest.param([PROTOCOL, metadata(), added("a", deletionVector={"storageType": "u"})], id="deletion vectors"),
        pytest.param([PROTOCOL, metadata({**ID, "nullable": False})], id="a column that is never null"),
        pytest.param(
            [PROTOCOL, metadata({**ID, "type": {"type": "array", "elementType": "long", "containsNull": False}})],
            id="an array without nulls",
        ),
        pytest.param([PROTOCOL], id="no schema"),
    ],
)
def test_what_only_deltas_own_reader_knows_is_left_to_it(actions: list[dict[str, Any]]) -> None:
    assert not replay_log([commit(*actions)]).plain


def test_only_commits_are_counted_as_versions() -> None:
    names = [
        "00000000000000000000.json",
        "00000000000000000010.checkpoint.parquet",
        "00000000000000000001.crc",
        "_last_checkpoint",
    ]
    assert commit_names(names) == {0: names[0]}


def test_logged_paths_are_decoded_and_taken_from_the_table() -> None:
    assert absolute_path("s3a://lake/t", "part%20one.parquet") == "s3a://lake/t/part one.parquet"
    assert absolute_path("/lake/t", "file:///other/part.parquet") == "/other/part.parquet"


def test_a_path_that_spark_would_expand_is_not_literal() -> None:
    assert is_literal("/lake/t")
    assert not any(is_literal(path) for path in ("/lake/{a}", "/lake/t*", "/lake/[t]"))
