"""Arrays within arrays: the gate, the decisions, the transformation, the mapping and the scan write their paths alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from tests.spec.deidentify.conftest import SAFE, sensitive

from wardlake.classify.gate import check_decisions
from wardlake.deidentify.identifiers import list_identifiers
from wardlake.detect.flatten import list_leaves
from wardlake.detect.path_texts import select_path
from wardlake.model.errors import UnclassifiedColumns
from wardlake.model.evidence import ColumnEvidence
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Classification, IdentifierKind, Profile, Token, TokenMode

TOKEN = sensitive(Token(domain="patient"), IdentifierKind.MRN)
DECISIONS = {
    "id": TOKEN,
    "contact[].telecom[].value": TOKEN,
    "contact[].telecom[].use": SAFE,
    "names[].given[]": TOKEN,
    "grid[].mrn": TOKEN,
    "grid[].floor": SAFE,
}
NESTED = {"contact[].telecom[].value": ["A1", "A2"], "names[].given[]": ["B1", "B2", "B3"], "grid[].mrn": ["C1", "C2"]}


@pytest.fixture(scope="module")
def people(spark: SparkSession) -> DataFrame:
    return spark.sql(
        """SELECT 'p1' AS id,
                  array(named_struct('telecom', array(named_struct('value', 'A1', 'use', 'home'))),
                        named_struct('telecom', array(named_struct('value', 'A2', 'use', 'work')))) AS contact,
                  array(named_struct('given', array('B1', 'B2')), named_struct('given', array('B3'))) AS names,
                  array(array(named_struct('mrn', 'C1', 'floor', 1)), array(named_struct('mrn', 'C2', 'floor', 2))) AS grid"""
    )


def test_the_gate_asks_for_the_paths_that_the_decisions_can_write(people: DataFrame) -> None:
    evidence = [
        ColumnEvidence(table="people", path=path, type="string", rows=1, nulls=0, distinct_estimate=1)
        for path, _ in list_leaves(people.schema)
    ]
    classified = Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"people": DECISIONS})
    result = check_decisions(evidence, classified)
    assert (result.gaps, result.unknown) == ((), ())


def test_every_element_is_treated_and_keeps_its_place(people: DataFrame, deidentify: Callable[..., DataFrame]) -> None:
    row: Any = deidentify(people, DECISIONS).first()
    assert [[each.use for each in one.telecom] for one in row.contact] == [["home"], ["work"]]
    assert [[each.floor for each in one] for one in row.grid] == [[1], [2]]
    assert [len(one.given) for one in row.names] == [2, 1]
    shown = str(row)
    assert [value for values in NESTED.values() for value in values if f"'{value}'" in shown] == []


def test_an_element_s_field_without_a_decision_is_named(people: DataFrame, deidentify: Callable[..., DataFrame]) -> None:
    with pytest.raises(UnclassifiedColumns) as halted:
        deidentify(people, {path: each for path, each in DECISIONS.items() if path != "grid[].mrn"})
    assert halted.value.which == ("visits.grid[].mrn",)


def test_every_identifier_is_mapped_and_searched_for(people: DataFrame, references: Any) -> None:
    found = list_identifiers(
        people, table=TableSpec(name="people"), decisions=DECISIONS, mode=TokenMode.KEYED, references=references
    )
    values = {row["value"] for each in found["patient"] for row in each.rows.collect()}
    assert values == {"p1", *(value for values in NESTED.values() for value in values)}
    assert {path: people.select(select_path(people, path)).first()[0] for path in NESTED} == NESTED  # type: ignore[index]
