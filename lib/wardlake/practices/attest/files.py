"""What the warehouse tells of a table's files: paths, and the tables beside the table whose names hold a `$`."""

from __future__ import annotations

from collections.abc import Generator

from wardlake.ports.warehouse_door import Answer, Statement
from wardlake.practices.attest.detector import is_refused, must_be_refused, named, rows_seen, text_seen, worst
from wardlake.practices.attest.probe import Attempt, Outcome, Probe, broken, held, not_applicable, unknown
from wardlake.practices.attest.target import Target, quoted, text

BESIDE = ("history", "partitions", "properties", "transactions", "files", "snapshots", "manifests", "refs", "entries", "data")
NOWHERE = "nobody says where the table lies: name its folder under locations in the deployment's file"
COLUMNS = ("$path", "$file_modified_time", "$file_size", "$partition")


def _file_columns(at: Target) -> Attempt:
    """Of every hidden column, one by one: an engine has some and not others."""
    found: list[Outcome] = []
    for column in COLUMNS:
        answer = yield Statement(sql=f"SELECT {at.whose}, CAST({quoted(column)} AS varchar) FROM {at.name} GROUP BY 1, 2")
        said = "\n".join(str(row[1]) for row in answer.rows)
        found += [rows_seen(at, answer), text_seen(at, answer, said=said)]
    return worst(*found)


def _path_of_theirs(at: Target) -> Attempt:
    """Whether rows can be chosen by the other practice's place among the files."""
    likes = " OR ".join(f'"$path" LIKE {text(f"%{each}%")}' for each in at.others)
    answer = yield Statement(sql=f"SELECT {at.whose}, count(*) FROM {at.name} WHERE {likes} GROUP BY 1")
    return rows_seen(at, answer)


def _beside(kind: str) -> Probe:
    """They know no filter: what they tell is of all practices."""

    def run(at: Target) -> Attempt:
        name = ".".join(map(quoted, (at.catalog, at.schema, f"{at.table}${kind}")))
        answer = yield Statement(sql=f"SELECT * FROM {name}")
        count = named("\n".join(str(each) for row in answer.rows for each in row), at.others)
        return must_be_refused(answer, allowed=f"it can be read, and names {count} other practices")

    return Probe(name=f"${kind}", tries=f"reads the table's ${kind}", hole="a rule for tables that matches names with $", run=run)


def _folder(at: Target) -> Generator[Statement, Answer, str]:
    """The table's, and so everybody's: as it was described, or as the attacker's own files tell; empty where neither does."""
    if at.location:
        return at.location
    own = yield Statement(sql=f'SELECT min("$path") FROM {at.name}')
    path = str(own.rows[0][0]) if own.done and own.rows and own.rows[0][0] else ""
    return path.rsplit("/", 1)[0].rsplit(f"/{at.practice}=", 1)[0]


def _register_again(at: Target) -> Attempt:
    """A refusal is one whatever the folder; that nothing is there to register says nothing of a folder that nobody knows."""
    folder = yield from _folder(at)
    call = f"CALL {quoted(at.catalog)}.system.register_table({text(at.schema)}, {text(at.mark)}, {text(folder or at.mark)})"
    made = yield Statement(sql=call)
    if not (folder or is_refused(made)):
        return unknown(NOWHERE)
    if not made.done:
        return must_be_refused(made, allowed="")
    seen = yield Statement(sql=f"SELECT {at.whose}, count(*) FROM {at.made()} GROUP BY 1")
    yield Statement(sql=f"CALL {quoted(at.catalog)}.system.unregister_table({text(at.schema)}, {text(at.mark)})")
    return broken("its files can be registered under another name") if not seen.rows else rows_seen(at, seen)


def _by_path(at: Target) -> Attempt:
    """The table's folder where a name belongs, in the ways of other engines: whatever comes, it knows no filter."""
    folder = yield from _folder(at)
    if not folder:
        return unknown(NOWHERE)
    found: list[Outcome] = []
    for name in (f"delta.`{folder}`", folder):
        answer = yield Statement(sql=f"SELECT * FROM {quoted(at.catalog)}.{quoted(at.schema)}.{quoted(name)} LIMIT 1")
        found.append(must_be_refused(answer, allowed="the table can be read by its path"))
    answer = yield Statement(sql=f"SELECT * FROM TABLE({quoted(at.catalog)}.system.read_files(path => {text(folder)})) LIMIT 1")
    if answer.error == "FUNCTION_NOT_FOUND":
        return worst(*found, not_applicable("the engine has no function that reads files"), held("no path is taken for a table"))
    return worst(*found, must_be_refused(answer, allowed="files can be read by a path"))


def _others_beside(at: Target) -> Attempt:
    found: list[Outcome] = []
    for kind in BESIDE[4:]:
        name = ".".join(map(quoted, (at.catalog, at.schema, f"{at.table}${kind}")))
        answer = yield Statement(sql=f"SELECT * FROM {name}")
        found.append(must_be_refused(answer, allowed="one of them can be read"))
    return worst(*found)


PROBES = (
    Probe(
        name="file-columns",
        tries="reads paths, times and sizes of files, and looks whose they are",
        hole="a rule without a filter, or files that hold several practices' rows under a name of one",
        run=_file_columns,
    ),
    Probe(
        name="file-path",
        tries="chooses rows by the other practice's folder",
        hole="a rule without a filter",
        run=_path_of_theirs,
    ),
    *map(_beside, BESIDE[:4]),
    Probe(
        name="other-$-tables",
        tries="reads tables beside the table that other formats have",
        hole="a connector that has them, and a rule for tables that matches names with $",
        run=_others_beside,
    ),
    Probe(
        name="register-files",
        tries="makes the table's files known under another name, which no rule speaks of",
        hole="register_table is granted, and creating tables",
        run=_register_again,
    ),
    Probe(
        name="read-by-path",
        tries="reads the table's files by their path",
        hole="a function or a name that takes a path, or a gateway that reads it",
        run=_by_path,
    ),
)
