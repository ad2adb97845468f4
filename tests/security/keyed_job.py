"""A job that holds keys, run by `test_key_never_shows` in a process of its own; it leaves all it can see in a folder.

Keys come from a sealed key file. `data` is the job, `scan` the search for known values, `literal` the control: the same HMAC
with its pads as literals.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyspark.sql.functions as F
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql.types import DecimalType, LongType, StringType
from tests.spec.publish.residue_data import residue_policy

from wardlake.adapters.delta_tables import DeltaTables
from wardlake.adapters.sealed_key_file import SealedKeyFile
from wardlake.adapters.spark_session import DELTA, LOCAL, jars
from wardlake.detect.scan import scan_table
from wardlake.model.treatments import Classification, Decision, IdentifierKind, Profile, Token, TokenMode, Verdict
from wardlake.model.zones import LakeLayout
from wardlake.pipelines.refresh.job import RESIDUE, secret
from wardlake.publish.residue.known_values.collection import collect_known_values
from wardlake.publish.residue.known_values.index import load_known_values
from wardlake.publish.residue.known_values.matcher import known_matchers
from wardlake.tokens.keyed import attach_keys, digest_column
from wardlake.tokens.keyring import KeyRing, hmac_pads, open_ring
from wardlake.tokens.mapping import Identifiers, Mappings, update_mapping
from wardlake.tokens.source import TokenRequest, TokenSource, tokenise

ROOT = Path(__file__).parents[2]


def main() -> None:
    seen, how, vault = Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3])
    keys = SealedKeyFile(vault / "keys.json", vault / "master.key")
    spark = session(seen, readable=how != "scan")
    ring = open_ring(keys, "dev", ["patient", "provider", "residue"])
    print(ring, ring.keys, keys.latest("dev/patient"))
    match how:
        case "literal":
            plans = use_literals(spark, ring.keys["patient"].material)
        case "scan":
            plans = search_known_values(spark, seen, ring)
        case _:
            plans = use_data(spark, seen, ring, keys)
            force_exception(spark, seen, ring)
    (seen / "plans.txt").write_text("\n".join(plans))
    (seen / "ui.txt").write_text("\n".join(ui_answers(spark)))
    keep(seen / "local", seen / "local-kept")
    spark.stop()


def keep(folder: Path, kept: Path) -> None:
    """All that lies there, but for what Spark removes meanwhile."""
    for place, _, names in os.walk(folder, followlinks=True):
        for name in names:
            file = Path(place, name)
            copy = kept / file.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                shutil.copyfile(file, copy)


def session(seen: Path, *, readable: bool) -> SparkSession:
    for name in ("events", "local"):
        (seen / name).mkdir()
    conf = {
        "spark.ui.enabled": "true",
        "spark.ui.port": "0",
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": (seen / "events").as_uri(),
        "spark.eventLog.compress": "false",
        "spark.local.dir": str(seen / "local"),
        "spark.driver.memory": "1000m",
        "spark.sql.debug.maxToStringFields": "5000",
        "spark.sql.shuffle.partitions": "2",
        "spark.io.encryption.enabled": str(not readable).lower(),  # what is searched must be readable
        "spark.shuffle.compress": "false",
        "spark.broadcast.compress": "false",
        "spark.sql.warehouse.dir": str(seen / "warehouse"),
    }
    # Wardlake's own sessions cannot be started unencrypted, so this one is built here of the same settings.
    os.environ.update(SPARK_LOCAL_IP="127.0.0.1", PYSPARK_PYTHON=sys.executable)
    settings = {**LOCAL, **DELTA, **conf, "spark.jars": jars(ROOT / ".tools" / "jars")}
    spark = SparkSession.builder.appName("keyed").master("local[2]").config(map=settings).getOrCreate()
    spark.sparkContext.setLogLevel("INFO")
    return spark


def use_data(spark: SparkSession, seen: Path, ring: KeyRing, keys: SealedKeyFile) -> list[str]:
    """Tokens of every type, a format token, a digest, and the mapping in both modes."""
    rows = spark.range(50).select(
        F.concat(F.lit("MRN-"), F.col("id").cast("string")).alias("text"),
        F.col("id").alias("number"),
        F.col("id").cast("decimal(20,0)").alias("decimal"),
        F.lpad(F.col("id").cast("string"), 9, "0").alias("formatted"),
    )
    mappings = Mappings(tables=DeltaTables(spark), layout=LakeLayout(str(seen / "lake")), purpose="dev")
    requests = [
        TokenRequest(column="text", domain="patient", data_type=StringType(), prefix="pat_"),
        TokenRequest(column="number", domain="patient", data_type=LongType()),
        TokenRequest(column="decimal", domain="provider", data_type=DecimalType(20, 0)),
        TokenRequest(column="formatted", domain="provider", data_type=StringType(), keep_format=True),
    ]
    plans = []
    for mode, some in ((TokenMode.KEYED, requests), (TokenMode.RANDOM, requests[:1])):
        for request in some[:1] + some[3:]:
            found = [Identifiers(rows=rows.select(request.column), keep_format=request.keep_format)]
            update_mapping(mappings, keys, ring, request.domain, found, mode=mode, run_id="run-1")
        out = tokenise(rows, some, TokenSource(mode=mode, ring=ring, mappings=mappings))
        out.write.format("delta").mode("overwrite").save(str(seen / f"out-{mode}"))
        plans += plan_texts(out)
        shutil.move(seen / "lake", seen / f"lake-{mode}")
    digests = attach_keys(rows, ring).select(digest_column(F.col("text"), domain="patient", label="date"))
    digests.cache().count()
    return plans + plan_texts(digests) + plan_texts(known_values(DeltaTables(spark), seen, ring))


def people(spark: SparkSession) -> DataFrame:
    return spark.range(50).select(
        F.concat(F.lit("MRN-"), (F.col("id") + 7_000_000).cast("string")).alias("mrn"),
        F.concat(F.lit("Wilhelmina Oberholtzer"), F.col("id").cast("string")).alias("name"),
    )


def known_values(tables: DeltaTables, seen: Path, ring: KeyRing) -> DataFrame:
    """The residue scan's hashes, written and given back as collected."""
    token = Token(domain="patient")
    decisions = {
        "mrn": Decision(verdict=Verdict.SENSITIVE, rule=token, kind=IdentifierKind.MRN),
        "name": Decision(verdict=Verdict.BLOCKED, kind=IdentifierKind.PERSON_NAME),
    }
    collected = collect_known_values(
        {"people": people(tables.spark)},
        Classification(source="s", profile=Profile.EXPERT, token_mode=TokenMode.KEYED, tables={"people": decisions}),
        policy=residue_policy().known_values,
        key=secret(ring, RESIDUE),
        birth_words=(),
    )
    tables.replace(str(seen / "known"), collected)
    return collected


def search_known_values(spark: SparkSession, seen: Path, ring: KeyRing) -> list[str]:
    """What the scan does: hashes to the driver, matchers to the workers, cells counted there."""
    tables = DeltaTables(spark)
    collected = known_values(tables, seen, ring)
    policy = residue_policy().known_values
    known = load_known_values(tables.read(str(seen / "known")), key=secret(ring, RESIDUE), policy=policy)
    path = str(seen / "output")
    tables.replace(path, people(spark).select("mrn"))
    (cells,) = scan_table(spark, tables.data_files(path), tables.read(path).schema, known_matchers(known))
    print(known, f"found {max(cells.hits.values(), default=0)} cells")
    return plan_texts(collected)


def use_literals(spark: SparkSession, key: bytes) -> list[str]:
    inner, outer = (F.lit(bytearray(pad)) for pad in hmac_pads(key))

    def token(value: Column) -> Column:
        return F.sha2(F.concat(outer, F.unhex(F.sha2(F.concat(inner, value.cast("binary")), 256))), 256)

    out = spark.range(50).select(token(F.col("id").cast("string")))
    out.collect()
    return plan_texts(out)


def force_exception(spark: SparkSession, seen: Path, ring: KeyRing) -> None:
    """A job that fails in the middle of an expression and one that fails in a Python worker."""
    keyed = attach_keys(spark.range(5).withColumn("text", F.col("id").cast("string")), ring)
    digest = digest_column(F.col("text"), domain="patient", label="date")
    narrow = TokenRequest(column="text", domain="patient", data_type=StringType(), keep_format=True)
    failing = [
        keyed.select(F.when(F.length(digest) > 3, F.raise_error(F.lit("forced"))).alias("x")),
        keyed.select((F.length(digest) / F.lit(0)).alias("x")),
        tokenise(keyed.select("text"), [narrow], TokenSource(mode=TokenMode.KEYED, ring=ring)),
    ]
    with (seen / "exception.txt").open("w") as file:
        for df in failing:
            try:
                df.collect()
            except Exception as error:
                file.write(f"{error!s}\n{error!r}\n{getattr(error, 'desc', '')}\n{getattr(error, 'stackTrace', '')}\n")
            else:
                raise AssertionError("the job was meant to fail")


def plan_texts(df: DataFrame) -> list[str]:
    """All that `explain` can say: every mode, with the generated code, and Spark's own JSON of each plan."""
    execution = df._jdf.queryExecution()
    explained = df.sparkSession._jvm.PythonSQLUtils  # type: ignore[union-attr]
    texts = [explained.explainString(execution, mode) for mode in ("simple", "extended", "codegen", "cost", "formatted")]
    plans = (execution.logical(), execution.optimizedPlan(), execution.executedPlan())
    return texts + [plan.treeString() for plan in plans] + [json.dumps(df.schema.jsonValue())]


def ui_answers(spark: SparkSession) -> Iterator[str]:
    """Every answer of the UI's REST interface about this application, and its pages about queries."""
    base = str(spark.sparkContext.uiWebUrl)
    app = f"{base}/api/v1/applications/{spark.sparkContext.applicationId}"
    topics = ("jobs", "stages?details=true", "executors", "storage/rdd", "environment", "sql?details=true&length=200")
    for address in (f"{base}/api/v1/applications", *(f"{app}/{topic}" for topic in topics)):
        yield fetch(address)
    for query in json.loads(fetch(f"{app}/sql?length=200")):
        yield fetch(f"{base}/SQL/execution/?id={query['id']}")


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=60) as answer:
        return str(answer.read().decode())


if __name__ == "__main__":
    main()
