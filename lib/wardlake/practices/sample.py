"""Sample practices: a Synthea export as a database that its organisations share. Pure.

A record belongs to the organisation of its encounter. A patient is registered with every organisation that they visited, about
four: each practice has a row of its own for them.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

PRACTICE = "practice_id"
ROW = "row_id"
# By table, the column that names the encounter of a record; tables without a key of their own get one.
ENCOUNTER_OF = {
    "conditions": "ENCOUNTER",
    "observations": "ENCOUNTER",
    "medications": "ENCOUNTER",
    "procedures": "ENCOUNTER",
    "immunizations": "ENCOUNTER",
    "claims": "APPOINTMENTID",
    "claims_transactions": "APPOINTMENTID",
}
KEYED = {"claims": "Id", "claims_transactions": "ID"}


def share_database(tables: Mapping[str, DataFrame]) -> dict[str, DataFrame]:
    """The tables of one export as those of a shared database: every row has a `practice_id`, and a key: its own, or `row_id`.

    Records of no encounter belong to nobody and are left out.
    """
    encounters = tables["encounters"]
    of_encounter = encounters.select(F.col("Id").alias("encounter"), F.col("ORGANIZATION").alias(PRACTICE))
    shared = {"encounters": encounters.withColumn(PRACTICE, F.col("ORGANIZATION"))}
    registered = encounters.select(F.col("PATIENT").alias("Id"), F.col("ORGANIZATION").alias(PRACTICE)).distinct()
    shared["patients"] = tables["patients"].join(registered, "Id")
    for name, encounter in ENCOUNTER_OF.items():
        rows = tables[name].join(of_encounter, F.col(encounter) == F.col("encounter")).drop("encounter")
        shared[name] = rows if name in KEYED else _numbered(rows)
    return shared


def _numbered(rows: DataFrame) -> DataFrame:
    """`row_id`: a digest of the row and its number among equal ones, so that the same export has the same keys."""
    content = F.sha2(F.to_json(F.struct("*"), {"ignoreNullFields": "false"}), 256)
    digested = rows.withColumn(ROW, content)
    number = F.row_number().over(Window.partitionBy(ROW).orderBy(ROW))
    return digested.withColumn(ROW, F.concat_ws("-", F.substring(ROW, 1, 24), number.cast("string")))


def as_inserts(rows: DataFrame, *, first: int, at: str) -> DataFrame:
    """A table as a migration service loads it in full: every row an insert, with a number and a time, every value a text."""
    number = F.row_number().over(Window.orderBy(F.lit(1))) + F.lit(first - 1)
    texts = [F.col(f"`{name}`").cast("string").alias(name) for name in rows.columns]
    own = [F.lit("I").alias("Op"), number.cast("string").alias("change_seq"), F.lit(at).alias("change_time")]
    return rows.select(*own, *texts)
