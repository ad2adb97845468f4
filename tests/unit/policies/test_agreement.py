"""Tables and rules are about the same things; between two versions nothing is more open than in both."""

from __future__ import annotations

from wardlake.model.entitlements import Access, WarehouseRole
from wardlake.practices.policies.agreement import find_disagreements, to_register
from wardlake.practices.policies.groups import read_groups, write_groups
from wardlake.practices.policies.replacement import plan_replacement

ACCESS = {
    "visits": Access(practice="practice_id", hidden={WarehouseRole.MANAGER: frozenset()}),
    "prescriptions": Access(practice="practice_id", hidden={WarehouseRole.MANAGER: frozenset({"total_cost"})}),
}
COLUMNS = {"visits": ("practice_id", "visits"), "prescriptions": ("practice_id", "total_cost")}


def test_tables_and_rules_that_agree_say_nothing() -> None:
    assert find_disagreements("clinics", ACCESS, ["visits", "prescriptions"], COLUMNS) == []
    assert find_disagreements("clinics", ACCESS, [], {}) == []


def test_each_disagreement_is_named() -> None:
    registered = {"visits": ("practice", "visits"), "prescriptions": ("practice_id",), "raw": ("id",)}
    assert find_disagreements("clinics", ACCESS, ["visits", "new"], registered) == [
        "clinics.new: lies in the zone of marts without a policy",
        "clinics.prescriptions: has no column total_cost, which its policy is about",
        "clinics.raw: is registered, and no mart of ours",
        "clinics.visits: has no column practice_id, which its policy is about",
    ]


def test_a_table_that_cannot_be_read_is_named() -> None:
    assert find_disagreements("clinics", ACCESS, [], {"visits": ()}) == [
        "clinics.visits: is registered, and the warehouse cannot read it"
    ]


def test_marts_with_a_policy_are_registered_once() -> None:
    assert to_register(ACCESS, ["visits", "prescriptions", "new"], {"visits": ("practice_id",)}) == ["prescriptions"]


def test_who_loses_leaves_first_and_who_gains_comes_last() -> None:
    before = write_groups({"ann": ("r1",), "bob": ("r1",), "cid": ("r2",)})
    plan = plan_replacement(before, {"ann": ("r1",), "bob": ("r3",), "new": ("r1",)})
    assert plan.closing is not None
    assert read_groups(plan.closing) == {"ann": ("r1",)}
    assert (plan.closed, plan.opened) == (("bob", "cid"), ("bob", "new"))


def test_where_nobody_loses_nothing_is_closed_first() -> None:
    before = write_groups({"ann": ("r1",)})
    assert plan_replacement(before, {"ann": ("r1",), "bob": ("r1",)}).closing is None


def test_a_damaged_file_is_closed_first_though_nobody_in_it_loses() -> None:
    plan = plan_replacement(b"r1:ann\nother words", {"ann": ("r1",)})
    assert plan.closing == b"r1:ann\n"


def test_a_mart_s_capitals_are_the_warehouse_s_small_letters() -> None:
    access = {"Visits": ACCESS["visits"]}
    assert find_disagreements("clinics", access, ["Visits"], {"visits": ("practice_id",)}) == []
    assert to_register(access, ["Visits"], {"visits": ("practice_id",)}) == []
