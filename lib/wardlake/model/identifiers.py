"""Names of runs, snapshots, datasets and columns."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

MAP_KEY, MAP_VALUE = "{key}", "{value}"  # the two sides of a map, as steps of a path
_PATH = re.compile(r"^[^.\[\]$]+(\[\])?(\.[^.\[\]$]+(\[\])?)*(\$(\.[^.\[\]$]+(\[\])?|\[\])*)?$")


@dataclass(frozen=True, slots=True, order=True)
class ColumnPath:
    """A column, nested field or JSON path of one table.

    An array of arrays is written once, `rows[]`, as its elements are one list.

    Written `patients.address.city` (struct field), `patients.names[].family` (array of structs), `events.payload$.mrn`
    and `events.payload$.contacts[].phone` (inside a JSON text column). A map's keys and values are `column.{key}` and
    `column.{value}`.
    """

    table: str
    path: str

    def __post_init__(self) -> None:
        if not self.table or not _PATH.match(self.path):
            raise ValueError(f"not a column path: {self.table}.{self.path}")

    @property
    def column(self) -> str:
        """The top-level column the path lies in."""
        return column_of(self.path)

    @property
    def is_json(self) -> bool:
        return "$" in self.path

    @property
    def json_column(self) -> str:
        """The text column that holds the JSON document."""
        return self.path.split("$", 1)[0]

    def __str__(self) -> str:
        return f"{self.table}.{self.path}"


def column_of(path: str) -> str:
    """The top-level column that a path lies in."""
    return re.split(r"[.\[$]", path, maxsplit=1)[0]


def new_run_id(kind: str, at: datetime, entropy: str) -> str:
    """A run's name: sorts by time, says its kind, e.g. `dev-20260131T020000Z-3f9a1c`."""
    return f"{kind}-{at:%Y%m%dT%H%M%SZ}-{entropy[:6]}"
