"""Patients who were erased do not come back: each is remembered by a keyed hash alone, and changes of theirs are not kept."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from wardlake.pipelines.key_making import create_keys
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.paging import page_erased
from wardlake.practices.leaving import Place
from wardlake.practices.log_entries import LogEntry
from wardlake.tokens.keyring import KeyRing, KeyUse, key_name, open_ring

PURPOSE, DOMAIN = "practices", "erasure"
ERASED = "practice-erased-patients"  # by source and keyed hash: when, and under which version of the key
UNFINISHED = "practice-erasures"  # by source and keyed hash: what an erasure concerns and when it was tried, until it is done
Row = tuple[str, str, str]  # its practice, table and key
Nowhere = tuple[None, None, None]
NOWHERE: Nowhere = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """What is kept of an erasure until it is done: the practices, and which rows were the patient's.

    `rows`: the place of each row's last entry, or nowhere, by the keyed hash of the row.
    """

    known_as: str
    ring: KeyRing
    practices: frozenset[str] = frozenset()
    rows: Mapping[str, Place | Nowhere] = field(default_factory=dict)
    is_begun: bool = False

    def hash_row(self, row: Row) -> str:
        """Of a row's practice, table and key."""
        return _digest(self.ring, json.dumps(row))

    def with_rows(self, rows: Iterable[Row], theirs: Mapping[Row, Place | Nowhere]) -> Erasure:
        """With the practices of rows that it concerns, and with those of the rows that are the patient's still."""
        named = self.practices | {practice for practice, _, _ in rows}
        return replace(self, practices=named, rows={**self.rows, **{self.hash_row(row): at for row, at in theirs.items()}})


def open_erasure(practices: Practices, patient: str) -> Erasure:
    """The patient's erasure that broke off, else one that is not begun; makes the key of hashes where there is none yet."""
    practices.ports.prepare_key_file()
    if not practices.ports.keys.versions(key_name(PURPOSE, DOMAIN)):
        create_keys(practices.ports, [DOMAIN], purpose=PURPOSE)
    for key, document in practices.ports.registry.find(UNFINISHED, f"{practices.spec.name}/"):
        ring = open_ring(practices.ports.keys, PURPOSE, [DOMAIN], versions={DOMAIN: int(document["key_version"])})
        known_as = _digest(ring, patient)
        if key == f"{practices.spec.name}/{known_as}":
            rows = {digest: _place(at) for digest, at in document["rows"].items()}
            return Erasure(known_as=known_as, ring=ring, is_begun=True, practices=frozenset(document["practices"]), rows=rows)
    ring = open_ring(practices.ports.keys, PURPOSE, [DOMAIN])
    return Erasure(known_as=_digest(ring, patient), ring=ring)


def keep_erasure(practices: Practices, erasure: Erasure) -> None:
    """From now on the patient counts as erased, and what is concerned is known until `end_erasure`, whatever is removed."""
    registry, key = practices.ports.registry, f"{practices.spec.name}/{erasure.known_as}"
    version = erasure.ring.versions[DOMAIN]
    rows = {digest: None if commit is None else [str(commit), *rest] for digest, (commit, *rest) in sorted(erasure.rows.items())}
    now = practices.ports.clock.now().isoformat()
    document = {"practices": sorted(erasure.practices), "rows": rows, "key_version": version, "at": now}
    registry.put(UNFINISHED, key, document)
    registry.insert(ERASED, key, {"at": now, "key_version": version})


def end_erasure(practices: Practices, erasure: Erasure) -> None:
    """All of it is done: which rows there were is forgotten."""
    practices.ports.registry.delete(UNFINISHED, f"{practices.spec.name}/{erasure.known_as}")


def unfinished_erasures(practices: Practices) -> list[tuple[datetime, list[str]]]:
    """When each erasure that is not done was last tried, and which practices it concerns; the oldest first."""
    found = practices.ports.registry.find(UNFINISHED, f"{practices.spec.name}/")
    return sorted((datetime.fromisoformat(document["at"]), list(document["practices"])) for _, document in found)


def without_erased(practices: Practices, entries: list[LogEntry], told: Told) -> list[LogEntry]:
    """The entries that are of nobody who was erased: the same list where all are.

    People are told, once a day, where such a patient comes again. Raises `KeysUnavailable` where hashes cannot be made: then
    nothing is kept.
    """
    prefix = f"{practices.spec.name}/"
    known = {key.removeprefix(prefix): document for key, document in practices.ports.registry.find(ERASED, prefix)}
    if not known:
        return entries
    rings = [
        open_ring(practices.ports.keys, PURPOSE, [DOMAIN], versions={DOMAIN: version})
        for version in sorted({int(document["key_version"]) for document in known.values()})
    ]
    columns = {name: table.patient for name, table in practices.source.tables.items() if table.patient}
    verdicts: dict[str, bool] = {}
    kept, again = [], set[tuple[str, str]]()
    for entry in entries:
        patient = _patient_of(entry, columns)
        if patient is not None and patient not in verdicts:
            verdicts[patient] = any(_digest(ring, patient) in known for ring in rings)
        if patient is None or not verdicts[patient]:
            kept.append(entry)
        else:
            again.add((entry.practice, entry.table))
    for practice, table in sorted(again):
        page_erased(practices, practice, table, told)
    return kept if again else entries


def _patient_of(entry: LogEntry, columns: Mapping[str, str]) -> str | None:
    """Whom an entry is about, as far as it says; a delete says it by its key at most."""
    column = columns.get(entry.table)
    text = entry.row or entry.key
    found = json.loads(text).get(column) if column and text else None
    return None if found is None else str(found)


def _place(told: list[Any] | None) -> Place | Nowhere:
    return (Decimal(told[0]), int(told[1]), int(told[2])) if told else NOWHERE


def _digest(ring: KeyRing, patient: str) -> str:
    return hmac.digest(ring.subkey(DOMAIN, KeyUse.LOOKUP), patient.encode(), hashlib.sha256).hex()
