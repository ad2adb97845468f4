"""The configuration: what of it is wrong, said as checks, so that the other checks are still shown."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from wardlake.doctor.checks import Check, State
from wardlake.model.errors import ConfigurationError
from wardlake.settings.check import check_whole
from wardlake.settings.environment import Environment
from wardlake.settings.load import load_environment


def check_configuration(conf: Path, name: str, *, today: date) -> tuple[Environment | None, list[Check]]:
    """The environment, None where its own file is wrong; a check for each mistake of that file, and one for all of `conf/`."""
    if not conf.is_dir():
        return None, [_wrong("Configuration", f"there is no folder {conf}", "give --conf DIR")]
    whole = _check_all(conf, name, today)
    try:
        environment, _root = load_environment(conf, name)
    except ConfigurationError as problem:
        known = ", ".join(sorted(path.stem for path in (conf / "environments").glob("*.yaml"))) or "none"
        remedy = f"mend it (environments there are: {known}), then wardlake doctor --env NAME"
        return None, [*(_wrong("Environment", str(mistake), remedy) for mistake in problem.mistakes), whole]
    return environment, [_right("Environment", f"{environment.name}: no mistake"), whole]


def _check_all(conf: Path, name: str, today: date) -> Check:
    try:
        check_whole(conf, name, today=today)
    except ConfigurationError as problem:
        first = f" First: {problem.mistakes[0]}" if problem.mistakes else ""
        return _wrong("Configuration", f"{problem.what}{first}", f"wardlake conf check --env {name} names them all; mend them")
    return _right("Configuration", "no mistake")


def _right(name: str, detail: str) -> Check:
    return Check(name=name, state=State.OK, detail=detail, serves="every command", remedy="none is needed")


def _wrong(name: str, detail: str, remedy: str) -> Check:
    return Check(name=name, state=State.MISSING, detail=detail, serves="every command", remedy=remedy)
