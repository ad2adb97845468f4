"""What is attacked: one table of a deployment, or the deployment itself."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

SHORTEST = 4  # characters of a practice's id that can be told from other text


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a probe knows. `own` are the attacker's practices, `others` those of the user who is attacked.

    `table` and `schema` are empty for a probe of the deployment itself. `own_rows`: how many the attacker has by right.
    `mark`: a name for whatever a probe makes; `their_query`: the id of a query of the other user's that is at work; `location`:
    the table's folder as the warehouse's catalogue finds it, where whoever describes the deployment says it.
    """

    catalog: str
    schemas: tuple[str, ...]
    attacker: str
    other: str
    own: tuple[str, ...]
    others: tuple[str, ...]
    mark: str
    hidden: tuple[str, ...] = ()
    schema: str = ""
    table: str = ""
    practice: str = ""
    columns: tuple[tuple[str, str], ...] = field(default=())  # name and type, in order
    own_rows: int = 0
    location: str = ""
    their_query: str = ""

    @property
    def name(self) -> str:
        """The table in full, quoted."""
        return ".".join(map(quoted, (self.catalog, self.schema, self.table)))

    @property
    def column(self) -> str:
        """The column that says whose a row is, quoted."""
        return quoted(self.practice)

    @property
    def whose(self) -> str:
        """The same as a text, whatever its type."""
        return f"CAST({self.column} AS varchar)"

    @property
    def is_own(self) -> str:
        """A condition that holds for the attacker's rows alone."""
        return f"coalesce({self.whose} IN ({texts(self.own)}), false)"

    @property
    def is_theirs(self) -> str:
        return f"coalesce({self.whose} IN ({texts(self.others)}), false)"

    def made(self, *, schema: str = "") -> str:
        """The full name, quoted, of what a probe makes."""
        return ".".join(map(quoted, (self.catalog, schema or self.schema, self.mark)))


def quoted(name: str) -> str:
    """A name as the engine takes it, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as a literal."""
    return "'" + value.replace("'", "''") + "'"


def texts(values: Collection[str]) -> str:
    return ", ".join(map(text, values))
