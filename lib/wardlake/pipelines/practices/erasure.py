"""One patient leaves the practices' part of the lake: change log, raw tables, quarantine, marts, and what these were before."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import Row as Cells
from pyspark.sql import functions as F

from wardlake.model.audit import AuditKind
from wardlake.model.errors import ConfigurationError, DoneInPart
from wardlake.model.quoting import quote_name
from wardlake.pipelines.practices.acts import record_act, require_may_act
from wardlake.pipelines.practices.capture import log_lock
from wardlake.pipelines.practices.erased import NOWHERE, Erasure, Nowhere, Row, end_erasure, keep_erasure, open_erasure
from wardlake.pipelines.practices.ingest import table_lock
from wardlake.pipelines.practices.marts import build_marts, mart_lock, unsettle
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.quarantine import empty_quarantine
from wardlake.pipelines.practices.tidy import places
from wardlake.pipelines.practices.unite import empty_marts
from wardlake.practices.change_log import ORDER, parse_row
from wardlake.practices.leaving import Entry, Leaving, Place, part_from
from wardlake.practices.log_entries import Deed, text_of
from wardlake.practices.marts.every import MARTS
from wardlake.practices.raw_tables import BUCKET, COMMITTED_AT, DELETED, KEY, PRACTICE
from wardlake.runs.storage_failures import engine_errors_named

ERASING = "a patient of it is being erased"
_NOT_ERASED = "A patient cannot be erased"
_ON_ROW = "target.practice = source.practice AND target.table = source.table AND target.key = source.key"
_AT = " AND ".join(f"target.{name} = source.{name}" for name in ORDER)
_ON_LOG = f"{_ON_ROW} AND (source.commit IS NULL OR ({_AT}))"  # a row without a position: all of its entries
_ON_RAW = " AND ".join(f"target.{name} = source.{name}" for name in (BUCKET, PRACTICE, KEY))
_ROW = ("practice", "table", "key")
_POSITION = tuple(f"wardlake_{name}" for name in ORDER)
_FRAME = "practice string, table string, key string, commit decimal(38,0), sequence bigint, part int"


def erase_patient(practices: Practices, patient: str, *, told: Told) -> dict[str, Any]:
    """Remove a patient, by the key of the source's table of patients, and keep them from coming back.

    Recorded before and after, by a keyed hash and counts. What is captured of the patient from now on is not kept. The practices
    concerned wait meanwhile, and their marts are built again from what is left; then every table's history ends. What is
    concerned is known until all of it is done: after whatever broke off, erasing again finishes it.

    Raises `ConfigurationError` where rows of a table cannot be told to be the patient's, or nothing of the patient is here;
    `RunLocked` where somebody does not let go of a table; `DoneInPart` where marts could not be built: these still hold what they
    did.
    """
    require_may_act(practices)
    _require_reached(practices)
    erasure = open_erasure(practices, patient)
    record_act(practices, AuditKind.PRACTICES_PATIENT_ERASED, [], patient_hmac=erasure.known_as, stage="begun")
    erasure, rows = _forget_in_log(practices, patient, erasure)
    concerned = sorted(erasure.practices)
    practices.queue.hold(concerned, reason=ERASING, tables=())  # who read the log before loses its lease, and merges no more
    try:
        removed = _remove_rows(practices, patient, rows)
        empty_quarantine(practices, concerned)
    finally:
        practices.queue.release(concerned, reason=ERASING)
    failed = _build_again(practices, concerned, told)
    _end_history(practices)
    count = {"rows": removed, "entries": len(rows)}
    stage = "marts-failed" if failed else "done"
    record_act(practices, AuditKind.PRACTICES_PATIENT_ERASED, concerned, patient_hmac=erasure.known_as, stage=stage, **count)
    if failed:
        raise DoneInPart(
            "Marts of these practices still hold what they did.", which=failed, next_step="mend them, then erase again"
        )
    end_erasure(practices, erasure)
    told(f"a patient of {len(concerned)} practices is erased: {removed} rows")
    return {"practices": concerned, **count}


def _require_reached(practices: Practices) -> None:
    """Rows that hang on a patient's by a reference alone would stay, and those whose patient the gate keeps out."""
    tables, raw = practices.source.tables, practices.admission.raw
    hangs = [
        name for name, each in tables.items() if not each.patient and any(tables[to.table].patient for to in each.references)
    ]
    if hangs or not practices.source.patients:
        lacks = ", ".join(hangs) or "the table of patients"
        raise ConfigurationError(
            what=f"Whose rows these are is not declared, so nobody can be erased: {lacks}.",
            next_step=f"conf/sources/{practices.spec.name}.yaml: patients, and patient of each table",
        )
    kept_out = [
        f"{name}.{each.patient}" for name, each in tables.items() if each.patient and each.patient not in raw[name].columns
    ]
    if kept_out:
        raise ConfigurationError(
            what=f"Whose rows these are is not admitted to their tables, so nobody can be erased: {', '.join(kept_out)}.",
            next_step=f"decide on these columns as sensitive: conf/classification/{practices.spec.name}.yaml",
        )


def _forget_in_log(practices: Practices, patient: str, erasure: Erasure) -> tuple[Erasure, dict[Row, Place | Nowhere]]:
    """Remove the patient's entries, once it is kept whom and what that concerns.

    Returns this and the rows that are theirs, each with the place of its last entry. Of a row that was theirs and is somebody
    else's by now, what was told of it since stays. Nothing is appended meanwhile; what is appended after knows that the patient
    was erased. Raises `ConfigurationError` where nothing is found and nothing was kept.
    """
    with engine_errors_named(_NOT_ERASED, "change log"), log_lock(practices):
        kept = _rows_kept(practices, erasure)
        found = {*_rows_of_raw(practices, patient), *kept, *_rows_of_log(practices, patient)}
        if not found and not erasure.is_begun:
            record_act(practices, AuditKind.PRACTICES_PATIENT_ERASED, [], patient_hmac=erasure.known_as, stage="nothing-found")
            raise ConfigurationError(
                what="Nothing of this patient is here: nothing was erased.",
                next_step=f"give the key as {practices.source.patients} has it; who was erased before is found no more",
            )
        told = _entries_of(practices, found)
        leaving = {row: _part(practices, patient, row, told.get(row, [])) for row in sorted(found)}
        going_on = [row for row, each in leaving.items() if not each.is_theirs]
        standing = _standing(practices, patient, going_on) if going_on else {}
        leaving |= {row: _part(practices, patient, row, told[row], standing.get(row)) for row in going_on}
        theirs = {
            row: max((each.place for each in told.get(row, [])), default=kept.get(row, NOWHERE)) for row in found - set(going_on)
        }
        whole = erasure.with_rows(found, theirs)
        keep_erasure(practices, whole)
        _remove_entries(practices, leaving)
    return whole, theirs


def _part(practices: Practices, patient: str, row: Row, told: Sequence[Entry], stands: Entry | None = None) -> Leaving:
    _, table, key = row
    column = practices.source.tables[table].patient or ""
    return part_from(told, patient, column=column, key=json.loads(key), stands=stands)


def _entries_of(practices: Practices, rows: Collection[Row]) -> dict[Row, list[Entry]]:
    """What the log tells of these rows."""
    ports, told = practices.ports, dict[Row, list[Entry]]()
    if not rows or not ports.tables.exists(practices.log):
        return told
    log = ports.tables.read(practices.log)
    for each in log.join(F.broadcast(_frame(practices, rows).select(*_ROW)), list(_ROW), "semi").collect():
        entry = Entry(
            batch=each["batch"],
            place=_place(each, ORDER),
            row=None if each["row"] is None else json.loads(each["row"]),
            unchanged=tuple(each["unchanged"] or ()),
            needs_row=bool(each["needs_row"]),
            committed_at=each["committed_at"],
        )
        told.setdefault((each["practice"], each["table"], each["key"]), []).append(entry)
    return told


def _place(row: Cells, names: Sequence[str]) -> Place:
    commit, sequence, part = (row[name] for name in names)
    return commit, sequence, part


def _standing(practices: Practices, patient: str, rows: Collection[Row]) -> dict[Row, Entry]:
    """Those of these rows that are the patient's as they stand in their raw tables: the last word on what was merged."""
    found = {}
    for name, own in _own_rows(practices, patient):
        wanted = _frame(practices, rows).where(F.col("table") == name)
        known = wanted.select(F.col("practice").alias(PRACTICE), F.col("key").alias(KEY))
        values = {column: F.col(quote_name(column)).cast("string") for column in practices.admission.raw[name].columns}
        told = F.struct(*(value.alias(column) for column, value in values.items())).alias("told")
        rows_left = own.where(~F.col(DELETED)).join(F.broadcast(known), [PRACTICE, KEY], "semi")
        for each in rows_left.select(PRACTICE, KEY, *_POSITION, COMMITTED_AT, told).collect():
            entry = Entry(batch=0, place=_place(each, _POSITION), row=each["told"].asDict(), committed_at=each[COMMITTED_AT])
            found[(each[PRACTICE], name, each[KEY])] = entry
    return found


def _remove_entries(practices: Practices, leaving: Mapping[Row, Leaving]) -> None:
    """Remove what goes from the log. What rests on it has its bases before that, wherever this breaks off."""
    tables = practices.ports.tables
    if not leaving or not tables.exists(practices.log):
        return
    schema = tables.read(practices.log).schema
    bases = [_row_of_log(row, base) for row, each in leaving.items() for base in each.bases]
    if bases:
        lines = [tuple(base[name] for name in schema.names) for base in bases]
        tables.append(practices.log, tables.spark.createDataFrame(lines, schema).coalesce(1))
    goes = {row: {NOWHERE} if each.is_theirs else each.goes for row, each in leaving.items()}
    tables.remove(practices.log, _frame(practices, goes), on=_ON_LOG)


def _row_of_log(row: Row, base: Entry) -> dict[str, Any]:
    """A base as the log holds it."""
    return {
        **dict(zip(_ROW, row, strict=True)),
        **dict(zip(ORDER, base.place, strict=True)),
        "batch": base.batch,
        "deed": Deed.UPSERT.value,
        "row": text_of(base.row or {}),
        "unchanged": list(base.unchanged),
        "needs_row": base.needs_row,
        "committed_at": base.committed_at,
        "problem": None,
    }


def _rows_of_log(practices: Practices, patient: str) -> list[Row]:
    ports, found = practices.ports, []
    if ports.tables.exists(practices.log):
        log = ports.tables.read(practices.log)
        for name, table in practices.source.tables.items():
            if table.patient:
                told = parse_row(F.coalesce("row", "key")).getItem(table.patient)
                own = log.where((F.col("table") == name) & (told == F.lit(patient)))
                found += [(row["practice"], name, row["key"]) for row in own.select("practice", "key").distinct().collect()]
    return found


def _rows_kept(practices: Practices, erasure: Erasure) -> dict[Row, Place | Nowhere]:
    """Rows that an erasure which broke off knew to be the patient's, each with the place of its last entry then.

    The log tells it no more. A tombstone never did, nor does a row that stands as somebody else's, as it was merged before.
    """
    ports, found = practices.ports, dict[Row, Place | Nowhere]()
    for name, table in practices.source.tables.items() if erasure.rows else ():
        path = ports.layout.practice_table(practices.spec.name, name)
        if table.patient and ports.tables.exists(path):
            rows = ports.tables.read(path).where(F.col(PRACTICE).isin(sorted(erasure.practices))).select(PRACTICE, KEY)
            for each in rows.toLocalIterator():
                row = (each[PRACTICE], name, each[KEY])
                if at := erasure.rows.get(erasure.hash_row(row)):
                    found[row] = at
    return found


def _build_again(practices: Practices, concerned: Sequence[str], told: Told) -> list[str]:
    """Marts from what is left, also of practices that are set aside; returns those of whom some could not be built.

    First nothing counts as built, so that nobody writes what was read before, and others build what this here does not come to.
    """
    for mart in MARTS:
        with mart_lock(practices, mart):
            unsettle(practices, concerned, mart, keeps_days=True)
    built = build_marts(practices, concerned, only=(), again=True, day=None, told=told, also_set_aside=True)
    for name in concerned:
        empty_marts(practices, name, built["left_out"])
    return sorted(built["failed"])


def _rows_of_raw(practices: Practices, patient: str) -> list[Row]:
    found = []
    for name, rows in _own_rows(practices, patient):
        found += [(row[PRACTICE], name, row[KEY]) for row in rows.select(PRACTICE, KEY).collect()]
    return found


def _own_rows(practices: Practices, patient: str) -> list[tuple[str, DataFrame]]:
    ports, own = practices.ports, []
    for name, table in practices.source.tables.items():
        path = ports.layout.practice_table(practices.spec.name, name)
        if table.patient and ports.tables.exists(path):
            own.append((name, ports.tables.read(path).where(_is_of(table.patient, patient))))
    return own


def _is_of(column: str, patient: str) -> Column:
    """Whom a row tells of; a tombstone tells it by its key at most."""
    by_key = parse_row(F.col(KEY)).getItem(column)
    return F.coalesce(F.col(quote_name(column)).cast("string"), by_key) == F.lit(patient)


def _frame(practices: Practices, rows: Collection[Row] | Mapping[Row, Collection[Place | Nowhere]]) -> DataFrame:
    """Rows of tables, each with places of entries where these are given."""
    places = rows if isinstance(rows, Mapping) else dict.fromkeys(rows, (NOWHERE,))
    lines = [(*row, *place) for row in sorted(places) for place in places[row]]
    return practices.ports.tables.spark.createDataFrame(lines, _FRAME)


def _remove_rows(practices: Practices, patient: str, rows: Mapping[Row, Place | Nowhere]) -> int:
    """Remove the patient's rows from every raw table; returns how many.

    And of rows that were told to be theirs: tombstones, what is nobody's, and what was merged before that was told.
    """
    ports, count = practices.ports, 0
    for name, table in practices.source.tables.items():
        path = ports.layout.practice_table(practices.spec.name, name)
        if not table.patient or not ports.tables.exists(path):
            continue
        with engine_errors_named(_NOT_ERASED, name), table_lock(practices, name):
            raw = ports.tables.read(path)
            gone = _gone(raw, _frame(practices, {row: [at] for row, at in rows.items() if row[1] == name}), table.patient)
            gone = gone.unionByName(raw.where(_is_of(table.patient, patient)).select(BUCKET, PRACTICE, KEY)).distinct().persist()
            found = gone.count()
            if found:
                ports.tables.remove(path, gone, on=_ON_RAW)
            gone.unpersist()
            count += found
    return count


def _gone(raw: DataFrame, named: DataFrame, column: str) -> DataFrame:
    is_nobodys = F.col(DELETED) | F.col(quote_name(column)).isNull()
    is_older = F.struct(*(F.col(name) for name in _POSITION)) < F.struct(*(F.col(name) for name in ORDER))
    keyed = named.select(F.col("practice").alias(PRACTICE), F.col("key").alias(KEY), *ORDER)
    both = raw.select(BUCKET, PRACTICE, KEY, DELETED, quote_name(column), *_POSITION).join(F.broadcast(keyed), [PRACTICE, KEY])
    return both.where(is_nobodys | (F.col("commit").isNotNull() & is_older)).select(BUCKET, PRACTICE, KEY)


def _end_history(practices: Practices) -> None:
    """Nothing is left of what tables were before; who reads one just then has to read again."""
    for place in places(practices):
        with place.lock():
            practices.ports.tables.purge(place.path)
            practices.ports.tables.vacuum(place.path)
