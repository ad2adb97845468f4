"""Which columns of a source may be in the raw tables of its practices: those that somebody declared and decided on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardlake.model.errors import UnclassifiedColumns
from wardlake.model.practices import PracticesSpec
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification, Decision, Verdict
from wardlake.practices.log_entries import PracticeTable
from wardlake.practices.raw_tables import RawTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """What of a source is captured and merged.

    `undecided`: columns as `table.column` that nobody decided on; rows are merged without them, as without `blocked` ones.
    """

    captured: Mapping[str, PracticeTable]
    raw: Mapping[str, RawTable]
    undecided: tuple[str, ...]
    blocked: tuple[str, ...]

    @property
    def told(self) -> dict[str, tuple[str, ...]]:
        """By table, the columns that a deleted row must be told with."""
        return {name: tuple(sorted({*table.key, table.practice})) for name, table in self.captured.items()}


def admit(spec: PracticesSpec, source: SourceSpec, classification: Classification) -> Admission:
    """Raises `UnclassifiedColumns` where a key or the column that names the practice is undecided or blocked."""
    captured, raw = {}, {}
    undecided: list[str] = []
    blocked: list[str] = []
    missing: list[str] = []
    for name, table in source.tables.items():
        decisions, columns = classification.tables.get(name, {}), {}
        for column, kind in table.types.items():
            verdict = _verdict(column, decisions)
            if verdict is None:
                undecided.append(f"{name}.{column}")
            elif verdict is Verdict.BLOCKED:
                blocked.append(f"{name}.{column}")
            else:
                columns[column] = kind
        captured[name] = PracticeTable(name=name, key=table.primary_key, practice=spec.practice_column_of(name))
        raw[name] = RawTable(name=name, columns=columns, buckets=spec.buckets)
        missing += [f"{name}.{each}" for each in sorted({*table.primary_key, captured[name].practice} - columns.keys())]
    if missing:
        raise UnclassifiedColumns(
            "Keys and practices without a decision, or blocked: nothing of these tables can be merged.",
            which=missing,
            next_step=f"wardlake classify review --source {source.name} --column TABLE.COLUMN --as safe|sensitive --reason TEXT",
        )
    return Admission(captured=captured, raw=raw, undecided=tuple(undecided), blocked=tuple(blocked))


def _verdict(column: str, decisions: Mapping[str, Decision]) -> Verdict | None:
    """The decision on a column as a whole; one on a part of it decides that the column may be there."""
    if column in decisions:
        return decisions[column].verdict
    parts = [path for path in decisions if path.startswith((f"{column}.", f"{column}[", f"{column}$"))]
    return Verdict.SENSITIVE if parts else None
