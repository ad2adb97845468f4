"""The quarantine of each raw table: partitioned by practice, in the zone of the marts, where row policies are."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.pipelines.practices.opening import Practices
from wardlake.practices.log_entries import NOBODY
from wardlake.practices.marts.mart import PRACTICE
from wardlake.practices.quarantine import Why, make_quarantine, quarantine_schema
from wardlake.runs.storage_failures import engine_errors_named

KEPT = "practice-quarantine"  # by source and table: the practices of which it holds something; written under the table's lock
LOCK_SECONDS = 600.0
SHOW_SECONDS = 60.0  # less than a lease lasts: who merges does not wait for a view of what waits
QUARANTINE_LOCK = "practices/{source}/quarantine/{table}"
# No value stands in the table's own log.
PROPERTIES: Mapping[str, str] = {"delta.columnMapping.mode": "name", "delta.dataSkippingNumIndexedCols": "0"}


def show_quarantined(
    practices: Practices,
    log: DataFrame,
    why: Mapping[str, Why],
    tables: Mapping[str, Collection[str]],
    *,
    still_ours: Callable[[], None],
) -> None:
    """Write what waits of these practices, in one commit a table. `tables`: by practice, those that its entries are of.

    Entries of no practice are nobody's to see. `still_ours` raises, and is asked under each table's lock, where the entries are
    no longer the caller's to show.
    """
    ports, source = practices.ports, practices.spec.name
    named = {practice: each for practice, each in why.items() if practice != NOBODY}
    for name, table in practices.admission.raw.items():
        whose = {practice: each for practice, each in named.items() if name in tables.get(practice, ())}
        if not whose:
            continue
        path = ports.layout.quarantine(source, name)
        lock = ports.registry.lock(QUARANTINE_LOCK.format(source=source, table=name), wait_seconds=SHOW_SECONDS)
        with engine_errors_named("The quarantine cannot be written", name), lock:
            # Before the rows are there: they are emptied also where this breaks off.
            ports.registry.put(KEPT, f"{source}/{name}", {"practices": sorted({*_held(practices, name), *whose})})
            still_ours()  # after that: whoever ended the lease and looks what to empty has seen it
            ports.tables.create(path, quarantine_schema(table), partition_by=[PRACTICE], properties=PROPERTIES)
            rows = make_quarantine(log, table, whose)
            ports.tables.replace_partitions(path, rows, partition=PRACTICE, values=sorted(whose))


def empty_quarantine(practices: Practices, names: Collection[str]) -> list[str]:
    """Remove what the quarantine shows of these practices; returns those of which it showed something."""
    ports, source = practices.ports, practices.spec.name
    emptied: set[str] = set()
    for key, document in ports.registry.find(KEPT, f"{source}/"):
        table = key.removeprefix(f"{source}/")
        values = set(names) & set(document["practices"])
        if values:
            emptied |= values
            with ports.registry.lock(QUARANTINE_LOCK.format(source=source, table=table), wait_seconds=LOCK_SECONDS):
                _empty(practices, table, values)
    return sorted(emptied)


def _empty(practices: Practices, table: str, values: Collection[str]) -> None:
    ports, source = practices.ports, practices.spec.name
    path = ports.layout.quarantine(source, table)
    if ports.tables.exists(path):
        nothing = ports.tables.read(path).where(F.lit(False))
        ports.tables.replace_partitions(path, nothing, partition=PRACTICE, values=sorted(values))
    ports.registry.put(KEPT, f"{source}/{table}", {"practices": sorted(_held(practices, table) - set(values))})


def _held(practices: Practices, table: str) -> set[str]:
    return set((practices.ports.registry.get(KEPT, f"{practices.spec.name}/{table}") or {"practices": ()})["practices"])
