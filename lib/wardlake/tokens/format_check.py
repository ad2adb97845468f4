"""Format tokens asked for values that cannot have one: found before anything is mapped, named without a value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import pyspark.sql.functions as F

from wardlake.model.errors import ContractBroken
from wardlake.tokens.format_preserving import find_narrow_formats
from wardlake.tokens.mapping import Identifiers


def require_wide_formats(found: Iterable[Identifiers]) -> None:
    """Raise `ContractBroken` naming every column that is to keep its format and holds a value whose format cannot be kept.

    Reads each such column once, in either token mode.
    """
    counts: Counter[str] = Counter()
    for each in found:
        if each.keep_format:
            counts[each.column] += _count_narrow(each)
    broken = [f"{column}: {count:,} values" for column, count in counts.items() if count]
    if broken:
        raise ContractBroken(
            "Columns hold values whose format no token can keep.",
            which=broken,
            next_step="a format is of ASCII letters, digits and separators and has a million values at least: "
            "use the rule token for these columns",
        )


def _count_narrow(identifiers: Identifiers) -> int:
    row = identifiers.rows.toDF("value").agg(F.count_if(find_narrow_formats(F.col("value"))).alias("narrow")).first()
    return int(row["narrow"]) if row else 0
