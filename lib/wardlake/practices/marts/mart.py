"""What every mart has: its grain, the records it is made of, and how."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from wardlake.practices.marts.records import Records

PRACTICE = "practice_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mart:
    """One mart. `grain`: the columns that name one of its rows, the practice first. `measure`: the eCQM that it follows.

    `build` makes all rows of the practices whose records it is given. No row of it names a patient. `tied`: a column, or columns
    added up, whose sum by practice is what `total` counts, as `practice_id` and `total`, by another way from the records.
    """

    name: str
    title: str
    grain: tuple[str, ...]
    needs: tuple[str, ...]
    build: Callable[[Records], DataFrame]
    tied: str
    total: Callable[[Records], DataFrame]
    measure: str = ""


def find_untied(mart: Mart, rows: DataFrame, records: Records) -> DataFrame:
    """Practices that the mart is not whole for, as `practice_id` and `is_foreign`.

    Foreign rows are of no practice, or of one whose records these are not. Of the others the total is not what the mart's rows
    come to.
    """
    sums = rows.groupBy(PRACTICE).agg(F.sum(F.expr(mart.tied)).alias("sum"))
    known = F.col(PRACTICE).isin(sorted(records.zones))
    both = sums.join(mart.total(records), PRACTICE, "full").withColumn("is_foreign", ~F.coalesce(known, F.lit(False)))
    nothing = F.lit(0)
    return both.where(F.col("is_foreign") | (F.coalesce("sum", nothing) != F.coalesce("total", nothing))).select(
        PRACTICE, "is_foreign"
    )
