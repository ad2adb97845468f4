"""Contracts: what a table's data must be, stated apart from the code and checked by a library of expectations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pyspark.sql import DataFrame


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnContract:
    """What one column holds. `values` and the bounds (inclusive) bind cells that are not null."""

    type: str  # as Spark says it in short, e.g. `decimal(18,2)`
    required: bool = False  # no cell is null
    values: tuple[str, ...] = ()  # the whole vocabulary; only for text
    minimum: float | str | None = None  # a number, or an ISO date for dates and timestamps
    maximum: float | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableContract:
    """What one table holds: exactly these columns, rows that `key` tells apart, and a number of rows within bounds."""

    columns: Mapping[str, ColumnContract] = field(default_factory=dict)
    key: tuple[str, ...] = ()
    min_rows: int = 0
    max_rows: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The contract of a whole source or output, named like its configuration, e.g. `synthea/source`."""

    name: str
    tables: Mapping[str, TableContract] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectationResult:
    """Whether one expectation held. No value and no count of the data: which and whether is all that is told.

    `column` is empty for expectations of whole tables; a composite key's columns are joined by `+`. `checked` is false
    where the expectation could not be evaluated, which is a failure too.
    """

    table: str
    column: str
    expectation: str
    success: bool
    checked: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractResult:
    """All expectations of a suite, in the order of its tables and columns."""

    suite: str
    results: tuple[ExpectationResult, ...]

    @property
    def failures(self) -> tuple[ExpectationResult, ...]:
        return tuple(result for result in self.results if not result.success)

    @property
    def success(self) -> bool:
        return bool(self.results) and not self.failures


class Contracts(Protocol):
    def check(self, suite: Suite, tables: Mapping[str, DataFrame], *, docs: Path | None = None) -> ContractResult:
        """Hold the tables to the suite; `docs` is a folder that gets static pages about the outcome, free of values.

        A table that the suite names and `tables` lacks fails, as does one that the suite does not name.
        """
        ...
