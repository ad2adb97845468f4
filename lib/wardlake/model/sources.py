"""What a source is made of: its tables, their keys and how they refer to each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class SourceKind(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    DELTA = "delta"
    POSTGRES = "postgres"


class RetentionClass(StrEnum):
    """How long a snapshot stays: `operational` is unlocked and erased in its time, `study` is locked under a legal basis."""

    OPERATIONAL = "operational"
    STUDY = "study"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A foreign key: these columns of a table name a row of `table` by its columns `to`.

    `enforced` false: orphans exist in the source and are counted, not refused.
    """

    columns: tuple[str, ...]
    table: str
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSpec:
    """One table of a source. `types` overrides the reader's column types, e.g. `{ZIP: string}`.

    `name` is the key the table stands under in its source.
    """

    name: str = ""
    primary_key: tuple[str, ...] = ()
    references: tuple[Reference, ...] = ()
    patient: str = ""  # the column that names the patient a row is about; empty where none
    file: str = ""  # name below the source folder, without ending; empty: the table's name
    types: Mapping[str, str] = field(default_factory=dict)
    partition_by: str = ""  # JDBC: numeric, date or key column whose ranges are read in parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """One source: where it is read from and what tables it holds."""

    name: str
    kind: SourceKind
    location: str  # folder or URI; for PostgreSQL a JDBC URL without credentials
    schema_version: str
    tables: Mapping[str, TableSpec]
    patients: str = ""  # the table with one row per patient
    secret: str = ""  # reference to the credentials, e.g. `env:SYNTHEA_DB` or `vault:secret/sources/synthea`
    retention: RetentionClass = RetentionClass.OPERATIONAL
    legal_basis: str = ""  # required where retention is `study`
    read: Mapping[str, str] = field(default_factory=dict)  # reader options, e.g. CSV's `delimiter`
    contracts: bool = True  # false: there are none, on purpose; else suites under expectations/ are required
    sample_evidence_rows: int = 0  # rows a table that content evidence is taken from; 0: all

    def references(self) -> Iterator[tuple[TableSpec, Reference]]:
        """Every declared foreign key with the table that holds it."""
        for table in self.tables.values():
            for reference in table.references:
                yield table, reference
