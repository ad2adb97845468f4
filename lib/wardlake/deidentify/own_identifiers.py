"""A patient's own identifiers as the expressions that find them in text, in the ways people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DateType, StructType, TimestampNTZType, TimestampType

from wardlake.deidentify.token_columns import Identifier, token_columns
from wardlake.model.sources import TableSpec
from wardlake.model.treatments import Decision, IdentifierKind, Token
from wardlake.tokens.source import TokenSource

PATIENT, OWN = "__wardlake_patient", "__wardlake_own"
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
_SHORTEST = 2


def list_own_identifiers(
    people: DataFrame, *, table: TableSpec, decisions: Mapping[str, Decision], tokens: TokenSource
) -> DataFrame:
    """What to look for in each patient's texts.

    Input: the table of patients, one row each, with its decisions; those with a `kind` say what a column holds.
    Output: one row per patient: the key, and an array of `pattern` (a regular expression) and `replacement` (the token where
    the column has one, else `[kind]`). Restricted: it holds values; it is joined, never written.
    """
    columns = token_columns(tokens)
    found = [
        _expressions(people.schema, name, decision, columns.token)
        for name, decision in decisions.items()
        if decision.kind is not None and name in people.schema.names
    ]
    own = F.filter(F.concat(*found), lambda each: each["pattern"].isNotNull()) if found else F.array()
    key = F.col(f"`{table.patient}`").alias(PATIENT)
    # longer ones first: a street before the number in it, a full date before its year
    longest = F.array_sort(own, lambda a, b: F.length(b["pattern"]) - F.length(a["pattern"]))
    return columns.attach(people).select(key, longest.alias(OWN))


def join_own_identifiers(df: DataFrame, own: DataFrame, *, patient: str) -> DataFrame:
    """`df` with each row's patient's identifiers in a hidden column: same rows."""
    return df.join(own, F.col(f"`{patient}`") == F.col(PATIENT), "left").drop(PATIENT)


def _expressions(schema: StructType, name: str, decision: Decision, token) -> Column:  # type: ignore[no-untyped-def]
    value, data_type = F.col(f"`{name}`"), schema[name].dataType
    replacement = F.lit(f"[{decision.kind.value}]") if decision.kind else F.lit("[removed]")
    if isinstance(decision.rule, Token):
        rule = decision.rule
        named = Identifier(value=value, data_type=data_type, domain=rule.domain, prefix=rule.prefix)
        replacement = token(named).cast("string")
    if isinstance(data_type, DateType | TimestampType | TimestampNTZType):
        texts = [F.date_format(value, form) for form in _DATE_FORMS]
        return _pairs([_spaced(text) for text in texts], replacement)
    text = value.cast("string")
    if decision.kind in _NUMBERED:
        return _pairs([_separated(text), _spaced(text)], replacement)
    return _pairs([_spaced(text), _spaced(F.regexp_replace(text, r"\d+$", ""))], replacement)


def _pairs(patterns: Sequence[Column], replacement: Column) -> Column:
    return F.array_distinct(F.array(*[F.struct(each.alias("pattern"), replacement.alias("replacement")) for each in patterns]))


def _spaced(text: Column) -> Column:
    """The text with any white space or comma between its words, in any case."""
    words = F.filter(F.split(F.trim(text), r"[\s,]+"), lambda word: word != "")
    quoted = F.concat_ws(r"[\s,]+", F.transform(words, _quoted))
    return F.when(F.length(F.trim(text)) >= _SHORTEST, F.format_string(_NOT_WITHIN_WORD, quoted))


def _separated(text: Column) -> Column:
    """The text's letters and digits with any separators between them."""
    signs = F.regexp_replace(text, r"[^\p{L}\p{N}]", "")
    loose = F.regexp_replace(signs, r"(.)(?!$)", r"$1[\\s().+/-]*")
    return F.when(F.length(signs) > _SHORTEST, F.format_string(_NOT_WITHIN_WORD, loose))


def _quoted(word: Column) -> Column:
    return F.regexp_replace(word, r"([^\p{L}\p{N}])", r"\\$1")
