"""Records out of the raw tables, as the practices' configuration says."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from wardlake.model.practices import PracticesSpec, RecordsFrom
from wardlake.practices.admission import Admission
from wardlake.practices.marts.mart import PRACTICE, Mart
from wardlake.practices.marts.records import COLUMNS, Records
from wardlake.practices.raw_tables import BUCKET, DELETED, bucket_of
from wardlake.practices.raw_tables import PRACTICE as RAW_PRACTICE

DIRECTORY = "practices"  # the kind of record that the configuration itself tells


def missing_records(mart: Mart, spec: PracticesSpec, admission: Admission) -> list[str]:
    """What a mart needs and does not have: kinds that are not configured, columns as `table.column` that were not admitted."""
    found = []
    for kind in mart.needs:
        if kind == DIRECTORY:
            continue
        if kind not in spec.records:
            found.append(kind)
            continue
        source = spec.records[kind]
        admitted = admission.raw[source.table].columns
        found += [f"{source.table}.{column}" for column in sorted(set(source.columns.values()) - admitted.keys())]
    return found


def select_records(
    spark: SparkSession, raw: Mapping[str, DataFrame], spec: PracticesSpec, practices: Collection[str], as_of: date
) -> Records:
    """The records of some practices. `raw`: the raw tables by name; kinds whose table is not among them are left out."""
    of = {
        kind: _select(raw[found.table], kind, found, spec, practices)
        for kind, found in spec.records.items()
        if found.table in raw
    }
    zones = {name: spec.time_zone_of(name) for name in sorted(practices)}
    of[DIRECTORY] = F.broadcast(spark.createDataFrame(list(zones.items()), f"{PRACTICE} string, time_zone string"))
    return Records(of=of, zones=zones, as_of=as_of, own_codes=spec.value_sets)


def _select(raw: DataFrame, kind: str, found: RecordsFrom, spec: PracticesSpec, practices: Collection[str]) -> DataFrame:
    """Rows that are there, of these practices; the buckets are named, so that other files are not opened."""
    buckets = sorted({bucket_of(name, spec.buckets) for name in practices})
    rows = raw.where(F.col(BUCKET).isin(buckets) & F.col(RAW_PRACTICE).isin(sorted(practices)) & ~F.col(DELETED))
    columns = [F.col(f"`{found.columns[name]}`").cast(kind_of).alias(name) for name, kind_of in COLUMNS[kind].items()]
    return rows.select(F.col(RAW_PRACTICE).alias(PRACTICE), *columns)
