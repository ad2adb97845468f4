"""One patient leaves the practices' part of the lake: change log, raw tables, quarantine, marts, and what these were before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.model.audit import AuditKind
from wardlake.model.errors import ConfigurationError, DoneInPart
from wardlake.model.quoting import quote_name
from wardlake.pipelines.practices.acts import record_act, require_may_act
from wardlake.pipelines.practices.capture import log_lock
from wardlake.pipelines.practices.erased import Erasure, end_erasure, keep_erasure, open_erasure
from wardlake.pipelines.practices.ingest import table_lock
from wardlake.pipelines.practices.marts import build_marts, mart_lock, unsettle
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.quarantine import empty_quarantine
from wardlake.pipelines.practices.tidy import places
from wardlake.pipelines.practices.unite import empty_marts
from wardlake.practices.marts.every import MARTS
from wardlake.practices.raw_tables import BUCKET, KEY, PRACTICE
from wardlake.runs.storage_failures import engine_errors_named

ERASING = "a patient of it is being erased"
_NOT_ERASED = "A patient cannot be erased"
_ON_LOG = "target.practice = source.practice AND target.table = source.table AND target.key = source.key"
_ON_RAW = " AND ".join(f"target.{name} = source.{name}" for name in (BUCKET, PRACTICE, KEY))
Row = tuple[str, str, str]  # its practice, table and key


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


def _forget_in_log(practices: Practices, patient: str, erasure: Erasure) -> tuple[Erasure, list[Row]]:
    """Remove the patient's entries, once it is kept whom and what that concerns; returns this and all rows found.

    Nothing is appended meanwhile; what is appended after knows that the patient was erased. Raises `ConfigurationError` where
    nothing is found and nothing was kept.
    """
    ports = practices.ports
    with engine_errors_named(_NOT_ERASED, "change log"), log_lock(practices):
        found = {*_rows_of_raw(practices, patient), *_rows_kept(practices, erasure), *_rows_of_log(practices, patient)}
        if not found and not erasure.is_begun:
            record_act(practices, AuditKind.PRACTICES_PATIENT_ERASED, [], patient_hmac=erasure.known_as, stage="nothing-found")
            raise ConfigurationError(
                what="Nothing of this patient is here: nothing was erased.",
                next_step=f"give the key as {practices.source.patients} has it; who was erased before is found no more",
            )
        whole = erasure.with_rows(found)
        keep_erasure(practices, whole)
        if found and ports.tables.exists(practices.log):
            ports.tables.remove(practices.log, _frame(practices, sorted(found)), on=_ON_LOG)
    return whole, sorted(found)


def _rows_of_log(practices: Practices, patient: str) -> list[Row]:
    ports, found = practices.ports, []
    if ports.tables.exists(practices.log):
        log = ports.tables.read(practices.log)
        for name, table in practices.source.tables.items():
            if table.patient:
                told = F.from_json(F.coalesce("row", "key"), "map<string,string>").getItem(table.patient)
                own = log.where((F.col("table") == name) & (told == F.lit(patient)))
                found += [(row["practice"], name, row["key"]) for row in own.select("practice", "key").distinct().collect()]
    return found


def _rows_kept(practices: Practices, erasure: Erasure) -> list[Row]:
    """Rows that an erasure which broke off knew to be the patient's: a tombstone does not say it, and the log no more."""
    ports, found = practices.ports, []
    for name, table in practices.source.tables.items() if erasure.rows else ():
        path = ports.layout.practice_table(practices.spec.name, name)
        if table.patient and ports.tables.exists(path):
            of_nobody = F.col(PRACTICE).isin(sorted(erasure.practices)) & F.col(quote_name(table.patient)).isNull()
            rows = ports.tables.read(path).where(of_nobody).select(PRACTICE, KEY)
            named = ((row[PRACTICE], name, row[KEY]) for row in rows.toLocalIterator())
            found += [row for row in named if erasure.hash_row(row) in erasure.rows]
    return found


def _build_again(practices: Practices, concerned: Sequence[str], told: Told) -> list[str]:
    """Marts from what is left; returns the practices of whom some could not be built.

    First nothing counts as built, so that nobody writes what was read before, and others build what this here does not come to.
    """
    for mart in MARTS:
        with mart_lock(practices, mart):
            unsettle(practices, concerned, mart, keeps_days=True)
    built = build_marts(practices, concerned, only=(), again=True, day=None, told=told)
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
    by_key = F.from_json(KEY, "map<string,string>").getItem(column)
    return F.coalesce(F.col(quote_name(column)).cast("string"), by_key) == F.lit(patient)


def _frame(practices: Practices, rows: Sequence[Row]) -> DataFrame:
    return practices.ports.tables.spark.createDataFrame(list(rows), "practice string, table string, key string")


def _remove_rows(practices: Practices, patient: str, rows: Sequence[Row]) -> int:
    """Remove the patient's rows, and tombstones of rows that were theirs, from every raw table; returns how many."""
    ports, count = practices.ports, 0
    for name, table in practices.source.tables.items():
        path = ports.layout.practice_table(practices.spec.name, name)
        if not table.patient or not ports.tables.exists(path):
            continue
        with engine_errors_named(_NOT_ERASED, name), table_lock(practices, name):
            raw = ports.tables.read(path)
            named = _frame(practices, [row for row in rows if row[1] == name]).select(
                F.col("practice").alias(PRACTICE), F.col("key").alias(KEY)
            )
            keys = raw.select(BUCKET, PRACTICE, KEY)
            gone = keys.join(F.broadcast(named), [PRACTICE, KEY], "semi").select(BUCKET, PRACTICE, KEY)
            gone = gone.unionByName(raw.where(_is_of(table.patient, patient)).select(BUCKET, PRACTICE, KEY)).distinct().persist()
            found = gone.count()
            if found:
                ports.tables.remove(path, gone, on=_ON_RAW)
            gone.unpersist()
            count += found
    return count


def _end_history(practices: Practices) -> None:
    """Nothing is left of what tables were before; who reads one just then has to read again."""
    for place in places(practices):
        with place.lock():
            practices.ports.tables.purge(place.path)
            practices.ports.tables.vacuum(place.path)
