"""Every rule by its name, as a column expression. What is not listed here cannot be applied."""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType, StringType

from wardlake.deidentify.rules.ages import cap_age
from wardlake.deidentify.rules.coarser import bucket_number, generalise_value
from wardlake.deidentify.rules.dates import cut_to_year, shift_date
from wardlake.deidentify.rules.embedded import replace_embedded
from wardlake.deidentify.rules.fixed import put_constant, put_null, replace_password
from wardlake.deidentify.rules.free_text import clean_text
from wardlake.deidentify.rules.geography import cut_zip
from wardlake.deidentify.rules.row_context import RowContext
from wardlake.deidentify.rules.surrogates import put_surrogate
from wardlake.deidentify.token_columns.requests import Identifier
from wardlake.model.treatments import (
    Age,
    Bucket,
    Constant,
    DateShift,
    DateYear,
    Drop,
    EmbeddedTokens,
    FormatToken,
    FreeText,
    Generalise,
    Null,
    Password,
    Rule,
    Surrogate,
    Token,
    Zip3,
)


def apply_rule(
    rule: Rule, value: Column, data_type: DataType, row: RowContext, *, path: str = "", elements: bool = False
) -> Column | None:
    """The expression that a rule puts in the place of `value`; None where the rule leaves no column.

    `path`: where in the row the value lies. `elements`: the value is one of several of its row (in an array, map or JSON array).
    Raises `ConfigurationError` where the rule does not work on the type.
    """
    match rule:
        case Token() | FormatToken() | EmbeddedTokens():
            return _tokens(rule, value, data_type, row, path=path, elements=elements)
        case DateShift() | DateYear() | Age():
            return _times(rule, value, data_type, row)
        case Zip3():
            return cut_zip(value, data_type, allowed=row.references.zip3_allowed)
        case Generalise():
            return _generalised(rule, value, data_type, row)
        case Bucket():
            return bucket_number(value, data_type, width=rule.width, edges=rule.edges)
        case Surrogate():
            digest = row.owner_digest(rule, value, data_type, elements=elements)
            return put_surrogate(value, data_type, kind=rule.kind, digest=digest, lists=row.references.surrogates)
        case FreeText():
            return _free_text(rule, value, data_type, row, elements=elements)
        case Password() | Constant() | Null() | Drop():
            return _without_value(rule, value, data_type, row)
    raise ValueError(f"no rule {rule}")


def _tokens(
    rule: Token | FormatToken | EmbeddedTokens, value: Column, data_type: DataType, row: RowContext, *, path: str, elements: bool
) -> Column:
    def token(identifier: Column, of_type: DataType, prefix: str, *, keep_format: bool = False, column: str = "") -> Column:
        return row.tokens.token(
            Identifier(
                value=identifier,
                data_type=of_type,
                domain=rule.domain,
                prefix=prefix,
                keep_format=keep_format,
                elements=elements,
                column=column,
            )
        )

    match rule:
        case Token():
            return token(value, data_type, rule.prefix, column=path)
        case FormatToken():
            return token(value, data_type, "", keep_format=True, column=path)
        case EmbeddedTokens():
            return replace_embedded(
                value,
                data_type,
                pattern=rule.pattern,
                token=lambda identifier: token(identifier, StringType(), rule.prefix),
                keep_rest=rule.rest == "keep",
            )
    raise ValueError(f"no rule {rule}")


def _generalised(rule: Generalise, value: Column, data_type: DataType, row: RowContext) -> Column:
    coarser = generalise_value(value, data_type, to=rule.to, other=rule.other, keep_numbers=rule.numbers == "keep")
    if not rule.withhold_if:
        return coarser
    withheld = generalise_value(value, data_type, to={}, other=rule.other)
    return F.when(row.is_withheld(rule), withheld).otherwise(coarser)


def _times(rule: DateShift | DateYear | Age, value: Column, data_type: DataType, row: RowContext) -> Column:
    match rule:
        case DateShift():
            return shift_date(value, data_type, offset=row.date_offset(rule), days=rule.days, sentinels=rule.sentinels)
        case DateYear():
            return cut_to_year(value, data_type, as_of=row.as_of)
        case Age():
            return cap_age(value, data_type)
    raise ValueError(f"no rule {rule}")


def _free_text(rule: FreeText, value: Column, data_type: DataType, row: RowContext, *, elements: bool) -> Column:
    if not rule.release:
        return put_null(data_type)
    return clean_text(value, data_type, own=row.own_identifiers, vocabulary=row.references.text_vocabulary, elements=elements)


def _without_value(rule: Password | Constant | Null | Drop, value: Column, data_type: DataType, row: RowContext) -> Column | None:
    match rule:
        case Password():
            return replace_password(value, data_type, password_hash=row.references.password_hash)
        case Constant():
            return put_constant(data_type, value=rule.value)
        case Null():
            return put_null(data_type)
        case Drop():
            return None
    raise ValueError(f"no rule {rule}")
