"""The mapping brought up to date before any table is de-identified, from the fewest columns that hold every identifier."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from pyspark.sql import DataFrame

from wardlake.deidentify.identifiers import list_identifiers
from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification, FormatToken, Token
from wardlake.pipelines.refresh.job import PURPOSE, RefreshJob
from wardlake.publish.references.measure import ReferenceMeasure, reference_name
from wardlake.runs.tables_at_once import for_each
from wardlake.tokens.format_check import require_wide_formats
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.mapping import Identifiers, Mappings, update_mapping
from wardlake.tokens.source import TokenSource

AT_ONCE = 3


def keep_mapping(
    job: RefreshJob,
    ring: KeyRing,
    frames: Mapping[str, DataFrame],
    tokens: TokenSource,
    references: ReferenceData,
    measured: Collection[ReferenceMeasure],
) -> None:
    """Bring every identifier of the run into the restricted mapping.

    Raises `ContractBroken` on a collision, and before anything is mapped where a format cannot be kept.
    """
    whole = {measure.name for measure in measured if not measure.orphan_rows}
    covered = covered_columns(job.source, job.classification, frames, whole)
    found: dict[str, list[Identifiers]] = {}
    for name, rows in frames.items():
        listed = list_identifiers(
            rows,
            table=job.source.tables[name],
            decisions=job.classification.tables.get(name, {}),
            mode=tokens.mode,
            references=references,
            covered=covered.get(name, ()),
        )
        for domain, identifiers in listed.items():
            found.setdefault(domain, []).extend(identifiers)
    require_wide_formats(each for identifiers in found.values() for each in identifiers)
    mappings = Mappings(tables=job.tables, layout=job.layout, purpose=PURPOSE)

    def update(domain: str) -> None:
        with job.registry.lock(f"mapping/{PURPOSE}/{domain}", wait_seconds=3600):
            update_mapping(mappings, job.keys, ring, domain, found[domain], mode=tokens.mode, run_id=job.run_id)

    for_each(list(found), update, at_once=AT_ONCE)


def covered_columns(
    source: SourceSpec, classification: Classification, frames: Mapping[str, DataFrame], whole: Collection[str]
) -> dict[str, set[str]]:
    """By table, the columns whose identifiers are all in another listed column too.

    They are foreign keys of one column, among the `whole` (without an orphan, by name), that have type and rule of the key they
    refer to. Of keys that refer to each other in a circle none is covered.
    """
    holder = dict(_held(source, classification, frames, whole))
    covered: dict[str, set[str]] = {}
    for table, column in holder:
        if _ends((table, column), holder):
            covered.setdefault(table, set()).add(column)
    return covered


def _held(
    source: SourceSpec, classification: Classification, frames: Mapping[str, DataFrame], whole: Collection[str]
) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Each covered column with one that holds all of its identifiers."""
    for table, reference in source.references():
        if (
            len(reference.columns) != 1
            or reference_name(table.name, reference.columns, reference.table, reference.to) not in whole
        ):
            continue
        child, parent = (table.name, reference.columns[0]), (reference.table, reference.to[0])
        if child != parent and same_tokens(child, parent, classification, frames):
            yield child, parent


def same_tokens(
    child: tuple[str, str], parent: tuple[str, str], classification: Classification, frames: Mapping[str, DataFrame]
) -> bool:
    """Whether two columns, each a table and a name, give one identifier one token."""
    return _tokens_of(child, classification, frames) == _tokens_of(parent, classification, frames) != ()


def _tokens_of(place: tuple[str, str], classification: Classification, frames: Mapping[str, DataFrame]) -> tuple[object, ...]:
    """What decides a column's mapping rows: rule, domain and type; empty for a column without a token of its own."""
    table, column = place
    decision = classification.tables.get(table, {}).get(column)
    match decision.rule if decision else None:
        case Token(domain=domain) | FormatToken(domain=domain) as rule:
            return rule.rule, domain, frames[table].schema[column].dataType.simpleString()
        case _:
            return ()


def _ends(place: tuple[str, str], holder: Mapping[tuple[str, str], tuple[str, str]]) -> bool:
    """Whether going from holder to holder ends at a column that is listed."""
    seen = set()
    while place in holder:
        if place in seen:
            return False
        seen.add(place)
        place = holder[place]
    return True
