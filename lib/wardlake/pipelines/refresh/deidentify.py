"""The step that de-identifies: the mapping first, then every table by its decisions into staging."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import pyspark.sql.functions as F
from pyspark.sql import DataFrame, Observation

from wardlake.audit.content_hash import allow_nulls, hash_row, sum_hashes
from wardlake.deidentify.checks.foreign_keys import table_levels
from wardlake.deidentify.losses import count_filled, losing_columns, lost_values
from wardlake.deidentify.rules.free_text import TextVocabulary
from wardlake.deidentify.rules.own_identifiers import gather_own_identifiers, list_own_identifiers
from wardlake.deidentify.rules.reference_data import ReferenceData
from wardlake.deidentify.sampling import sample_tables
from wardlake.deidentify.tables import deidentify_table
from wardlake.detect.names import names_in_text
from wardlake.model.plan import Outcome
from wardlake.pipelines.refresh.job import PURPOSE, RefreshJob
from wardlake.pipelines.refresh.mapping import AT_ONCE, keep_mapping
from wardlake.pipelines.refresh.parents import few_parents
from wardlake.pipelines.refresh.shared_days import refuse_shared_days
from wardlake.publish.references.measure import measure_references
from wardlake.publish.residue.scan import releases_text
from wardlake.runs.tables_at_once import for_each
from wardlake.tokens.keyring import KeyRing
from wardlake.tokens.mapping import Mappings
from wardlake.tokens.source import TokenSource

_HASH = "__wardlake_row_hash"


@dataclass(frozen=True, kw_only=True)
class Deidentified:
    """One staged table: rows in and out, the Delta version, the row sum, and by column how many values became null."""

    rows_in: int
    rows_out: int
    version: int
    row_sum: str
    became_null: Mapping[str, int]


def deidentify(job: RefreshJob, _: Mapping[str, Outcome]) -> Outcome:
    """Write every table of the run de-identified into staging."""
    job.tables.delete_folder(job.layout.staged_dataset(job.run_id))  # what an earlier try left was never judged
    ring = job.ring()
    tokens = TokenSource(
        mode=job.classification.token_mode,
        ring=ring,
        mappings=Mappings(tables=job.tables, layout=job.layout, purpose=PURPOSE),
    )
    frames = source_frames(job, ring)
    references = reference_data(job)
    refuse_shared_days(job, job.raw_frames() if job.sampled else frames)
    measured = measure_references(frames, job.source)
    keep_mapping(job, ring, frames, tokens, references, measured)
    own = own_identifiers(job, frames, tokens)

    # a sample would be drawn anew for each lookup
    parents = {} if job.sampled else few_parents(job.source, job.classification, frames, measured)

    def stage(name: str) -> Deidentified:
        return stage_table(job, name, frames[name], tokens=tokens, references=references, own=own, parents=parents.get(name, {}))

    tables: dict[str, Deidentified] = {}
    for level in table_levels(job.source):  # parents before children
        tables |= dict(zip(level, for_each(level, stage, at_once=AT_ONCE), strict=True))
    return {
        "tables": {
            name: {"rows_in": t.rows_in, "rows_out": t.rows_out, "version": t.version, "row_sum": t.row_sum}
            for name, t in tables.items()
        },
        "became_null": {f"{name}.{path}": count for name, t in tables.items() for path, count in t.became_null.items()},
        "source_references": [asdict(measure) for measure in measured],
        "token_mode": tokens.mode.value,
        "key_versions": dict(ring.versions),
        "note": f"{sum(t.rows_out for t in tables.values()):,} rows",
    }


def source_frames(job: RefreshJob, ring: KeyRing) -> dict[str, DataFrame]:
    """The raw tables, or a sample of patients with all that belongs to them."""
    frames = job.raw_frames()
    return dict(sample_tables(frames, job.source, job.fraction, ring, domain=job.patient_domain())) if job.sampled else frames


def reference_data(job: RefreshJob) -> ReferenceData:
    """What the rules know of the world, from the configuration."""
    return ReferenceData(
        zip3_allowed=frozenset(job.knowledge.zip3.allowed),
        surrogates=job.knowledge.surrogates,
        password_hash=job.knowledge.password_hash,
        text_vocabulary=TextVocabulary(
            patterns=job.knowledge.patterns.patterns,
            names=names_in_text(job.knowledge.name_words),
            words=job.knowledge.name_words,
        ),
    )


def own_identifiers(job: RefreshJob, frames: Mapping[str, DataFrame], tokens: TokenSource) -> DataFrame | None:
    """Each patient's own identifiers from every table about patients, where some text is released and needs cleaning of them."""
    if not releases_text(job.classification):
        return None
    about_patients = [table for table in job.source.tables.values() if table.patient and table.name in frames]
    known = [
        list_own_identifiers(
            frames[table.name],
            table=table,
            decisions=job.classification.tables.get(table.name, {}),
            tokens=tokens,
            dates=table.name == job.source.patients,  # a patient has thousands of others, and any date is found as a date
        )
        for table in about_patients
    ]
    return gather_own_identifiers(known) if known else None


def stage_table(
    job: RefreshJob,
    name: str,
    rows: DataFrame,
    *,
    tokens: TokenSource,
    references: ReferenceData,
    own: DataFrame | None,
    parents: Mapping[str, DataFrame],
) -> Deidentified:
    """De-identify one table into staging, counted and hashed in the pass that writes it."""
    before, after = Observation(), Observation()
    decisions = job.classification.tables.get(name, {})
    watched = losing_columns(rows.schema, decisions)
    output = deidentify_table(
        rows.observe(before, F.count(F.lit(1)).alias("rows"), *count_filled(watched)),
        table=job.source.tables[name],
        decisions=decisions,
        tokens=tokens,
        references=references,
        as_of=job.as_of,
        own_identifiers=own,
        parents=parents,
    )
    counts = [F.count(F.lit(1)).alias("rows"), *count_filled(watched)]
    # a column is compiled, an observed aggregate interpreted
    hashed = output.withColumn(_HASH, hash_row(allow_nulls(output.schema)))
    counted = hashed.observe(after, *counts, sum_hashes(F.col(_HASH)).alias("sum")).drop(_HASH)
    version = job.tables.replace(job.layout.staged_table(job.run_id, name), counted)
    return Deidentified(
        rows_in=int(before.get["rows"]),
        rows_out=int(after.get["rows"]),
        version=version,
        row_sum=str(after.get["sum"]),
        became_null=lost_values(watched, before.get, after.get),
    )
