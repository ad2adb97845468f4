"""No key shows anywhere: not in plans, logs, event log, UI answers, exceptions, output or Spark's own folders.

A child process runs a job that tokenises, fills mappings and collects the residue scan's known values under the keys it is
given, with the event log and the UI on, and leaves everything it could see in one folder. The search must find nothing there,
and must find a key put into a plan as a literal. Another scans for the known values in a session as Wardlake starts it.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from wardlake.adapters.sealed_key_file import SealedKeyFile, create_key_file
from wardlake.publish.residue.known_values.hashing import hash_key
from wardlake.tokens.keyring import KeyUse, hmac_pads, open_ring

ROOT = Path(__file__).parents[2]
DOMAINS = ("patient", "provider", "residue")
WINDOW = 12  # bytes: 96 bits of a key in a row are no chance
START, SLOTS = 4, 22  # bytes of a spelling that are looked up, and bits of where


def make_vault(folder: Path) -> SealedKeyFile:
    create_key_file(folder / "keys.json", folder / "master.key")
    keys = SealedKeyFile(folder / "keys.json", folder / "master.key")
    for domain in DOMAINS:
        keys.create(f"dev/{domain}")
    keys.create_wrapping_key("dev/mapping")
    return keys


def secrets_of_the_job(keys: SealedKeyFile, seen: Path) -> dict[str, bytes]:
    """Every key, subkey, pad and data key of the job, by what it is; data keys are unwrapped from the mappings it wrote."""
    ring = open_ring(keys, "dev", DOMAINS)
    found: dict[str, bytes] = {}
    for domain in DOMAINS:
        key = ring.keys[domain].material
        for name, secret in [("key", key), *((use.value, ring.subkey(domain, use)) for use in KeyUse)]:
            inner, outer = hmac_pads(secret)
            found |= {f"{domain} {name}": secret, f"{domain} {name} inner": inner, f"{domain} {name} outer": outer}
    known = ring.subkey("residue", KeyUse.LOOKUP)
    found |= {"known values": hash_key(known), "known values inner": hmac_pads(known)[0], **keys_of_the_vault(keys, seen)}
    for number, wrapped in enumerate(sorted(wrapped_data_keys(seen))):
        found[f"data key {number}"] = keys.unwrap("dev/mapping", wrapped)
    return found


def keys_of_the_vault(keys: SealedKeyFile, seen: Path) -> dict[str, bytes]:
    """What no job is ever given: the key that wraps the mappings' data keys, and the one that seals the key file."""
    vault = seen.parent / "vault"
    sealed = json.loads((vault / "keys.json").read_text())["wrapping"]["dev/mapping"]
    return {
        "mapping": keys._open(sealed, "wrapping:dev/mapping"),
        "master": base64.b64decode((vault / "master.key").read_bytes()),
    }


def wrapped_data_keys(seen: Path) -> set[str]:
    """From the mappings' data files; the transaction logs hold some too, as statistics."""
    files = seen.glob("lake-*/restricted/mappings/dev/*/*.parquet")
    return {str(key) for file in files for key in pq.read_table(file, columns=["data_key"])["data_key"].to_pylist()}


def spellings(secret: bytes) -> Iterator[bytes]:
    """A secret's first bytes as they could stand in a file: raw, hexadecimal, base64, as numbers, spaced."""
    for part in (secret[:WINDOW], secret[-WINDOW:]):
        yield part
        for digits in (part.hex(), part.hex(" "), part.hex("-"), part.hex(":")):
            yield from (digits.encode(), digits.upper().encode())
        yield base64.b64encode(part)
        yield base64.urlsafe_b64encode(part)
        for offset in (1, 2):  # base64 of a longer text, the secret not at its start
            yield base64.b64encode(bytes(offset) + part)[4:-4]
        for numbers in (part, [byte - 256 if byte > 127 else byte for byte in part]):
            yield from (", ".join(map(str, numbers)).encode(), ",".join(map(str, numbers)).encode())
        yield repr(part)[2:-1].encode()
        yield "".join(map(chr, part)).encode()  # bytes read as Latin-1 and written as UTF-8


def found_in(folder: Path, secrets: Mapping[str, bytes]) -> set[str]:
    """Which secrets stand in any file of the folder, as `what: file`."""
    wanted = Spelled(secrets)
    return {
        f"{what}: {file.name}" for file in filter(Path.is_file, folder.rglob("*")) for what in wanted.within(file.read_bytes())
    }


class Spelled:
    """Secrets in all their spellings, thousands, looked for in one pass: only where four bytes begin one is more compared."""

    def __init__(self, secrets: Mapping[str, bytes]) -> None:
        self._by_start: dict[bytes, list[tuple[bytes, str]]] = {}
        for what, secret in secrets.items():
            for text in spellings(secret):
                self._by_start.setdefault(text[:START], []).append((text, what))
        starts = np.frombuffer(b"".join(self._by_start), dtype="<u4")
        self._begins = np.zeros(1 << SLOTS, dtype=bool)
        self._begins[_slots(starts)] = True

    def within(self, body: bytes) -> set[str]:
        """What stands in these bytes."""
        if len(body) < START:
            return set()
        found: set[str] = set()
        for first in range(START):  # numbers of four bytes lie at every place that is as far from the first
            words = np.frombuffer(body, dtype="<u4", offset=first, count=(len(body) - first) // START)
            for place in np.flatnonzero(self._begins[_slots(words)]) * START + first:
                at = int(place)
                found |= {what for text, what in self._by_start.get(body[at : at + START], ()) if body.startswith(text, at)}
        return found


def _slots(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    return (words * np.uint32(2654435761)) >> np.uint32(32 - SLOTS)


def run_job(folder: Path, how: str) -> tuple[Path, dict[str, bytes]]:
    """Run the child; returns the folder with all it left, and its secrets."""
    seen, vault = folder / how, folder / "vault"
    seen.mkdir()
    vault.mkdir()
    keys = make_vault(vault)
    environment = {**os.environ, "TMPDIR": str(seen), "PYTHONPATH": f"{ROOT / 'lib'}{os.pathsep}{ROOT}"}
    with (seen / "stdout.txt").open("wb") as out, (seen / "stderr.txt").open("wb") as err:
        subprocess.run(
            [sys.executable, "-m", "tests.security.keyed_job", str(seen), how, str(vault)],
            stdout=out,
            stderr=err,
            env=environment,
            cwd=ROOT,
            check=True,
            timeout=1200,
        )
    return seen, secrets_of_the_job(keys, seen)


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    return run_job(tmp_path_factory.mktemp("seen"), "data")


def test_no_key_shows_anywhere(job: tuple[Path, dict[str, bytes]]) -> None:
    seen, secrets = job
    assert sum(name.startswith("data key") for name in secrets) >= 3
    assert found_in(seen, secrets) == set()


def test_the_key_of_the_known_values_shows_nowhere_while_they_are_searched_for(tmp_path: Path) -> None:
    """It travels to the workers with the hashes; what Spark writes of that on its way is encrypted."""
    seen, secrets = run_job(tmp_path, "scan")
    assert "found 50 cells" in (seen / "stdout.txt").read_text()
    assert any(file.is_file() for file in (seen / "local-kept").rglob("*"))
    assert found_in(seen, secrets) == set()


def test_the_search_saw_everything_a_job_shows(job: tuple[Path, dict[str, bytes]]) -> None:
    seen, _ = job
    for name in ("plans.txt", "exception.txt", "ui.txt", "stderr.txt", "stdout.txt"):
        assert (seen / name).stat().st_size
    for folder in ("events", "local-kept"):
        assert any(file.is_file() for file in (seen / folder).rglob("*"))
    assert "sha2(" in (seen / "plans.txt").read_text()
    assert "BroadcastNestedLoopJoin" in (seen / "ui.txt").read_text()


def test_the_control_with_a_literal_is_found(tmp_path: Path) -> None:
    hits = found_in(*run_job(tmp_path, "literal"))
    assert {"patient key inner: plans.txt", "patient key outer: plans.txt"} <= hits
    assert any(hit.endswith(": ui.txt") for hit in hits)
    assert any("events" in hit or "local" in hit for hit in hits)  # the event log's file is named for the application


@pytest.mark.parametrize("spell", [bytes, bytes.hex, base64.b64encode], ids=["raw", "hex", "base64"])
def test_the_search_finds_a_key_in_any_spelling(tmp_path: Path, spell: Callable[[bytes], bytes | str]) -> None:
    key = bytes(range(190, 222))
    text = spell(key)
    (tmp_path / "log").write_bytes(b"xx" + (text.encode() if isinstance(text, str) else text))
    assert found_in(tmp_path, {"key": key}) == {"key: log"}
