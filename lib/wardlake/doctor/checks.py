"""Judges what was found on a machine: facts in, checks out. Nothing is looked up here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PYTHON = ((3, 11), (3, 13))  # from, and below
JAVA = 17
SPARK = "4.2.0"
FREE_BYTES = 5 * 2**30  # the sample's lake takes a tenth of it; a bench run takes it all
SETUP = "make setup"
SETUP_TESTS = "make setup-tests"


class State(StrEnum):
    OK = "ok"
    MISSING = "missing"
    OPTIONAL_MISSING = "optional-missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that is there or not. `remedy` is a command, or what to do where no command can."""

    name: str
    state: State
    detail: str
    serves: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was found. An empty version means that the thing is not there."""

    python: tuple[int, int]
    java: str = ""
    spark: str = ""
    packages_missing: tuple[str, ...] = ()
    jars_wanted: Mapping[str, str] = field(default_factory=dict)  # name -> SHA-256
    jars_found: Mapping[str, str] = field(default_factory=dict)
    postgres: str = ""
    pgaudit: bool = False
    openbao: str = ""
    minio: str = ""
    airflow: str = ""
    trino: str = ""
    keycloak: str = ""
    lake: str = ""
    lake_writable: bool = False
    free_bytes: int = 0


def judge_facts(facts: Facts) -> list[Check]:
    """A check for each thing Wardlake and its tests stand on."""
    return [
        judge_python(facts),
        judge_java(facts),
        judge_spark(facts),
        judge_packages(facts),
        judge_jars(facts),
        judge_lake(facts),
        judge_space(facts),
        *judge_test_servers(facts),
    ]


def _check(name: str, good: bool, detail: str, serves: str, remedy: str, *, optional: bool = False) -> Check:
    bad = State.OPTIONAL_MISSING if optional else State.MISSING
    return Check(name=name, state=State.OK if good else bad, detail=detail, serves=serves, remedy=remedy)


def judge_python(facts: Facts) -> Check:
    low, high = PYTHON
    detail = ".".join(map(str, facts.python))
    remedy = f"apt-get install python3 python3-venv (3.{low[1]} up to, without, 3.{high[1]})"
    return _check("Python", low <= facts.python < high, detail, "every command", remedy)


def judge_java(facts: Facts) -> Check:
    major = facts.java.split(".")[0]
    good = major.isdigit() and int(major) >= JAVA
    return _check("Java", good, facts.java or "not found", "Spark", "apt-get install openjdk-17-jre-headless")


def judge_spark(facts: Facts) -> Check:
    detail = facts.spark or "not found"
    return _check("Spark", facts.spark == SPARK, detail, f"every job (tried with {SPARK})", SETUP)


def judge_packages(facts: Facts) -> Check:
    missing = ", ".join(facts.packages_missing)
    return _check("Python packages", not missing, f"missing: {missing}" if missing else "all there", "every command", SETUP)


def judge_jars(facts: Facts) -> Check:
    """The jars are those whose sums are committed, each by its hash, and no other."""
    absent = sorted(set(facts.jars_wanted) - set(facts.jars_found))
    changed = sorted(name for name, found in facts.jars_found.items() if facts.jars_wanted.get(name) != found)
    good = bool(facts.jars_wanted) and not absent and not changed
    detail = f"{len(facts.jars_wanted)} as pinned" if good else f"absent: {absent}; not the ones pinned: {changed}"
    return _check("Jars", good, detail, "Delta, S3A and PostgreSQL in Spark", f"rm -r .tools/jars && {SETUP}")


def judge_lake(facts: Facts) -> Check:
    detail = f"{facts.lake} {'can be written' if facts.lake_writable else 'cannot be written'}"
    return _check("Lake", facts.lake_writable, detail, "every command that writes", "choose another folder: --lake URI")


def judge_space(facts: Facts) -> Check:
    detail = f"{facts.free_bytes / 2**30:.1f} GiB free"
    remedy = f"free {FREE_BYTES // 2**30} GiB, or choose another folder: --lake URI"
    return _check("Disk space", facts.free_bytes >= FREE_BYTES, detail, "staging, beside what is published", remedy)


def judge_test_servers(facts: Facts) -> list[Check]:
    """Servers that the tests start. A refresh with embedded defaults needs none of them."""
    postgres = f"{facts.postgres}{'' if facts.pgaudit else ', without pgaudit'}" if facts.postgres else "not found"
    found = {
        "PostgreSQL": (postgres, bool(facts.postgres) and facts.pgaudit, "tests of sources and registry"),
        "OpenBao": (facts.openbao or "not found", bool(facts.openbao), "tests of keys and vault"),
        "MinIO": (facts.minio or "not found", bool(facts.minio), "tests of S3 and object lock"),
        "Trino": (facts.trino or "not found", bool(facts.trino), "tests of the warehouse"),
        "Keycloak": (facts.keycloak or "not found", bool(facts.keycloak), "tests of sign-in"),
        "Airflow": (facts.airflow or "not found", bool(facts.airflow), "tests of the schedule"),
    }
    return [_check(name, good, detail, serves, SETUP_TESTS, optional=True) for name, (detail, good, serves) in found.items()]
