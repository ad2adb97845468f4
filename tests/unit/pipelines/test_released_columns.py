"""What an output must hold follows from the source's columns and the decisions, whatever was staged."""

from __future__ import annotations

import pytest

from wardlake.model.treatments import Classification, Decision, Drop, Null, Profile, TokenMode, Verdict
from wardlake.pipelines.refresh.contracts import released_columns, split_described
from wardlake.ports.contracts import ColumnContract, Suite, TableContract

SAFE = Decision(verdict=Verdict.SAFE)
BLOCKED = Decision(verdict=Verdict.BLOCKED)


@pytest.mark.parametrize(
    ("decisions", "released"),
    [
        ({"id": SAFE, "note": BLOCKED}, ["id"]),
        ({"id": Decision(verdict=Verdict.SENSITIVE, rule=Drop()), "note": SAFE}, ["note"]),
        ({"id": Decision(verdict=Verdict.SENSITIVE, rule=Null())}, ["id"]),
        ({"note.a": BLOCKED, "note.b": SAFE}, ["note"]),
        ({"note.a": BLOCKED, "note.b": BLOCKED}, []),
        ({"note$.a[].b": SAFE}, ["note"]),
        ({"note[].a": SAFE, "id": BLOCKED}, ["note"]),
        ({"note.{key}": SAFE, "note.{value}": BLOCKED}, []),
        ({"note.{key}": SAFE, "note.{value}.a": BLOCKED, "note.{value}.b": SAFE}, ["note"]),
        ({"gone": SAFE, "id": SAFE}, ["id"]),
        ({}, []),
    ],
)
def test_a_column_is_released_where_a_decision_leaves_something_of_it(decisions, released):
    classification = Classification(
        source="clinic", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"visits": decisions}
    )
    assert released_columns({"visits": ["id", "note"]}, classification) == {"visits": released}


def test_a_released_column_that_no_contract_describes_is_told_and_the_others_are_held():
    suite = Suite(name="clinic/output", tables={"visits": TableContract(columns={"id": ColumnContract(type="string")})})
    held, undescribed = split_described(suite, {"visits": ["id", "ward"], "bills": ["sum"], "blocked": []})
    assert held == {"visits": ["id"]}
    assert undescribed == ["visits.ward", "bills.sum"]
