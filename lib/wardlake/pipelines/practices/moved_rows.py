"""Rows that change files move to another practice: an update tells its new row alone there, so where it was is looked up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import reduce
from itertools import pairwise

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from wardlake.model.changes import EPOCH, Position, RowChange, TableEmptied
from wardlake.model.practices import FileCapture
from wardlake.pipelines.practices.damaged_files import lost_parts
from wardlake.pipelines.practices.opening import Practices
from wardlake.practices.log_entries import NOBODY, Deed
from wardlake.practices.raw_tables import DELETED, KEY, PRACTICE
from wardlake.practices.row_places import Place, RowName, name_of, rests_on_before, tell_moves

MOST_SPANS = 50  # of batches, in one condition
Changes = Sequence[RowChange | TableEmptied]


def with_moves(practices: Practices, changes: Changes) -> Changes:
    """The changes with the places that rows left; a database's stream tells these itself.

    What is known of rows stands in the raw tables and, where it is not merged, in the log: read in one pass.
    """
    rows = [each for each in changes if isinstance(each, RowChange)]
    if not isinstance(practices.spec.capture, FileCapture) or len(rows) < len(changes):
        return changes
    tables, lost = practices.admission.captured, lost_parts(practices)
    wanted = {
        name_of(each, tables[each.table]) or (each.table, "")
        for each in rows
        if each.table in tables and rests_on_before(each, tables[each.table], lost)
    }
    return tuple(tell_moves(rows, tables, _known(practices, wanted), lost))


def _known(practices: Practices, wanted: set[RowName]) -> dict[RowName, list[Place]]:
    ports, known = practices.ports, dict[RowName, list[Place]]()
    if not wanted or not ports.tables.exists(practices.log):
        return known
    names = F.broadcast(ports.tables.spark.createDataFrame(sorted(wanted), "table string, key string"))
    # What waits is asked for before any table is opened: what is merged meanwhile is in both.
    waits = _waits(practices)
    parts = [_of_log(ports.tables.read(practices.log).where(waits))]
    for table in sorted({name for name, _ in wanted}):
        path = ports.layout.practice_table(practices.spec.name, table)
        if ports.tables.exists(path):
            parts.append(_of_raw(ports.tables.read(path), table))
    found = reduce(DataFrame.unionByName, parts).join(names, ["table", "key"]).distinct()
    first = practices.queue.epoch() * EPOCH
    for row in found.collect():
        place = Place(Position(int(row["commit"]) - first, row["sequence"]), row["practice"], row["is_gone"])
        known.setdefault((row["table"], row["key"]), []).append(place)
    return known


def _waits(practices: Practices) -> Column:
    """Which entries are not merged yet, and some that are: by batches, by which files of the log are passed over.

    Rows of no practice wait for ever. There is hardly one in a batch, and the log's own statistics say in which.
    """
    states = practices.queue.states()
    of_some = {batch for state in states if state.practice != NOBODY for batch in state.waiting}
    of_none = {batch for state in states if state.practice == NOBODY for batch in state.waiting}
    return _within(of_some) | ((F.col("practice") == NOBODY) & _within(of_none))


def _within(batches: Collection[int]) -> Column:
    spans = [F.col("batch").between(low, high) for low, high in spans_of(batches)]
    return reduce(Column.__or__, spans, F.lit(False))


def spans_of(batches: Collection[int]) -> list[tuple[int, int]]:
    """Few spans that hold these batches, as little else as so many can."""
    ordered = sorted(batches)
    widest = sorted(range(1, len(ordered)), key=lambda at: ordered[at - 1] - ordered[at])[: MOST_SPANS - 1]
    cuts = [0, *sorted(at for at in widest if ordered[at] - ordered[at - 1] > 1), len(ordered)]
    return [(ordered[low], ordered[high - 1]) for low, high in pairwise(cuts)] if ordered else []


def _of_log(log: DataFrame) -> DataFrame:
    rows = log.where(F.col("deed") != Deed.EMPTY.value)
    return rows.select("table", "key", "practice", "commit", "sequence", (F.col("deed") == Deed.DELETE.value).alias("is_gone"))


def _of_raw(raw: DataFrame, table: str) -> DataFrame:
    position = (F.col("wardlake_commit").alias("commit"), F.col("wardlake_sequence").alias("sequence"))
    own = (F.lit(table).alias("table"), F.col(KEY).alias("key"), F.col(PRACTICE).alias("practice"))
    return raw.select(*own, *position, F.col(DELETED).alias("is_gone"))
