"""A run does each step once, holds one lock, goes on where it halted, and never goes on where a gate refused."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.model.errors import ContractBroken, IdentifiersFound, RunLocked, UnclassifiedColumns, WardlakeError
from wardlake.model.plan import Plan, Step
from wardlake.runs.engine import Work, find_unfinished, load_run, lock_name, run_plan
from wardlake.runs.states import Run, RunState

PLAN = Plan(
    name="bake",
    lock="bake",
    steps=(
        Step(name="mix", title="Mix"),
        Step(name="rest", title="Rest", needs=("mix",)),
        Step(name="bake", title="Bake", needs=("rest",)),
    ),
)


class Silence:
    def started(self, step, number, of): ...
    def skipped(self, step, number, of): ...
    def finished(self, step, record): ...
    def failed(self, step, seconds): ...


class Kitchen:
    """Counts what was done; `fails` maps a step to the error it raises."""

    def __init__(self, fails=None, fingerprints=None):
        self.done, self.fails = [], fails or {}
        self.fingerprints = {step.name: "v1" for step in PLAN.steps} | (fingerprints or {})

    def work(self):
        return Work(functions={step.name: self._function(step.name) for step in PLAN.steps}, fingerprints=self.fingerprints)

    def _function(self, name):
        def do(outcomes):
            if name in self.fails:
                raise self.fails[name]
            self.done.append(name)
            return {"made": name, "from": sorted(outcomes)}

        return do


@pytest.fixture
def registry(tmp_path):
    return SqliteRegistry(tmp_path / "registry.db")


def new_run(run_id="bake-1", **arguments):
    return Run(run_id=run_id, plan="bake", source="rye", arguments=arguments, started_at="2026-01-31T00:00:00Z", actor="ada")


def run(registry, kitchen, run=None, **options):
    return run_plan(PLAN, run or new_run(), kitchen.work(), registry=registry, progress=Silence(), **options)


def test_steps_run_in_order_and_see_what_came_before(registry):
    kitchen = Kitchen()
    done = run(registry, kitchen)
    assert kitchen.done == ["mix", "rest", "bake"]
    assert done.steps["bake"].outcome == {"made": "bake", "from": ["mix", "rest"]}
    assert load_run(registry, "bake-1").state is RunState.DONE


def test_a_halted_run_goes_on_where_it_halted(registry):
    with pytest.raises(UnclassifiedColumns):
        run(registry, Kitchen(fails={"rest": UnclassifiedColumns("a column has no decision")}))
    halted = find_unfinished(registry, PLAN, "rye", {})
    again = Kitchen()
    run(registry, again, halted)
    assert (halted.state, halted.exit_code, halted.halted_at) == (RunState.HALTED, 10, "rest")
    assert again.done == ["rest", "bake"]


@pytest.mark.parametrize("refusal", [IdentifiersFound("found"), ContractBroken("broken")])
def test_a_refused_run_is_over(registry, refusal):
    with pytest.raises(type(refusal)):
        run(registry, Kitchen(fails={"bake": refusal}))
    assert find_unfinished(registry, PLAN, "rye", {}) is None


def test_a_run_with_other_arguments_is_another_run(registry):
    with pytest.raises(UnclassifiedColumns):
        run(registry, Kitchen(fails={"rest": UnclassifiedColumns("x")}), new_run(sample=0.05))
    assert find_unfinished(registry, PLAN, "rye", {}) is None
    assert find_unfinished(registry, PLAN, "rye", {"sample": 0.05}) is not None


def test_only_the_newest_run_goes_on(registry):
    with pytest.raises(UnclassifiedColumns):
        run(registry, Kitchen(fails={"rest": UnclassifiedColumns("x")}))
    later = Run(run_id="bake-2", plan="bake", source="rye", arguments={}, started_at="2026-02-01T00:00:00Z", actor="ada")
    run(registry, Kitchen(), later)
    assert find_unfinished(registry, PLAN, "rye", {}) is None


def test_a_step_whose_making_changed_is_done_again_with_all_that_need_it(registry):
    with pytest.raises(WardlakeError):
        run(registry, Kitchen(fails={"bake": WardlakeError("oven")}))
    halted = load_run(registry, "bake-1")
    again = Kitchen(fingerprints={"mix": "v2"})
    run(registry, again, halted)
    assert again.done == ["mix", "rest", "bake"]


def test_two_runs_at_once_are_refused(registry):
    with registry.lock(lock_name(PLAN, "rye")), pytest.raises(RunLocked) as caught:
        run(registry, Kitchen())
    assert caught.value.exit_code == 21


@pytest.mark.parametrize("end", [None, IdentifiersFound("found"), UnclassifiedColumns("again")])
def test_a_run_that_another_command_went_on_with_before_the_lock_was_held_is_left_as_it_is(registry, end):
    with pytest.raises(UnclassifiedColumns):
        run(registry, Kitchen(fails={"bake": UnclassifiedColumns("a column has no decision")}))
    read = find_unfinished(registry, PLAN, "rye", {})
    with pytest.raises(type(end)) if end else nullcontext():
        run(registry, Kitchen(fails={"bake": end} if end else {}, fingerprints={"rest": "v2"}), read)
    since, late = load_run(registry, "bake-1"), Kitchen()
    with pytest.raises(RunLocked, match="meanwhile"):
        run(registry, late, read)
    assert late.done == []
    assert load_run(registry, "bake-1") == since


def test_of_two_that_begin_under_one_name_the_second_is_refused(registry):
    run(registry, Kitchen(), new_run())
    late = Kitchen()
    with pytest.raises(RunLocked, match="meanwhile"):
        run(registry, late, new_run())
    assert (late.done, load_run(registry, "bake-1").state) == ([], RunState.DONE)


def test_another_source_is_not_locked_out(registry):
    with registry.lock(lock_name(PLAN, "wheat")):
        assert run(registry, Kitchen()).state is RunState.DONE


def test_one_step_alone_needs_those_before_it(registry):
    with pytest.raises(WardlakeError, match="needs steps"):
        run(registry, Kitchen(), only="rest")


def test_steps_one_by_one_make_the_same_run(registry):
    kitchen = Kitchen()
    for step in PLAN.steps:
        run(registry, kitchen, load_run(registry, "bake-1"), only=step.name)
    assert kitchen.done == ["mix", "rest", "bake"]
    assert load_run(registry, "bake-1").state is RunState.DONE


def test_an_interrupted_step_leaves_the_run_to_be_continued(registry):
    with pytest.raises(KeyboardInterrupt):
        run(registry, Kitchen(fails={"rest": KeyboardInterrupt()}))
    assert find_unfinished(registry, PLAN, "rye", {}).halted_at == "rest"


def test_a_plan_whose_step_needs_a_later_one_cannot_be_written():
    with pytest.raises(ValueError, match="needs"):
        Plan(name="p", lock="p", steps=(Step(name="a", title="A", needs=("b",)), Step(name="b", title="B")))
