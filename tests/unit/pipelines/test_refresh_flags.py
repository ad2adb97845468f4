"""Flags of `dev refresh` that are wrong are refused whether the run is dry or not."""

from __future__ import annotations

import click
import pytest
from tests.commands import command
from tests.end_to_end.clinic import Clinic, make_clinic

from wardlake.cli.dev import refresh
from wardlake.pipelines.dev_refresh import PLAN


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Clinic:
    return make_clinic(tmp_path_factory.mktemp("clinic"))


@pytest.mark.parametrize("dry", [["--dry-run"], []])
@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("--sample", "500%", "A sample is a share"),
        ("--sample", "some", "A sample is a share"),
        ("--run-id", "../elsewhere", "A run's name is letters"),
    ],
)
def test_a_sample_or_a_name_that_no_run_takes_is_refused(
    clinic: Clinic, dry: list[str], flag: str, value: str, said: str
) -> None:
    ended = command("dev", "refresh", "--source", "clinic", flag, value, *dry, conf=clinic.folder / "conf", lake=clinic.lake)
    assert (ended.code, said in ended.answer["error"]["what"]) == (2, True)


def test_a_sample_and_a_name_that_a_run_takes_are_taken_dry(clinic: Clinic) -> None:
    flags = ("--sample", "5%", "--run-id", "nightly-7", "--dry-run")
    ended = command("dev", "refresh", "--source", "clinic", *flags, conf=clinic.folder / "conf", lake=clinic.lake)
    assert (ended.code, ended.answer["steps"]) == (0, [step.name for step in PLAN.steps])


def test_the_steps_to_choose_from_are_those_of_the_plan() -> None:
    (only,) = (each for each in refresh.params if each.name == "only")
    assert isinstance(only.type, click.Choice)
    assert list(only.type.choices) == [step.name for step in PLAN.steps]
