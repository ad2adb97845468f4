"""`wardlake practices merge`: a practice that went into another stops being one. Its rows come by the source's own changes."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from pyspark.sql import functions as F

from wardlake.model.audit import AuditKind
from wardlake.model.entitlements import Ended
from wardlake.model.errors import ConfigurationError, ContractBroken
from wardlake.pipelines.practices.acts import record_act, require_may_act
from wardlake.pipelines.practices.damaged_files import set_aside
from wardlake.pipelines.practices.marts import mart_lock, unsettle
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.quarantine import empty_quarantine
from wardlake.pipelines.practices.watching import require
from wardlake.practices.marts.every import MARTS
from wardlake.practices.marts.mart import PRACTICE as MART_PRACTICE
from wardlake.practices.raw_tables import BUCKET, DELETED, PRACTICE, bucket_of
from wardlake.runs.storage_failures import engine_errors_named

MERGED = "a practice that went into another"


def unite(practices: Practices, before: str, into: str, *, told: Told) -> dict[str, Any]:
    """Close a practice whose rows are all in another by now: its turn, entitlements and marts end; recorded first.

    Raises `ConfigurationError` where one is not known or changes of it wait, `ContractBroken` where it still has rows. What comes
    of it later waits in quarantine. Again after a crash it finishes what is left.
    """
    _require_merged_and_idle(practices, before, into)
    left = _tables_with_rows(practices, before)
    if left:
        raise ContractBroken(
            f"The practice {before!a} still has rows: they are not another's before the source says so.",
            which=left,
            next_step=f"have the source move them to {into!a}, capture and merge that; then again",
        )
    caller = require_may_act(practices)
    held = practices.ports.entitlements.find(source=practices.spec.name, practice=before)
    record_act(practices, AuditKind.PRACTICES_MERGED, [before, into], entitlements=len(held))
    practices.queue.close(before, reason=MERGED)
    ended = Ended(by=caller.subject, at=practices.ports.clock.now(), reason=MERGED)
    for each in held:
        practices.ports.entitlements.end(practices.spec.name, each.user, [before], [each.role], ended)
    emptied = empty_marts(practices, before, MARTS)
    empty_quarantine(practices, [before])
    told(f"{before} went into {into}: {len(held)} entitlements ended, its part of {emptied} marts removed")
    return {"merged": before, "into": into, "entitlements_ended": len(held), "marts": emptied}


def _require_merged_and_idle(practices: Practices, before: str, into: str) -> None:
    if before == into:
        raise ConfigurationError(what="A practice does not go into itself.", next_step="--from A --into B")
    old, new = (require(practices, [name])[0] for name in (before, into))
    if not new.onboarded or not (old.onboarded or old.reason == MERGED):
        unknown = ", ".join(ascii(each.practice) for each in (old, new) if not each.onboarded)
        raise ConfigurationError(what=f"Nobody let these in: {unknown}.", next_step="wardlake practices onboard")
    if old.onboarded and (old.rows or old.leased):
        raise ConfigurationError(
            what=f"Changes of {before!a} wait: {old.rows} entries.", next_step=f"wardlake practices ingest --practice {before}"
        )
    files = [each.place for each in set_aside(practices) if each.practice in (None, before)]
    if files:
        raise ConfigurationError(
            what=f"Damaged change files may hold changes of {before!a}: {', '.join(files)}.",
            next_step="docs/runbooks/damaged-change-file.md",
        )


def _tables_with_rows(practices: Practices, practice: str) -> list[str]:
    ports, found = practices.ports, []
    for table in practices.admission.raw.values():
        path = ports.layout.practice_table(practices.spec.name, table.name)
        if ports.tables.exists(path):
            with engine_errors_named("A raw table cannot be read", table.name):
                own = (F.col(BUCKET) == bucket_of(practice, table.buckets)) & (F.col(PRACTICE) == practice) & ~F.col(DELETED)
                if not ports.tables.read(path).where(own).isEmpty():
                    found.append(table.name)
    return found


def empty_marts(practices: Practices, practice: str, names: Collection[str]) -> int:
    """Remove the practice's part of these marts, and what is being built of it; returns of how many that are there."""
    ports, source, emptied = practices.ports, practices.spec.name, 0
    for name in names:
        path = ports.layout.mart(source, name)
        with mart_lock(practices, name):
            unsettle(practices, [practice], name, keeps_days=False)
            if ports.tables.exists(path):
                nothing = ports.tables.read(path).where(F.lit(False))
                ports.tables.replace_partitions(path, nothing, partition=MART_PRACTICE, values=[practice])
                emptied += 1
    return emptied
