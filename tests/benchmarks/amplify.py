"""Makes a large Synthea export out of a small one: N copies with new keys, names, numbers, addresses and shifted dates.

    python -m tests.benchmarks.amplify --from FOLDER --to FOLDER --times N --seed S [--format parquet|delta] [--tables a,b]

Every copy is a population of its own: all keys and foreign keys are rewritten alike, each patient's dates move together. The same
seed gives the same rows. Payers stay as they are; organizations and providers grow ten times slower than patients.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import names
import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import DateType, TimestampType

from wardlake.adapters.csv_source import CsvSource
from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.spark_session import start_session
from wardlake.model.sources import SourceSpec
from wardlake.settings.load import load_settings
from wardlake.snapshot.typed_columns import type_texts

ROOT = Path(__file__).parents[2]
PATIENT = {"patients": "Id", "claims": "PATIENTID", "claims_transactions": "PATIENTID"}  # else PATIENT
NO_PATIENT = ("payers", "organizations", "providers")
SHARED = {"ORGANIZATION", "PROVIDER", "PROVIDERID", "SUPERVISINGPROVIDERID", "REFERRINGPROVIDERID", "PLACEOFSERVICE"}
OWN = {"Id", "ID", "PATIENT", "PATIENTID", "PATIENTINSURANCEID", "ENCOUNTER", "APPOINTMENTID", "CLAIMID", "MEMBERID"}
SHARED_EVERY = 10  # copies of patients per copy of organizations and providers
LONGEST_SHIFT = 1825  # days into the past
_NAMES = 2000  # most frequent ones of each list
_STREETS = ("Street", "Road", "Lane", "Avenue", "Court", "Way", "Drive", "Place")


def amplify(tables: Mapping[str, DataFrame], times: int, seed: int) -> dict[str, DataFrame]:
    """`times` copies of a typed Synthea export.

    Input: tables by name, columns typed. Output: the same tables and columns; one row per input row and copy, payers once,
    organizations and providers once per ten copies. Guarantee: keys that were equal within a copy stay equal, and no copy
    shares a key with another but for payers, organizations and providers.
    """
    people = name_patients(tables["patients"], times, seed)
    return {name: amplify_table(name, rows, people, times, seed) for name, rows in tables.items()}


def amplify_table(name: str, rows: DataFrame, people: DataFrame, times: int, seed: int) -> DataFrame:
    copies = {"payers": 1, "organizations": shared_copies(times), "providers": shared_copies(times)}.get(name, times)
    draw = Draw(seed, shared_copies(times))
    wide = rows.withColumn("copy", F.explode(F.sequence(F.lit(0), F.lit(copies - 1))))
    if name not in NO_PATIENT:
        key = PATIENT.get(name, "PATIENT")
        wide = wide.withColumn("shift", draw.number("shift", LONGEST_SHIFT, F.col(key), F.col("copy")).cast("int"))
    if name in ("patients", "payer_transitions"):
        key = PATIENT.get(name, "PATIENT")
        wide = wide.join(F.broadcast(people), (wide[key] == people["person"]) & (wide["copy"] == people["person copy"]), "left")
    changed = {column: new for column in rows.columns if (new := rewrite(name, column, rows, draw)) is not None}
    return wide.select(*[changed.get(c, F.col(c)).alias(c) for c in rows.columns])


def shared_copies(times: int) -> int:
    return max(1, times // SHARED_EVERY)


class Draw:
    """Values that depend on the seed, a label and the given columns, and on nothing else."""

    def __init__(self, seed: int, shared: int) -> None:
        self.seed = seed
        self.shared = shared

    def number(self, label: str, below: int, *of: Column) -> Column:
        return F.pmod(F.xxhash64(F.lit(self.seed), F.lit(label), *of), F.lit(below))

    def digits(self, label: str, count: int, *of: Column) -> Column:
        return F.lpad(self.number(label, 10**count, *of).cast("string"), count, "0")

    def one_of(self, label: str, words: list[str], *of: Column) -> Column:
        return F.split(F.lit(",".join(words)), ",")[self.number(label, len(words), *of).cast("int")]

    def uuid(self, value: Column, copy: Column) -> Column:
        """Another UUID; null stays null. A MD5 of seed, copy and the old one."""
        digest = F.md5(F.concat_ws("/", F.lit(self.seed), copy.cast("string"), value))
        parts = [F.substring(digest, start, length) for start, length in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))]
        return F.when(value.isNotNull(), F.concat_ws("-", *parts))


def name_patients(patients: DataFrame, times: int, seed: int) -> DataFrame:
    """One row per patient and copy: the old names without their digits are replaced by frequent ones of the same sex."""
    draw = Draw(seed, shared_copies(times))
    wide = patients.withColumn("person copy", F.explode(F.sequence(F.lit(0), F.lit(times - 1))))
    who = (F.col("Id"), F.col("person copy"))
    return wide.select(
        F.col("Id").alias("person"),
        "person copy",
        F.concat_ws(" ", "FIRST", "LAST").alias("old name"),
        given_name(draw, "first", F.col("GENDER"), *who).alias("new first"),
        given_name(draw, "middle", F.col("GENDER"), *who).alias("new middle"),
        draw.one_of("last", read_names("last"), *who).alias("new last"),
        draw.one_of("maiden", read_names("last"), *who).alias("new maiden"),
    )


def given_name(draw: Draw, label: str, sex: Column, *of: Column) -> Column:
    female = draw.one_of(label, read_names("first:female"), *of)
    return F.when(sex == "F", female).otherwise(draw.one_of(label, read_names("first:male"), *of))


def read_names(kind: str) -> list[str]:
    """The most frequent names of the United States census, in its order."""
    lines = Path(names.FILES[kind]).read_text("utf-8").splitlines()
    return [line.split()[0].title() for line in lines[:_NAMES]]


def rewrite(table: str, name: str, rows: DataFrame, draw: Draw) -> Column | None:
    """The column's new content; None where it stays as it is."""
    column, copy = F.col(name), F.col("copy")
    if (table, name) in SPECIAL:
        return F.when(column.isNotNull(), SPECIAL[table, name](column, copy, draw))
    if name in SHARED or (name == "Id" and table in ("organizations", "providers")):
        return draw.uuid(column, F.pmod(copy, F.lit(draw.shared)))
    if name in OWN and table != "payers":
        return draw.uuid(column, copy)
    kind = rows.schema[name].dataType
    if isinstance(kind, DateType):
        return F.date_sub(column, F.col("shift"))
    if isinstance(kind, TimestampType):
        return column - F.make_dt_interval(F.col("shift"))
    return None


def _person(name: str) -> Callable[[Column, Column, Draw], Column]:
    return lambda column, copy, draw: F.col(name)


def _address(column: Column, copy: Column, draw: Draw) -> Column:
    house = (draw.number("house", 998, column, copy) + 1).cast("string")
    street = draw.one_of("street", read_names("last"), column, copy)
    return F.concat_ws(" ", house, street, draw.one_of("kind", list(_STREETS), column, copy))


def _moved(column: Column, copy: Column, draw: Draw) -> Column:
    """Up to a kilometre or so away: latitude and longitude in degrees."""
    return column + (draw.number("place", 2001, column, copy) - 1000) / 100_000


def _ssn(column: Column, copy: Column, draw: Draw) -> Column:
    """An area that was given out before 2011, a group and a serial that are not zero."""
    area = draw.number("area", 665, column, copy) + 1
    group = draw.number("group", 99, column, copy) + 1
    serial = draw.number("serial", 9999, column, copy) + 1
    return F.format_string("%03d-%02d-%04d", area, group, serial)


def _phone(column: Column, copy: Column, draw: Draw) -> Column:
    return F.concat(
        (draw.number("code", 700, column, copy) + 201).cast("string"), F.lit("5"), draw.digits("line", 6, column, copy)
    )


def _udi(column: Column, copy: Column, draw: Draw) -> Column:
    """A device identifier of the same form; its two dates of manufacture and expiry stay."""
    dates = F.regexp_extract(column, r"(\(11\)\d{6}\(17\)\d{6})", 1)
    lot, serial = draw.digits("lot", 8, column, copy), draw.digits("device serial", 15, column, copy)
    return F.concat(F.lit("(01)"), draw.digits("device", 14, column, copy), dates, F.lit("(10)"), lot, F.lit("(21)"), serial)


def _uid(column: Column, copy: Column, draw: Draw) -> Column:
    end = (draw.digits("uid", 8, column, copy), draw.digits("uid time", 13, column, copy))
    return F.concat_ws(".", F.lit("1.2.840.99999999.1.1"), *[F.regexp_replace(part, "^0+", "1") for part in end])


def _owner(column: Column, copy: Column, draw: Draw) -> Column:
    """The patient's own new name, or another for a guardian or spouse."""
    other = F.concat_ws(" ", given_name(draw, "owner", F.lit("F"), column, copy), F.col("new last"))
    return F.when(column == F.col("old name"), F.concat_ws(" ", "new first", "new last")).otherwise(other)


def _provider(column: Column, copy: Column, draw: Draw) -> Column:
    first = given_name(draw, "provider", F.col("GENDER"), column, copy)
    return F.concat_ws(" ", first, draw.one_of("provider last", read_names("last"), column, copy))


SPECIAL: dict[tuple[str, str], Callable[[Column, Column, Draw], Column]] = {
    ("patients", "FIRST"): _person("new first"),
    ("patients", "MIDDLE"): _person("new middle"),
    ("patients", "LAST"): _person("new last"),
    ("patients", "MAIDEN"): _person("new maiden"),
    ("patients", "SSN"): _ssn,
    ("patients", "DRIVERS"): lambda c, copy, draw: F.concat(F.lit("S"), draw.digits("licence", 8, c, copy)),
    ("patients", "PASSPORT"): lambda c, copy, draw: F.concat(F.lit("X"), draw.digits("passport", 8, c, copy), F.lit("X")),
    ("patients", "ADDRESS"): _address,
    ("patients", "LAT"): _moved,
    ("patients", "LON"): _moved,
    ("payer_transitions", "OWNER_NAME"): _owner,
    ("providers", "NAME"): _provider,
    ("providers", "ADDRESS"): _address,
    ("organizations", "ADDRESS"): _address,
    ("organizations", "PHONE"): _phone,
    ("devices", "UDI"): _udi,
    ("imaging_studies", "SERIES_UID"): _uid,
    ("imaging_studies", "INSTANCE_UID"): _uid,
}


def read_export(folder: str, source: SourceSpec, spark: SparkSession, parts: int) -> dict[str, DataFrame]:
    """The CSV export in a folder, typed; files may have a middle part in their name (`claims.head20000.csv.gz`)."""
    files = [path.name for path in Path(folder).iterdir()]
    stems = {n: next(f for f in files if f.split(".")[0] == n).removesuffix(".gz").removesuffix(".csv") for n in source.tables}
    specs = {name: replace(table, file=stems[name]) for name, table in source.tables.items()}
    opened = CsvSource(replace(source, location=folder, tables=specs), DeltaTables(spark))
    tables = {}
    for name, table in specs.items():
        raw = opened.read(table)
        typed = type_texts(raw.rows, table.types, raw.inner)
        tables[name] = typed.rows.select(*typed.columns).repartition(parts)
    return tables


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="origin", required=True)
    parser.add_argument("--to", dest="target", required=True)
    parser.add_argument("--times", type=int, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=("parquet", "delta"), default="parquet")
    parser.add_argument("--tables", type=lambda text: text.split(","), help="only these, by comma; all otherwise")
    parser.add_argument("--memory", default="1500m")
    arguments = parser.parse_args()
    source = load_settings(ROOT / "conf", "embedded", today=date.today()).source("synthea")
    conf = {"spark.driver.memory": arguments.memory, "spark.sql.shuffle.partitions": "4"}
    spark = start_session("amplify", jar_folder=ROOT / ".tools" / "jars", conf=conf)
    tables = read_export(arguments.origin, source, spark, parts=4)
    wide = amplify(tables, arguments.times, arguments.seed)
    for name in arguments.tables or wide:
        wide[name].write.format(arguments.format).mode("overwrite").save(f"{arguments.target}/{name}")
        print(f"{name}: {spark.read.format(arguments.format).load(f'{arguments.target}/{name}').count()} rows", flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
