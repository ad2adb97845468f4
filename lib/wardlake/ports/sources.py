"""Sources: production data as it stands at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from pyspark.sql import Column, DataFrame

from wardlake.model.sources import SourceSpec, TableSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RawTable:
    """One table as the source gives it.

    `texts`: every column is text that has yet to be read as its declared type. `faults` are conditions over `rows` that mark a
    row as damaged, by name; `inner` are columns that serve those conditions only.
    """

    rows: DataFrame
    texts: bool = False
    faults: Mapping[str, Column] = field(default_factory=dict)
    inner: tuple[str, ...] = ()


class OpenSource(Protocol):
    """A source held at one moment: every table is read as of then."""

    @property
    def position(self) -> Mapping[str, str]:
        """What says which moment: LSN and exported snapshot, file names with sizes and SHA-256, table versions."""
        ...

    def table_names(self) -> tuple[str, ...]:
        """Every table that is there, declared or not."""
        ...

    def read(self, table: TableSpec) -> RawTable:
        """The table's rows; raises `ContractBroken` where it cannot be opened."""
        ...

    def confirm(self, table: TableSpec, fault: str) -> str:
        """Where the damage is, in words without a value; empty where a closer look finds none."""
        ...


class Sources(Protocol):
    """Opens a source by its kind."""

    def open(self, source: SourceSpec) -> AbstractContextManager[OpenSource]: ...
