"""Surrogates: realistic stand-ins taken from reference lists by a keyed digest of whom they belong to.

One digest per person or body serves all their surrogates: each kind reads digits of its own, so first and last name are
independent draws, and a full name is made of the very first and last name that the person has elsewhere.
"""

from __future__ import annotations

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import DataType

from wardlake.deidentify.column_types import is_text, is_whole, unsuitable
from wardlake.deidentify.rules.surrogate_lists import SurrogateLists
from wardlake.model.treatments import SurrogateKind

_DIGITS = 5  # hexadecimal: 20 bits, at least two hundred draws for each entry of the longest list
_FIRST, _MIDDLE, _LAST, _STREET, _HOUSE, _CITY, _COUNTY, _AREA, _LINE, _BODY, _MAILBOX, _TITLE = range(12)
_PREFIXES = ("Mr.", "Ms.", "Mrs.", "Dr.")
_SUFFIXES = ("Jr.", "Sr.", "II", "III")


def put_surrogate(value: Column, data_type: DataType, *, kind: SurrogateKind, digest: Column, lists: SurrogateLists) -> Column:
    """The stand-in of `kind` that the digest of its owner (64 hexadecimal digits) points to.

    Input: text; phone numbers may be bigint. Output: the same type; null stays null and empty text empty, and where the owner
    is unknown (null digest) the result is null.
    Guarantee: the same digest gives the same stand-in everywhere. Phones are of the fictitious range 555-0100 to
    555-0199, e-mail addresses of the reserved domain example.org (RFC 2606).
    """
    if is_whole(data_type) and kind is SurrogateKind.PHONE:
        return F.when(value.isNotNull(), _phone_digits(digest, lists)).try_cast(data_type)
    if not is_text(data_type):
        raise unsuitable("surrogate", data_type)
    return F.when(value == "", value).when(value.isNotNull(), _stand_in(value, kind, digest, lists))


def _stand_in(value: Column, kind: SurrogateKind, digest: Column, lists: SurrogateLists) -> Column:
    match kind:
        case SurrogateKind.FULL_NAME:
            return F.concat_ws(" ", _entry(lists.first_names, digest, _FIRST), _entry(lists.last_names, digest, _LAST))
        case SurrogateKind.STREET:
            number = (_draw(digest, _HOUSE, 9899) + 101).cast("string")
            return F.concat_ws(" ", number, _entry(lists.street_names, digest, _STREET))
        case SurrogateKind.PHONE:
            return _phone(value, digest, lists)
        case SurrogateKind.EMAIL:
            return _email(digest, lists)
        case _:
            return _entry(*_listed(kind, lists, digest))


def _listed(kind: SurrogateKind, lists: SurrogateLists, digest: Column) -> tuple[tuple[str, ...], Column, int]:
    """The kinds that are an entry of a list, each with its digits of the digest."""
    entries, slot = {
        SurrogateKind.FIRST_NAME: (lists.first_names, _FIRST),
        SurrogateKind.MIDDLE_NAME: (lists.first_names, _MIDDLE),
        SurrogateKind.LAST_NAME: (lists.last_names, _LAST),
        SurrogateKind.NAME_PREFIX: (_PREFIXES, _TITLE),
        SurrogateKind.NAME_SUFFIX: (_SUFFIXES, _TITLE),
        SurrogateKind.CITY: (lists.cities, _CITY),
        SurrogateKind.COUNTY: (lists.counties, _COUNTY),
        SurrogateKind.ORGANISATION: (lists.organisations, _BODY),
    }[kind]
    return entries, digest, slot


def _phone(value: Column, digest: Column, lists: SurrogateLists) -> Column:
    plain = _phone_digits(digest, lists)
    dashed = F.regexp_replace(plain, r"^(\d{3})(\d{3})(\d{4})$", "$1-$2-$3")
    return F.when(value.rlike(r"^\d{10}$"), plain).otherwise(dashed)


def _phone_digits(digest: Column, lists: SurrogateLists) -> Column:
    line = F.lpad(_draw(digest, _LINE, 100).cast("string"), 2, "0")
    return F.concat(_entry(lists.area_codes, digest, _AREA), F.lit("55501"), line)


def _email(digest: Column, lists: SurrogateLists) -> Column:
    first, last = _entry(lists.first_names, digest, _FIRST), _entry(lists.last_names, digest, _LAST)
    mailbox = F.concat(first, F.lit("."), last, _draw(digest, _MAILBOX, 1000).cast("string"))
    return F.concat(F.lower(mailbox), F.lit("@example.org"))


def _entry(entries: tuple[str, ...], digest: Column, slot: int) -> Column:
    """The list is one text literal that the optimiser splits once, so the plan carries a constant and no join."""
    listed = F.split(F.lit("\n".join(entries)), "\n", -1)
    return F.get(listed, _draw(digest, slot, len(entries)))


def _draw(digest: Column, slot: int, size: int) -> Column:
    """A number from 0 to `size` - 1 out of this slot's digits; null where the digest is null."""
    digits = F.substring(digest, 1 + slot * _DIGITS, _DIGITS)
    return (F.conv(digits, 16, 10).cast("int") % F.lit(size)).cast("int")
