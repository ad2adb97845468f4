"""Suites of contracts: read from `expectations/`, narrowed to what a run releases, and enforced."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import YAMLError

from wardlake.model.errors import ConfigurationError, ContractBroken, Mistake
from wardlake.ports.contracts import ColumnContract, ContractResult, Suite, TableContract

_TABLE_KEYS = {"rows", "key", "columns"}
_COLUMN_KEYS = {"type", "required", "values", "minimum", "maximum"}
_DATES = {"date", "timestamp", "timestamp_ntz"}
_NUMBERS = {"tinyint", "smallint", "int", "bigint", "float", "double", "decimal"}


def load_suite(path: Path, *, name: str = "") -> Suite:
    """Read one suite, e.g. `expectations/synthea/source.yaml`; raises `ConfigurationError` with every mistake at once."""
    reader = _Reader(str(path))
    try:
        content = YAML(typ="rt").load(path.read_text(encoding="utf-8"))
    except (OSError, YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        raise ConfigurationError([Mistake(str(path), line, "cannot be read as YAML")]) from None
    suite = Suite(name=name or f"{path.parent.name}/{path.stem}", tables=reader.tables(content))
    if reader.mistakes:
        raise ConfigurationError(reader.mistakes)
    return suite


def release_suite(suite: Suite, released: Mapping[str, Collection[str]]) -> Suite:
    """The suite of an output that holds only `released` columns (table to columns): the others must not be there.

    A released column that the suite does not describe is a mistake: the output would hold something no contract names.
    """
    unknown = [f"{t}.{c}" for t, cols in released.items() for c in cols if c not in _columns(suite, t)]
    if unknown:
        mistakes = [Mistake(f"expectations/{suite.name}.yaml", 0, f"{name} is released but not described") for name in unknown]
        raise ConfigurationError(mistakes)
    return replace(suite, tables={name: _release(suite.tables[name], cols) for name, cols in released.items()})


def require_contracts(result: ContractResult) -> None:
    """Raise `ContractBroken`, naming table, column and expectation of every failure, unless all were checked and held."""
    if result.success:
        return
    broken = [_line(f.table, f.column, f.expectation, f.checked) for f in result.failures]
    raise ContractBroken(
        f"{len(broken)} of {len(result.results)} expectations of {result.suite} do not hold.",
        which=broken,
        next_step=f"Mend the data, or change expectations/{result.suite}.yaml by review.",
    )


def _line(table: str, column: str, expectation: str, checked: bool) -> str:
    place = f"{table}.{column}" if column else table
    return f"{place}: {expectation}" + ("" if checked else " (could not be checked)")


def _columns(suite: Suite, table: str) -> Collection[str]:
    return suite.tables[table].columns if table in suite.tables else ()


def _release(contract: TableContract, released: Collection[str]) -> TableContract:
    columns = {name: column for name, column in contract.columns.items() if name in released}
    key = contract.key if set(contract.key) <= set(released) else ()
    return replace(contract, columns=columns, key=key)


@dataclass
class _Reader:
    """Turns YAML into contracts and gathers mistakes with their lines."""

    file: str

    def __post_init__(self) -> None:
        self.mistakes: list[Mistake] = []

    def tables(self, content: Any) -> dict[str, TableContract]:
        if not isinstance(content, CommentedMap) or set(content) != {"tables"}:
            self.mistakes.append(Mistake(self.file, 1, "a suite has one key: tables"))
            return {}
        tables = content["tables"]
        return {str(name): self._table(str(name), body, _line_of(tables, name)) for name, body in tables.items()}

    def _table(self, name: str, body: Any, line: int) -> TableContract:
        self._refuse_unknown(name, body, _TABLE_KEYS)
        columns = {
            str(column): self._column(f"{name}.{column}", content, _line_of(body["columns"], column))
            for column, content in body.get("columns", {}).items()
        }
        key = tuple(str(column) for column in body.get("key", ()))
        self.mistakes += [
            Mistake(self.file, line, f"{name}: key column {column} is not described") for column in key if column not in columns
        ]
        rows = body.get("rows", {})
        return TableContract(columns=columns, key=key, min_rows=int(rows.get("minimum", 0)), max_rows=rows.get("maximum"))

    def _column(self, name: str, body: Any, line: int) -> ColumnContract:
        if isinstance(body, str):
            return ColumnContract(type=body)
        self._refuse_unknown(name, body, _COLUMN_KEYS)
        column = ColumnContract(
            type=str(body.get("type", "")),
            required=bool(body.get("required", False)),
            values=tuple(str(value) for value in body.get("values", ())),
            minimum=_bound(body.get("minimum")),
            maximum=_bound(body.get("maximum")),
        )
        self.mistakes += [Mistake(self.file, line, f"{name}: {problem}") for problem in _problems(column)]
        return column

    def _refuse_unknown(self, name: str, body: Any, known: set[str]) -> None:
        for key in body:
            if key not in known:
                self.mistakes.append(Mistake(self.file, _line_of(body, key), f"{name}: unknown key {key}"))


def _problems(column: ColumnContract) -> Iterator[str]:
    """A comparison across types would make the engine cast cells, and its errors print them: refused here."""
    kind = column.type.split("(")[0]
    if not column.type:
        yield "type is missing"
    if column.values and column.type != "string":
        yield "values are for string columns only"
    bounds = [bound for bound in (column.minimum, column.maximum) if bound is not None]
    if bounds and kind not in _DATES | _NUMBERS:
        yield "minimum and maximum are for numbers, dates and timestamps"
    if kind in _DATES and any(not isinstance(bound, str) for bound in bounds):
        yield "bounds of a date are ISO dates"
    if kind in _NUMBERS and any(isinstance(bound, str) for bound in bounds):
        yield "bounds of a number are numbers"


def _bound(value: Any) -> float | str | None:
    match value:
        case None:
            return None
        case int() | float():
            return float(value)
        case _:
            return str(value)  # an ISO date, which YAML reads as one


def _line_of(mapping: CommentedMap, key: Any) -> int:
    return int(mapping.lc.key(key)[0]) + 1
