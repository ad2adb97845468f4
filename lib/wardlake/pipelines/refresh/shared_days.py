"""Dates that a shift cannot hide: the run halts and names their columns before anything is de-identified."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import pyspark.sql.functions as F
from pyspark.sql import DataFrame

from wardlake.audit.names import short_name
from wardlake.deidentify.checks.shared_days import DayCount, count_days, find_shared_days, shifted_columns
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import UnclassifiedColumns
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.quarantine import page

RUNBOOK = "docs/runbooks/unclassified-columns.md"


def refuse_shared_days(job: RefreshJob, frames: Mapping[str, DataFrame]) -> None:
    """Raise `UnclassifiedColumns` for every column under `date_shift` in which a day looks like a placeholder; tell people."""
    columns = find_in_tables(job, frames)
    if not columns:
        return
    event = AuditEvent(
        kind=AuditKind.CLASSIFICATION_HALTED,
        actor=job.actor.subject,
        at=job.clock.now().isoformat(),
        zone="dev",
        run_id=job.run_id,
        details={"source": job.source.name, "columns": [short_name(column) for column in columns]},
    )
    job.trail.append(event)
    halted = UnclassifiedColumns(
        f"In {len(columns)} columns of {job.source.name} one day is shared by so many patients that it would show their offsets.",
        which=columns,
        next_step=(
            "look for the column's most frequent day at the source; if it stands for `unknown` or `no end`, declare it as one of "
            "the rule's `sentinels`; if it is a real day, give the column date_year, or say `shared_days: accept` in its rule"
        ),
    )
    page(job, halted, columns=columns, runbook=RUNBOOK)
    raise halted


def find_in_tables(job: RefreshJob, frames: Mapping[str, DataFrame]) -> list[str]:
    """The columns that are refused, `table.path`: counted in one pass over each table's columns of dates and patients."""
    columns = {
        name: shifted_columns(rows, table=job.source.tables[name], decisions=job.classification.tables.get(name, {}))
        for name, rows in frames.items()
    }
    counts = [count_days(frames[name], shifted).withColumn("table", F.lit(name)) for name, shifted in columns.items() if shifted]
    if not counts:
        return []
    counted = reduce(DataFrame.unionAll, counts).toArrow().to_pydict()
    days: dict[str, list[DayCount]] = {name: [] for name in columns}
    for name, *day in zip(*(counted[key] for key in ("table", "place", "day", "cells", "patients")), strict=True):
        days[name].append(DayCount(*day))
    limits = job.knowledge.shared_days
    return [f"{name}.{path}" for name, shifted in columns.items() for path in find_shared_days(days[name], shifted, limits)]
