"""Entitlements become groups: by distinct reach, in time, and apart from those who keep the warehouse going."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardlake.model.entitlements import Ended, Entitlement, WarehouseRole
from wardlake.model.errors import ContractBroken
from wardlake.practices.policies.groups import keep_common, read_groups, write_groups
from wardlake.practices.policies.reach import ADMINISTRATORS, REGISTRAR, compile_policy

NOW = datetime(2026, 1, 31, 8, tzinfo=UTC)
DAY = timedelta(days=1)
MANAGER, CLINICIAN, ADMINISTRATOR = WarehouseRole.MANAGER, WarehouseRole.CLINICIAN, WarehouseRole.ADMINISTRATOR


def entitlement(
    user: str,
    practice: str = "north",
    role: WarehouseRole = MANAGER,
    *,
    source: str = "clinics",
    begins: datetime = NOW - DAY,
    until: datetime = NOW + DAY,
    ended: Ended | None = None,
) -> Entitlement:
    return Entitlement(
        source=source,
        user=user,
        practice=practice,
        role=role,
        begins=begins,
        until=until,
        granted_by="sam",
        granted_at=begins,
        reason="runs it",
        ended=ended,
    )


def groups_of(*entitlements: Entitlement, at: datetime = NOW) -> dict[str, tuple[str, ...]]:
    return dict(compile_policy(entitlements, registrar="wardlake", at=at).groups)


def test_users_with_the_same_reach_share_a_group() -> None:
    both = [entitlement(user, practice) for user in ("ann", "bob") for practice in ("north", "south")]
    found = compile_policy([*both, entitlement("cid")], registrar="wardlake", at=NOW)
    assert found.groups["ann"] == found.groups["bob"] != found.groups["cid"]
    assert [reach.practices for reach in found.reaches.values()].count(((MANAGER, ("north", "south")),)) == 1
    assert len(found.reaches) == 2


def test_a_group_s_name_says_what_it_reaches() -> None:
    (one,) = groups_of(entitlement("ann"))["ann"]
    assert groups_of(entitlement("bob"), entitlement("x", "south"))["bob"] == (one,)
    for other in (entitlement("ann", "north2"), entitlement("ann", role=CLINICIAN), entitlement("ann", source="labs")):
        assert groups_of(other)["ann"] != (one,)


def test_an_entitlement_holds_from_its_beginning_until_its_end() -> None:
    it = entitlement("ann", begins=NOW, until=NOW + DAY)
    assert "ann" not in groups_of(it, at=NOW - timedelta(microseconds=1))
    assert "ann" in groups_of(it, at=NOW)
    assert "ann" in groups_of(it, at=NOW + DAY - timedelta(microseconds=1))
    assert "ann" not in groups_of(it, at=NOW + DAY)
    assert "ann" not in groups_of(entitlement("ann", ended=Ended(by="sam", at=NOW, reason="left")))


def test_an_administrator_and_the_registrar_reach_no_rows_whatever_else_was_granted() -> None:
    found = groups_of(entitlement("ada", "", ADMINISTRATOR), entitlement("ada"), entitlement("wardlake"))
    assert found == {"ada": (ADMINISTRATORS,), "wardlake": (REGISTRAR,)}


def test_one_user_in_two_sources_has_a_group_in_each() -> None:
    assert len(groups_of(entitlement("ann"), entitlement("ann", source="labs"))["ann"]) == 2


NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,20}", fullmatch=True)
GROUPS = st.dictionaries(
    NAMES,
    st.lists(st.from_regex(r"wardlake_reach_[0-9a-f]{4}", fullmatch=True), min_size=1, unique=True).map(sorted).map(tuple),
)


@given(GROUPS)
def test_groups_are_read_as_they_were_written(groups: dict[str, tuple[str, ...]]) -> None:
    assert read_groups(write_groups(groups)) == groups


@given(GROUPS, GROUPS)
def test_what_two_versions_have_in_common_opens_nothing(
    before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]
) -> None:
    for user, names in keep_common(before, after).items():
        assert names
        assert set(names) <= set(before[user]) & set(after[user])


@pytest.mark.parametrize("user", ["", "a,b", "a:b", "a\nb", "*", "a b", "é", "a\r", " a", "-a", "a" * 129])
def test_a_user_s_name_that_cannot_stand_in_the_file_is_refused(user: str) -> None:
    with pytest.raises(ContractBroken) as told:
        write_groups({"ann": ("wardlake_reach_1",), user: ("wardlake_reach_1",)})
    assert told.value.which == (ascii(user),)


def test_a_damaged_file_of_groups_puts_nobody_into_a_group() -> None:
    assert read_groups(b"no colon\n\xff:ann\nOther.Group:ann\nwardlake_reach_1:a b,ann\n:ann\n") == {"ann": ("wardlake_reach_1",)}
