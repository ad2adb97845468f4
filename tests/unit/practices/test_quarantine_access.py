"""What waits in quarantine is rows of patients: a practice's manager sees them, under the same column as every mart."""

from __future__ import annotations

from wardlake.model.entitlements import WarehouseRole
from wardlake.model.zones import LakeLayout
from wardlake.practices.marts.access import ACCESS, quarantine_access
from wardlake.practices.policies.agreement import find_disagreements, to_register
from wardlake.practices.quarantine import quarantine_schema
from wardlake.practices.raw_tables import RawTable

VISITS = RawTable(name="visits", columns={"id": "bigint", "Practice_ID": "string", "note": "string"}, buckets=2)


def test_the_quarantine_lies_where_its_policy_says_and_has_the_column_that_it_is_about() -> None:
    access = {**ACCESS, **quarantine_access(["visits"])}
    name = LakeLayout("lake").quarantine("clinics", "visits").rpartition("/")[2]
    columns = tuple(quarantine_schema(VISITS).names)
    assert find_disagreements("clinics", access, [name], {name: columns}) == []
    assert to_register(access, [name], []) == [name]
    assert access[name].practice in columns
    assert set(access[name].hidden) == {WarehouseRole.MANAGER}


def test_a_practice_s_column_stands_there_once() -> None:
    names = [name.lower() for name in quarantine_schema(VISITS).names]
    assert len(names) == len(set(names))
