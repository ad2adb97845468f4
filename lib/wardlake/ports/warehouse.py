"""The warehouse that analysts ask: which tables it knows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class WarehouseUnavailable(Exception):
    """The warehouse does not answer, or not as it should. Says the kind of failure, never what a query or a row held."""


class WarehouseRefused(WarehouseUnavailable):
    """The warehouse answers that this user may not."""


class Warehouse(Protocol):
    """Tables as the user who registers them sees them: names and columns, no row.

    Every method raises `WarehouseRefused` where the policies do not let this user, `WarehouseUnavailable` where it does not
    answer.
    """

    def tables(self, schema: str) -> Mapping[str, tuple[str, ...]]:
        """The columns of every registered table of a schema, in order; none where there is no such schema.

        A table that is registered and cannot be read has no columns.
        """
        ...

    def register(self, schema: str, table: str, location: str) -> None:
        """Make a Delta table known under a name; the schema is made where there is none."""
        ...
