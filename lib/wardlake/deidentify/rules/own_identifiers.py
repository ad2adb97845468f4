"""A patient's own identifiers, from every table about patients, and their removal from texts in the ways people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DateType, TimestampNTZType, TimestampType

from wardlake.deidentify.column_types import find_plain
from wardlake.deidentify.rules.folded_text import stored_forms
from wardlake.deidentify.token_columns.factory import token_columns
from wardlake.deidentify.token_columns.requests import Identifier, TokenColumns
from wardlake.detect.path_texts import has_path, select_path
from wardlake.model.quoting import quote_name
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, FormatToken, IdentifierKind, Token
from wardlake.publish.residue.known_values.policy import known_kind
from wardlake.tokens.source import TokenSource

PATIENT, OWN = "__wardlake_patient", "__wardlake_own"
_EACH = "__wardlake_each"
_TEXTS = "texts: array<string>, replacement: string, kind: string"
_NUMBERED = {
    IdentifierKind.SSN,
    IdentifierKind.PHONE,
    IdentifierKind.MRN,
    IdentifierKind.NPI,
    IdentifierKind.ACCOUNT,
    IdentifierKind.CREDIT_CARD,
}
_DATE_FORMS = (
    "yyyy-MM-dd", "yyyyMMdd", "MM/dd/yyyy", "M/d/yyyy", "M/d/yy", "MM-dd-yyyy", "M-d-yyyy", "dd.MM.yyyy", "d.M.yyyy",
    "MMMM d, yyyy", "MMM d, yyyy", "d MMMM yyyy", "d MMM yyyy",
)  # fmt: skip
_NOT_WITHIN_WORD = r"(?iu)(?<![\p{L}\p{N}])%s(?![\p{L}\p{N}])"
_NO_SIGN = r"[^\p{L}\p{N}]"


def list_own_identifiers(
    rows: DataFrame, *, table: TableSpec, decisions: Mapping[str, Decision], tokens: TokenSource, dates: bool
) -> DataFrame:
    """What one table knows of its patients that may stand in their texts.

    Input: a table with a `patient` column, with its decisions; each says what a column holds by its `kind` or its rule
    (`known_kind`). `dates` asks for dates too.
    Output: one row per patient and value: the patient's key as text, `text`, `replacement` (the token where the column has
    one, else `[kind]`) and `kind`. Restricted: it holds values.
    """
    columns = token_columns(tokens)
    found = [
        _texts(rows, path, decision, kind, columns)
        for path, decision in decisions.items()
        if (kind := known_kind(decision)) is not None and has_path(rows, path) and (dates or kind is not IdentifierKind.DATE)
    ]
    key = F.col(quote_name(table.patient)).cast("string").alias(PATIENT)
    each = F.explode(F.array(*found) if found else F.array().cast(f"array<struct<{_TEXTS}>>")).alias(_EACH)
    told = (
        columns.attach(rows).where(F.col(quote_name(table.patient)).isNotNull()).select(key, each).select(PATIENT, f"{_EACH}.*")
    )
    return told.select(PATIENT, F.explode("texts").alias("text"), "replacement", "kind")


def gather_own_identifiers(lists: Sequence[DataFrame]) -> DataFrame:
    """All that the tables know of each patient: one row per patient, the key as text, and an array of what to look for.

    Each element is as `remove_own_identifiers` reads it; longer ones come first: a street before the number in it, a full date
    before its year. Restricted: it is joined, never written.
    """
    known = reduce(DataFrame.unionAll, lists).distinct()
    stored = known.select(PATIENT, "replacement", "kind", F.explode(stored_forms(F.col("text"))).alias("text"))
    ways = stored.select(PATIENT, "replacement", "kind", F.explode(_ways(F.col("text"), F.col("kind"))).alias(_EACH))
    signed = ways.select(PATIENT, "replacement", "kind", f"{_EACH}.*").withColumn("signs", _signs(F.col("text")))
    told = (
        signed.where(F.length("signs") >= _shortest(F.col("kind"), F.col("loose")))
        .groupBy(PATIENT, "text", "signs", "loose")
        .agg(F.min_by("replacement", F.startswith("replacement", F.lit("["))).alias("replacement"))  # a token before a label
    )
    item = F.struct(F.negate(F.length("text")).alias("order"), "text", "loose", "signs", "replacement")
    return told.groupBy(PATIENT).agg(F.array_sort(F.collect_list(item)).alias(OWN))


def join_own_identifiers(df: DataFrame, own: DataFrame, *, patient: str) -> DataFrame:
    """`df` with each row's patient's identifiers in a hidden column: same rows."""
    return df.join(own, F.col(quote_name(patient)).cast("string") == F.col(PATIENT), "left").drop(PATIENT)


def remove_own_identifiers(text: Column, own: Column) -> Column:
    """A folded text without what `own` lists. An expression is only made of what the text can hold: its letters and digits do."""

    def without(so_far: Column, each: Column) -> Column:
        left = F.regexp_replace(so_far["text"], _pattern(each), _literally(each["replacement"]))
        held = F.contains(so_far["signs"], each["signs"])
        return F.struct(F.when(held, left).otherwise(so_far["text"]).alias("text"), so_far["signs"].alias("signs"))

    whole = F.struct(text.alias("text"), _signs(text).alias("signs"))
    return F.aggregate(own, whole, without, lambda done: done["text"])


def _texts(rows: DataFrame, path: str, decision: Decision, kind: IdentifierKind, tokens: TokenColumns) -> Column:
    """What stands at a path in a row, as texts, and what takes their place."""
    data_type, replacement = find_plain(rows.schema, path), F.lit(f"[{kind.value}]")
    value = F.col(".".join(map(quote_name, path.split("."))))
    match data_type:
        case None | ArrayType():
            texts = select_path(rows, path)
            texts = texts if isinstance(rows.select(texts).schema[0].dataType, ArrayType) else F.array(texts)
        case DateType() | TimestampType() | TimestampNTZType():
            texts = F.array(*[F.date_format(value, form) for form in _DATE_FORMS])
        case _:
            texts, replacement = F.array(value.cast("string")), _replacement(value, data_type, decision, kind, tokens)
    return F.struct(texts.alias("texts"), replacement.alias("replacement"), F.lit(kind.value).alias("kind"))


def _replacement(value: Column, data_type: DataType, decision: Decision, kind: IdentifierKind, tokens: TokenColumns) -> Column:
    match decision.rule:
        case Token(domain=domain, prefix=prefix):
            return tokens.token(Identifier(value=value, data_type=data_type, domain=domain, prefix=prefix)).cast("string")
        case FormatToken(domain=domain):
            return tokens.token(Identifier(value=value, data_type=data_type, domain=domain, keep_format=True)).cast("string")
        case _:
            return F.lit(f"[{kind.value}]")


def _ways(text: Column, kind: Column) -> Column:
    """A text in the ways that its kind is written: as it is, with other signs between, a name without the number behind it."""

    def way(written: Column, *, loose: bool) -> Column:
        return F.struct(F.trim(written).alias("text"), F.lit(loose).alias("loose"))

    without_number = F.when(kind == IdentifierKind.PERSON_NAME.value, F.regexp_replace(text, r"\d+$", ""))
    loosely = F.when(kind.isin([each.value for each in _NUMBERED]), text)
    return F.array(way(text, loose=False), way(loosely, loose=True), way(without_number, loose=False))


def _shortest(kind: Column, loose: Column) -> Column:
    """The fewest letters and digits that are looked for: running numbers of four digits stand in any text."""
    return F.when(kind == IdentifierKind.UNIQUE_CODE.value, 5).when(loose, 3).otherwise(2)


def _pattern(item: Column) -> Column:
    return F.when(item["loose"], _separated(item["text"])).otherwise(_spaced(item["text"]))


def _spaced(text: Column) -> Column:
    """The text with any white space or comma between its words, in any case."""
    words = F.filter(F.split(text, r"[\s,]+"), lambda word: word != "")
    return F.format_string(_NOT_WITHIN_WORD, F.concat_ws(r"[\s,]+", F.transform(words, _literal)))


def _separated(text: Column) -> Column:
    """The text's letters and digits with any separators between them."""
    signs = F.regexp_replace(text, _NO_SIGN, "")
    return F.format_string(_NOT_WITHIN_WORD, F.regexp_replace(signs, r"(.)(?!$)", r"$1[\\s().+/-]*"))


def _signs(text: Column) -> Column:
    """Letters and digits alone, in capitals: whatever stands between them, a text that holds another's is found by it.

    In capitals, since the small letter of a sigma depends on what follows it.
    """
    return F.upper(F.regexp_replace(text, _NO_SIGN, ""))


def _literal(word: Column) -> Column:
    return F.regexp_replace(word, r"([^\p{L}\p{N}])", r"\\$1")


def _literally(replacement: Column) -> Column:
    return F.regexp_replace(replacement, r"([\\$])", r"\\$1")
