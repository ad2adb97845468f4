"""The lock files hold what pyproject.toml asks for, each package with its hashes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable

import pytest
from tests.architecture.source_tree import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ASKED = {
    "runtime": [PROJECT["project"]["dependencies"], PROJECT["dependency-groups"]["build"]],
    "tests": [PROJECT["project"]["dependencies"], *(PROJECT["dependency-groups"][g] for g in ("build", "dev"))],
    "bench": [PROJECT["project"]["dependencies"], *(PROJECT["dependency-groups"][g] for g in ("build", "dev", "bench"))],
    "airflow": [[line for line in (ROOT / "locks" / "airflow.in").read_text().splitlines() if not line.startswith("#")]],
}
PINNED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(requirements: Iterable[str]) -> set[str]:
    return {normal(re.split(r"[\s\[<>=!~;]", requirement, maxsplit=1)[0]) for requirement in requirements}


def locked(lock: str) -> set[str]:
    return {normal(name) for name, _ in PINNED.findall((ROOT / "locks" / f"{lock}.txt").read_text())}


@pytest.mark.parametrize("lock", sorted(ASKED))
def test_a_lock_holds_everything_asked_for(lock: str) -> None:
    asked = required(requirement for group in ASKED[lock] for requirement in group)
    assert asked - locked(lock) == set(), "run: make lock"


@pytest.mark.parametrize(("narrow", "wide"), [("runtime", "tests"), ("tests", "bench")])
def test_a_wider_lock_pins_the_same_versions(narrow: str, wide: str) -> None:
    pins = {lock: set(PINNED.findall((ROOT / "locks" / f"{lock}.txt").read_text())) for lock in (narrow, wide)}
    assert pins[narrow] - pins[wide] == set()


@pytest.mark.parametrize("lock", [*sorted(ASKED), "uv"])
def test_every_locked_package_has_its_hashes(lock: str) -> None:
    text = (ROOT / "locks" / f"{lock}.txt").read_text()
    blocks = re.split(r"\n(?=[A-Za-z0-9])", text.split("\n", 2)[2])
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_every_jar_of_the_pom_has_its_sum() -> None:
    pom = (ROOT / "infra" / "jars" / "pom.xml").read_text()
    named = re.findall(r"<artifactId>([^<]+)</artifactId><version>([^<]+)</version></dependency>", pom)
    summed = {line.split()[1] for line in (ROOT / "infra" / "jars" / "SHA256SUMS").read_text().splitlines()}
    assert {f"{artifact}-{version}.jar" for artifact, version in named} == summed
