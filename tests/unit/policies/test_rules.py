"""Rules: closed where nothing opens, rows by literals, columns by role."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.policies.test_reach import NOW, entitlement

from wardlake.model.entitlements import Access, Entitlement, WarehouseRole
from wardlake.practices.marts.access import ACCESS
from wardlake.practices.marts.every import MARTS
from wardlake.practices.policies.reach import ADMINISTRATORS, REGISTRAR, compile_policy
from wardlake.practices.policies.rules import among, quoted, write_rules

CLINICIAN, BILLING = WarehouseRole.CLINICIAN, WarehouseRole.BILLING
SECTIONS = {
    "catalogs",
    "schemas",
    "tables",
    "queries",
    "impersonation",
    "system_information",
    "system_session_properties",
    "catalog_session_properties",
    "functions",
    "procedures",
    "authorization",
}


def rules(*entitlements: Entitlement, marts: dict[str, Access] | None = None, source: str = "clinics") -> dict[str, Any]:
    policy = compile_policy(entitlements, registrar="wardlake", at=NOW)
    return dict(json.loads(write_rules(policy, {source: ACCESS if marts is None else marts}, catalog="lake")))


def of_reaches(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [rule for rule in document["tables"] if rule["group"] not in (ADMINISTRATORS, REGISTRAR)]


def rule_of(document: dict[str, Any], table: str) -> dict[str, Any] | None:
    """The rule that Trino takes: the first that matches."""
    return next((rule for rule in of_reaches(document) if re.fullmatch(rule["table"], table)), None)


def masks(rule: dict[str, Any] | None) -> dict[str, str]:
    return {column["name"]: column["mask"] for column in rule["columns"] if "mask" in column} if rule else {}


def test_every_section_is_there_so_that_nothing_is_open_for_want_of_one() -> None:
    assert rules().keys() == SECTIONS
    assert of_reaches(rules()) == []


def test_every_rule_is_of_a_group_or_closes() -> None:
    document = rules(entitlement("ann"), entitlement("ada", "", WarehouseRole.ADMINISTRATOR))
    for section, listed in document.items():
        for rule in listed:
            closes = rule.get("allow") in (False, "none", []) or rule.get("owner") is False or rule.get("privileges") == []
            assert "group" in rule or closes or (section, rule["user"]) == ("system_information", "ada"), section


def test_a_manager_of_two_practices_has_one_rule_for_all_marts() -> None:
    document = rules(entitlement("ann"), entitlement("ann", "o'south"), entitlement("bob"), entitlement("bob", "o'south"))
    (rule,) = of_reaches(document)
    assert rule["filter"] == "\"practice_id\" IN ('north', 'o''south')"
    assert rule["privileges"] == ["SELECT"]
    assert {name for name in MARTS if re.fullmatch(rule["table"], name)} == set(ACCESS)
    assert masks(rule) == {}


@pytest.mark.parametrize("table", ["visits$partitions", "visits$history", "visits2", "VISITS", "raw", ""])
def test_a_rule_matches_no_table_but_the_marts(table: str) -> None:
    assert rule_of(rules(entitlement("ann")), table) is None


def test_roles_see_their_marts_and_columns() -> None:
    clinician, billing = rules(entitlement("ann", role=CLINICIAN)), rules(entitlement("ann", role=BILLING))
    assert rule_of(clinician, "revenue") is None
    assert rule_of(billing, "diabetes_control") is None
    assert masks(rule_of(clinician, "prescriptions")) == {"total_cost": "NULL"}
    assert masks(rule_of(billing, "prescriptions")) == {"code": "NULL", "drug": "NULL"}
    assert masks(rule_of(clinician, "visits")) == {}


def test_one_user_in_two_roles_sees_each_practice_as_its_role_does() -> None:
    document = rules(entitlement("ann"), entitlement("ann", "south", CLINICIAN), entitlement("ann", "west", BILLING))
    mixed = rule_of(document, "prescriptions")
    assert mixed is not None
    assert mixed["filter"] == "\"practice_id\" IN ('north', 'south', 'west')"
    assert masks(mixed)["total_cost"] == "CASE WHEN \"practice_id\" IN ('north', 'west') THEN \"total_cost\" END"
    assert masks(mixed)["drug"] == "CASE WHEN \"practice_id\" IN ('north', 'south') THEN \"drug\" END"
    revenue = rule_of(document, "revenue")
    assert revenue is not None
    assert revenue["filter"] == "\"practice_id\" IN ('north', 'west')"


def test_a_mart_without_access_stands_in_no_rule() -> None:
    without = {name: access for name, access in ACCESS.items() if name != "visits"}
    assert rule_of(rules(entitlement("ann"), marts=without), "visits") is None


def test_an_administrator_and_the_registrar_may_select_no_mart() -> None:
    document = rules(entitlement("ada", "", WarehouseRole.ADMINISTRATOR), entitlement("ann"))
    for rule in document["tables"]:
        if rule["group"] in (ADMINISTRATORS, REGISTRAR):
            assert "SELECT" not in rule["privileges"] or rule["catalog"] == "system"


def test_every_mart_has_access_and_hides_columns_that_it_has() -> None:
    assert ACCESS.keys() == MARTS.keys()
    for name, access in ACCESS.items():
        assert access.practice == MARTS[name].grain[0]
        assert WarehouseRole.ADMINISTRATOR not in access.hidden
        assert all(access.practice not in hidden for hidden in access.hidden.values())


def sql_text(literal: str) -> str:
    """What a text literal of standard SQL stands for; raises where it is not exactly one."""
    assert re.fullmatch(r"'(?:[^']|'')*'", literal, re.DOTALL)
    return literal[1:-1].replace("''", "'")


@given(st.lists(st.text(min_size=1), min_size=1, unique=True))
def test_a_practice_s_name_is_only_a_name(names: list[str]) -> None:
    condition = among("practice_id", names)
    literals = re.findall(r"'(?:[^']|'')*'", condition, re.DOTALL)
    assert [sql_text(literal) for literal in literals] == names
    assert re.sub(r"'(?:[^']|'')*'", "?", condition, flags=re.DOTALL) == f'"practice_id" IN ({", ".join("?" * len(names))})'


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1))
def test_a_filter_comes_out_of_the_file_as_it_went_in(name: str) -> None:
    (rule,) = of_reaches(rules(entitlement("ann", name)))
    assert rule["filter"] == among("practice_id", [name])
    assert quoted('a"b') == '"a""b"'


@given(st.text(min_size=1))
def test_a_source_s_name_matches_its_schema_alone(source: str) -> None:
    (rule,) = of_reaches(rules(entitlement("ann", source=source), source=source))
    assert re.fullmatch(rule["schema"], source.lower())
    assert not re.fullmatch(rule["schema"], source.lower() + "x")


def test_five_thousand_practices_and_ten_thousand_users_compile() -> None:
    held = [entitlement(f"user{number}", f"practice-{number % 5000}") for number in range(10_000)]
    began = time.process_time()
    assert len(of_reaches(rules(*held))) == 5000
    assert time.process_time() - began < 30
