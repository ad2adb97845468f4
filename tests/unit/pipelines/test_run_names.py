"""A run's name becomes a folder in every zone, so it must be fit for one; a fresh run gives up only others like it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.adapters.system_clock import SystemClock
from wardlake.audit.scan import name_problem
from wardlake.model.errors import ConfigurationError, NotAllowed
from wardlake.model.identity import Identity, Role, fingerprint
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.refresh.begin import choose_run, give_up_others, require_actor, require_name
from wardlake.runs.engine import load_run, save_run
from wardlake.runs.states import Run, RunState

RUN = Run(run_id="old", plan=PLAN.name, source="clinic", arguments={"sample": 1.0}, started_at="2026-01-31", actor="os:x")


@pytest.mark.parametrize("name", ["", "nightly-7", "dev-20260131T020000Z-3f9a1c", "scheduled__2026.1", "nightly-20260131"])
def test_a_plain_name_is_taken(name: str) -> None:
    require_name(name)


@pytest.mark.parametrize("name", ["../../dev/clinic", "a/b", "..", "a..b", ".hidden", "a b", "a\n", "ü", "a" * 101, "practices"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        require_name(name)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("name", ["nightly-2024-01-31", "364075005", "10.0.0.1", "0b1b3c5e-4f2a-4f0e-9d3c-1a2b3c4d5e6f"])
def test_a_name_that_no_audit_record_would_take_is_refused_before_any_work(name: str) -> None:
    with pytest.raises(ConfigurationError, match="looks like") as refused:
        require_name(name)
    assert name not in refused.value.what


@pytest.mark.parametrize("name", ["os:anna", "oidc:p1234567890123456", "vault:0b1b3c5e-4f2a-4f0e-9d3c-1a2b3c4d5e6f"])
def test_a_caller_whom_a_record_takes_may_begin(name: str) -> None:
    require_actor(caller(name))


@pytest.mark.parametrize("name", ["os:364075005", "os:anna lee", "os:anna@example.org"])
def test_a_caller_whom_no_record_would_take_is_refused_before_any_work(name: str) -> None:
    with pytest.raises(NotAllowed, match="takes no actor") as refused:
        require_actor(caller(name))
    assert name not in str(refused.value)


def test_no_fingerprint_of_a_credential_looks_like_an_identifier() -> None:
    assert {name_problem(fingerprint("oidc", "issuer", str(number))) for number in range(20_000)} == {""}


def caller(subject: str) -> Identity:
    return Identity(subject=subject, roles=frozenset({Role.PIPELINE}), source="oidc", credential="p0")


def choose(registry: SqliteRegistry, *, run_id: str, fresh: bool) -> Run:
    return choose_run(
        registry, SystemClock(), actor=caller("os:x"), source="clinic", arguments={"sample": 1.0}, run_id=run_id, fresh=fresh,
        snapshot_of="", told=lambda _: None,
    )  # fmt: skip


@pytest.mark.parametrize("state", [RunState.HALTED, RunState.DONE])
def test_a_fresh_run_is_not_begun_under_the_name_of_another(tmp_path: Path, state: RunState) -> None:
    registry = SqliteRegistry(tmp_path / "registry.db")
    save_run(registry, replace(RUN, state=state))
    with pytest.raises(ConfigurationError, match="There is a run old") as refused:
        choose(registry, run_id="old", fresh=True)
    assert (refused.value.exit_code, bool(refused.value.next_step)) == (2, True)
    found = load_run(registry, "old")
    assert found is not None
    assert found.state is state
    assert choose(registry, run_id="new", fresh=True).run_id == "new"


def test_a_halted_run_is_gone_on_with_by_its_name(tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / "registry.db")
    save_run(registry, replace(RUN, state=RunState.HALTED))
    assert choose(registry, run_id="old", fresh=False).run_id == "old"


def test_a_fresh_run_gives_up_every_unfinished_run_like_it_and_no_other(tmp_path: Path) -> None:
    registry, fresh = SqliteRegistry(tmp_path / "registry.db"), replace(RUN, run_id="fresh")
    ends = {
        "old": (replace(RUN, state=RunState.HALTED, exit_code=10, halted_at="classify"), RunState.REFUSED),
        "killed": (replace(RUN, run_id="killed"), RunState.REFUSED),
        "done": (replace(RUN, run_id="done", state=RunState.DONE), RunState.DONE),
        "sample": (replace(RUN, run_id="sample", arguments={"sample": 0.05}), RunState.RUNNING),
        "other": (replace(RUN, run_id="other", source="hospital"), RunState.RUNNING),
        "fresh": (fresh, RunState.RUNNING),
    }
    for run, _ in ends.values():
        save_run(registry, run)
    recorded: list[str] = []
    give_up_others(registry, fresh, record=lambda run: recorded.append(run.run_id))
    found = {name: run.state for name in ends if (run := load_run(registry, name)) is not None}
    assert found == {name: state for name, (_, state) in ends.items()}
    assert recorded == ["killed", "old"]
