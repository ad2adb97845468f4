"""Foreign keys: both ends alike, parents before children, cycles together."""

from __future__ import annotations

from typing import Any

import pytest
from tests.spec.deidentify.conftest import BLOCKED, SAFE, sensitive

from wardlake.deidentify.checks.foreign_keys import check_references, order_tables, table_levels
from wardlake.model.sources import Reference, SourceKind, SourceSpec, TableSpec
from wardlake.model.treatments import Classification, Decision, Generalise, Null, Profile, Token, TokenMode, Zip3


def source_of(*tables: TableSpec) -> SourceSpec:
    return SourceSpec(name="s", kind=SourceKind.CSV, location="x", schema_version="1", tables={t.name: t for t in tables})


def refer(table: str, *columns: str, to: tuple[str, ...] = ("id",)) -> Reference:
    return Reference(columns=columns, table=table, to=to)


def complaints(child: Decision, parent: Decision) -> list[tuple[str, str, str]]:
    source = source_of(TableSpec(name="visits", references=(refer("people", "person"),)), TableSpec(name="people"))
    tables = {"visits": {"person": child}, "people": {"id": parent}}
    whole = Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables=tables)
    return check_references(source, whole)


PATIENT = sensitive(Token(domain="patient"))


@pytest.mark.parametrize(
    ("child", "parent"),
    [(PATIENT, PATIENT), (SAFE, SAFE), (BLOCKED, PATIENT), (BLOCKED, BLOCKED), (sensitive(Null()), PATIENT)],
)
def test_keys_that_still_join_or_are_given_up_are_fine(child: Decision, parent: Decision) -> None:
    assert complaints(child, parent) == []


@pytest.mark.parametrize(
    ("child", "parent"),
    [
        (PATIENT, sensitive(Token(domain="member"))),
        (PATIENT, sensitive(Token(domain="patient", prefix="p_"))),
        (PATIENT, SAFE),
        (SAFE, PATIENT),
        (PATIENT, BLOCKED),
        (PATIENT, sensitive(Null())),
        (sensitive(Zip3()), sensitive(Zip3())),
        (sensitive(Generalise(to={"a": "x", "b": "x"})), sensitive(Generalise(to={"a": "x", "b": "x"}))),
    ],
)
def test_keys_that_would_not_join_are_refused_at_the_child(child: Decision, parent: Decision) -> None:
    [(table, column, message)] = complaints(child, parent)
    assert (table, column) == ("visits", "person")
    assert "people.id" in message


def test_each_column_of_a_composite_key_is_checked() -> None:
    lines = TableSpec(name="lines", references=(refer("charges", "claim", "charge", to=("claim", "number")),))
    tables: dict[str, Any] = {"lines": {"claim": PATIENT, "charge": SAFE}, "charges": {"claim": PATIENT, "number": PATIENT}}
    whole = Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables=tables)
    found = check_references(source_of(lines, TableSpec(name="charges")), whole)
    assert [(table, column) for table, column, _ in found] == [("lines", "charge")]


def test_a_reference_to_nowhere_or_of_unequal_width_is_refused() -> None:
    whole = Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED)
    lost = source_of(TableSpec(name="visits", references=(refer("people", "person"),)))
    uneven = source_of(TableSpec(name="v", references=(refer("p", "a", "b"),)), TableSpec(name="p"))
    assert "no table people" in check_references(lost, whole)[0][2]
    assert "2 columns refer to 1" in check_references(uneven, whole)[0][2]


def test_parents_come_before_children() -> None:
    source = source_of(
        TableSpec(name="lines", references=(refer("claims", "c"),)),
        TableSpec(name="claims", references=(refer("people", "p"), refer("payers", "q"))),
        TableSpec(name="payers"),
        TableSpec(name="people"),
    )
    assert order_tables(source) == [["payers"], ["people"], ["claims"], ["lines"]]
    assert table_levels(source) == [["payers", "people"], ["claims"], ["lines"]]


def test_a_self_reference_is_a_group_of_one_and_a_cycle_a_group() -> None:
    source = source_of(
        TableSpec(name="beds", references=(refer("wards", "w"),)),
        TableSpec(name="wards", references=(refer("staff", "head"), refer("wards", "above"))),
        TableSpec(name="staff", references=(refer("teams", "t"),)),
        TableSpec(name="teams", references=(refer("wards", "w"), refer("houses", "h"))),
        TableSpec(name="houses", references=(refer("houses", "above"),)),
    )
    assert order_tables(source) == [["houses"], ["wards", "staff", "teams"], ["beds"]]
    assert table_levels(source) == [["houses"], ["wards", "staff", "teams"], ["beds"]]
