"""A deployment of the warehouse, as `warehouse attest` is told of it: where it is, and two users of different practices."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.settings.validation import adapter_for, validate
from wardlake.settings.yaml_lines import line_of, read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class WarehouseUser:
    """Somebody who signs in at the warehouse, and all practices that they may see. Password or token, by reference."""

    user: str
    practices: tuple[str, ...]
    password: str = ""
    token: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """`attacker` tries to see what is `other`'s. `practice_columns` by `schema.table`, where it is not `practice_column`.

    `hidden`: tables, in full, that neither of them may know of: quarantine, raw tables, change logs. `locations`: folders as the
    catalogue finds them, by `schema.table`, or by schema the folder in which its tables lie under their names.
    """

    name: str
    url: str
    catalog: str
    schemas: tuple[str, ...]
    attacker: WarehouseUser
    other: WarehouseUser
    ca_file: str = ""
    practice_column: str = "practice_id"
    practice_columns: Mapping[str, str] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    locations: Mapping[str, str] = field(default_factory=dict)

    def practice_of(self, schema: str, table: str) -> str:
        return self.practice_columns.get(f"{schema}.{table}", self.practice_column)

    def location_of(self, schema: str, table: str) -> str:
        """The table's folder; empty where nobody has said it."""
        if f"{schema}.{table}" in self.locations:
            return self.locations[f"{schema}.{table}"].rstrip("/")
        return f"{self.locations[schema].rstrip('/')}/{table}" if schema in self.locations else ""


def read_deployment(path: Path) -> Deployment:
    """The file's deployment; raises `ConfigurationError` with every mistake in it."""
    if not path.is_file():
        raise ConfigurationError([Mistake(path.name, 0, "there is no such file")])
    document, wrong = read_yaml(path, path.name)
    value = None
    if not wrong:
        value, wrong = validate(adapter_for(Deployment), document, path.name)
    if not wrong:
        found = cast(Deployment, value)
        wrong = [Mistake(path.name, line_of(document, place), message) for place, message in _mistakes(found)]
    if wrong:
        raise ConfigurationError(wrong)
    return found


def _mistakes(found: Deployment) -> Iterator[tuple[tuple[str, ...], str]]:
    if not found.url.startswith("https://"):
        yield ("url",), "url: begins with https, since passwords go there"
    if not found.schemas:
        yield ("schemas",), "schemas: name one at least"
    for place, user in (("attacker", found.attacker), ("other", found.other)):
        if not user.practices:
            yield (place, "practices"), f"{place}.practices: name one at least"
        if bool(user.password) == bool(user.token):
            yield (place,), f"{place}: give either password or token, as env:NAME, file:PATH or vault:MOUNT/PATH"
    if found.attacker.user == found.other.user:
        yield ("other", "user"), "other.user: another user than the attacker"
    if set(found.attacker.practices) & set(found.other.practices):
        yield ("other", "practices"), "other.practices: the two users share a practice, so nothing of it is kept from either"
    yield from _mistakes_about_tables(found)


def _mistakes_about_tables(found: Deployment) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in found.hidden:
        if len(name.split(".")) != len(("catalog", "schema", "table")):
            yield ("hidden",), "hidden: catalogue, schema and table, with dots between"
    for name, location in found.locations.items():
        if name.split(".")[0] not in found.schemas or "://" not in location:
            yield ("locations",), "locations: by one of the schemas, or schema.table, an address such as s3://bucket/marts/visits"
