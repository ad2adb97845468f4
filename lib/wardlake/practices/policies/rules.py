"""The file of rules, as Trino's file-based access control reads it. The first rule that matches decides, and none means no.

Filters are literals: a filter that asks another table gives right answers, and leaks through errors, since the user's own
predicate runs before the join.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wardlake.model.entitlements import Access
from wardlake.practices.policies.reach import ADMINISTRATORS, REACHES, REGISTRAR, Policy, Reach

Rule = dict[str, Any]
Marts = Mapping[str, Mapping[str, Access]]  # by source and name

_ANY_REACH = f"{REACHES}[0-9a-f]+"
_ABOUT_FILES = ("$path", "$file_modified_time", "$file_size", "$partition")
_REGISTRAR_S = "register_table|unregister_table|flush_metadata_cache"
_RUNTIME = "queries|nodes|tasks|transactions"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shape:
    """What of a table a reach sees: rows by this filter, columns as these masks have them."""

    filter: str
    masks: tuple[tuple[str, str], ...]


def schema_of(source: str) -> str:
    """The warehouse's schema of a source's marts: Trino knows small letters only."""
    return source.lower()


def write_rules(policy: Policy, marts: Marts, *, catalog: str) -> bytes:
    """The whole file. Sections that are left out would allow, so each is there, closed as far as nothing in it opens."""
    document = {
        "catalogs": _catalog_rules(catalog),
        "schemas": [*_registrar_schemas(marts, catalog), {"owner": False}],
        "tables": [*_registrar_tables(marts, catalog), *_administrator_tables(), *_reach_tables(policy, marts, catalog)],
        "queries": [
            {"group": ADMINISTRATORS, "allow": ["execute", "kill"]},  # not view: texts and errors of queries hold cells
            {"group": f"{_ANY_REACH}|{REGISTRAR}", "allow": ["execute"]},
        ],
        "impersonation": [{"original_user": ".*", "new_user": ".*", "allow": False}],
        "system_information": [*_administrator_information(policy), {"allow": []}],
        "system_session_properties": [{"allow": False}],
        "catalog_session_properties": [{"allow": False}],
        "functions": [{"privileges": []}],
        "procedures": [
            {
                "group": REGISTRAR,
                "catalog": _only(catalog),
                "schema": "system",
                "procedure": _REGISTRAR_S,
                "privileges": ["EXECUTE"],
            },
            {
                "group": ADMINISTRATORS,
                "catalog": "system",
                "schema": "runtime",
                "procedure": "kill_query",
                "privileges": ["EXECUTE"],
            },
            {
                "group": ADMINISTRATORS,
                "catalog": _only(catalog),
                "schema": "system",
                "procedure": "flush_metadata_cache",
                "privileges": ["EXECUTE"],
            },
        ],
        "authorization": [],
    }
    return (json.dumps(document, indent=1, ensure_ascii=True) + "\n").encode("ascii")


def _catalog_rules(catalog: str) -> list[Rule]:
    return [
        {"group": REGISTRAR, "catalog": _only(catalog), "allow": "all"},
        {"group": f"{_ANY_REACH}|{ADMINISTRATORS}", "catalog": _only(catalog), "allow": "read-only"},
        {"group": ADMINISTRATORS, "catalog": "system", "allow": "all"},
        {"allow": "none"},
    ]


def _registrar_schemas(marts: Marts, catalog: str) -> Iterator[Rule]:
    for source in sorted(marts):
        yield {"group": REGISTRAR, "catalog": _only(catalog), "schema": _only(schema_of(source)), "owner": True}


def _registrar_tables(marts: Marts, catalog: str) -> Iterator[Rule]:
    """The registrar makes and drops registrations, and reads none of the rows."""
    for source in sorted(marts):
        yield {
            "group": REGISTRAR,
            "catalog": _only(catalog),
            "schema": _only(schema_of(source)),
            "privileges": ["OWNERSHIP"],
        }


def _administrator_tables() -> Iterator[Rule]:
    """How many run, never what is asked or kept."""
    yield {"group": ADMINISTRATORS, "catalog": "system", "schema": "runtime", "table": _RUNTIME, "privileges": ["SELECT"]}


def _administrator_information(policy: Policy) -> Iterator[Rule]:
    """By name: Trino knows no groups in this section."""
    names = sorted(user for user, groups in policy.groups.items() if ADMINISTRATORS in groups)
    if names:
        yield {"user": "|".join(map(_only, names)), "allow": ["read"]}


def _reach_tables(policy: Policy, marts: Marts, catalog: str) -> Iterator[Rule]:
    for group, reach in policy.reaches.items():
        for shape, names in _tables_by_shape(reach, marts.get(reach.source, {})).items():
            masks = [{"name": column, "mask": mask} for column, mask in shape.masks]
            yield {
                "group": group,
                "catalog": _only(catalog),
                "schema": _only(schema_of(reach.source)),
                "table": "|".join(_only(name.lower()) for name in sorted(names)),
                "privileges": ["SELECT"],
                "filter": shape.filter,
                "columns": [*({"name": name, "allow": False} for name in _ABOUT_FILES), *masks],
            }


def _tables_by_shape(reach: Reach, marts: Mapping[str, Access]) -> dict[_Shape, list[str]]:
    """Marts that are seen in the same way stand in one rule: Trino tries one rule after another, at every table."""
    shapes: dict[_Shape, list[str]] = defaultdict(list)
    for name, access in marts.items():
        seen = reach.of(access.hidden.keys())
        if seen:
            shapes[_Shape(filter=among(access.practice, seen), masks=tuple(_masks(reach, access, seen)))].append(name)
    return shapes


def _masks(reach: Reach, access: Access, seen: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Of columns that are hidden in some role: null, save in rows of practices that are reached in a role that sees them."""
    for column in sorted({each for hidden in access.hidden.values() for each in hidden}):
        may = {role for role, hidden in access.hidden.items() if column not in hidden}
        shown = reach.of(may)
        if not shown:
            yield column, "NULL"
        elif len(shown) < len(seen):
            yield column, f"CASE WHEN {among(access.practice, shown)} THEN {quoted(column)} END"


def among(column: str, practices: Sequence[str]) -> str:
    """That a row is of one of these practices, as Trino's SQL has it: literals, so that no name is more than a name."""
    listed = ", ".join("'" + name.replace("'", "''") + "'" for name in practices)
    return f"{quoted(column)} IN ({listed})"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _only(name: str) -> str:
    """A pattern that matches this name alone."""
    return re.escape(name)
