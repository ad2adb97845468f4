"""Checks that a match must pass besides its pattern: check digits, issuer ranges, lengths."""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable
from pathlib import Path

Check = Callable[[str], bool]

_NPI_LENGTH = 10
_SNOMED_SHORT = 11
_SNOMED_LENGTHS = range(6, 19)
_IBAN_LENGTHS = range(15, 35)
_PHONE_LENGTHS = range(7, 16)
_VIN_DIGITS = 4
_LABELLED_DIGITS = 3
# Units that stand behind a number in clinical text in capitals (UCUM's, as prescriptions and reports write them)
_UNITS = re.compile("MC?G|UG|K?G|M?L|DL|CC|MEQ|MMOL|IU|UNITS?|[MC]?M|MIN(?:UTE)?S?|HRS?|HOURS?|WEEKS?")
_ZIPS = Path(__file__).parent / "reference" / "zip_codes.txt"


def passes_luhn(text: str) -> bool:
    """The Luhn check digit of ISO/IEC 7812-1, annex B, over the digits of the text."""
    return _luhn(_digits(text))


def is_card(text: str) -> bool:
    """A payment card number: issuer range with a length that issuer uses, and Luhn."""
    number = _digits(text)
    issued = any(number.startswith(prefix) and len(number) in lengths for prefix, lengths in _ISSUERS)
    return issued and _luhn(number) and not is_snomed(number)


def is_npi(text: str) -> bool:
    """A National Provider Identifier: Luhn over 80840 and its ten digits; no SNOMED CT code."""
    number = _digits(text)
    return len(number) == _NPI_LENGTH and _luhn("80840" + number) and not is_snomed(number)


def is_labelled_npi(text: str) -> bool:
    """Luhn over 80840 and ten digits, where a label says that it is an NPI."""
    number = _digits(text)
    return len(number) == _NPI_LENGTH and _luhn("80840" + number)


def is_snomed(text: str) -> bool:
    """A SNOMED CT identifier: Verhoeff check digit and a partition in use (SNOMED CT release file specification 6.1).

    In the short format only metadata (9000000000...) is longer than 11 digits; in the long one the namespace stands before
    the partition, and those assigned begin with 1000.
    """
    if len(text) not in _SNOMED_LENGTHS or text[-3:-1] not in _PARTITIONS or text[0] == "0":
        return False
    long = text[-3] == "1"
    issued = text[-10:-3].startswith("1000") if long else len(text) <= _SNOMED_SHORT or text.startswith("9000000000")
    return issued and _verhoeff(text)


def is_iban(text: str) -> bool:
    """An account number whose remainder by 97 is 1 (ISO 13616)."""
    number = text.replace(" ", "").upper()
    if len(number) not in _IBAN_LENGTHS or not number.isalnum() or not number.isascii():
        return False
    return int("".join(str(int(c, 36)) for c in number[4:] + number[:4])) % 97 == 1


def is_vin(text: str) -> bool:
    """A vehicle identification number with the check digit of 49 CFR 565.15; at least one letter and four digits."""
    if len(_digits(text)) < _VIN_DIGITS or text.isdigit():
        return False
    total = sum(_VIN_VALUES[c] * weight for c, weight in zip(text, _VIN_WEIGHTS, strict=True))
    return "0123456789X"[total % 11] == text[8]


def is_ipv6(text: str) -> bool:
    """An IPv6 address, with at least three groups written, as the standard library reads it."""
    candidate = text.rstrip(".:") if not text.endswith("::") else text
    try:
        ipaddress.IPv6Address(candidate)
    except ValueError:
        return False
    return len(candidate) > len("::ff") or candidate == "::1"


def is_phone_length(text: str) -> bool:
    """As many digits as a telephone number has: 7 to 15 (ITU E.164), and no date."""
    number = _digits(text)
    return len(number) in _PHONE_LENGTHS and not _is_day_month_year(number)


def is_instance_uid(text: str) -> bool:
    """A DICOM identifier of an instance: not under DICOM's own root, which names classes (PS3.6)."""
    return not text.startswith("1.2.840.10008.")


def has_digits(text: str) -> bool:
    """At least three digits: an identifier behind a label, not the next word."""
    return len(_digits(text)) >= _LABELLED_DIGITS


def is_zip(text: str) -> bool:
    """A ZIP code in use, alone or followed by four more digits that do not make it a SNOMED CT identifier."""
    return text[:5] in _zips() and not is_snomed(text)


def no_dose(text: str) -> bool:
    """A number with words behind it, the first of them no unit: a house in a street, not a dose or a time."""
    return not _UNITS.fullmatch(text.split()[1])


def _not_snomed(text: str) -> bool:
    return not is_snomed(_digits(text))


CHECKS: dict[str, Check] = {
    "luhn": passes_luhn,
    "card": is_card,
    "npi": is_npi,
    "npi_labelled": is_labelled_npi,
    "iban": is_iban,
    "vin": is_vin,
    "ipv6": is_ipv6,
    "phone_length": is_phone_length,
    "instance_uid": is_instance_uid,
    "has_digits": has_digits,
    "no_dose": no_dose,
    "zip": is_zip,
    "not_snomed": _not_snomed,
}

# Issuer identification numbers and lengths, from the issuers' published ranges
_ISSUERS: tuple[tuple[str, tuple[int, ...]], ...] = (
    ("4", (13, 16, 19)),
    *((str(prefix), (16,)) for prefix in range(51, 56)),
    *((str(prefix), (16,)) for prefix in range(22, 28)),
    ("34", (15,)),
    ("37", (15,)),
    *((str(prefix), (14, 16)) for prefix in (300, 301, 302, 303, 304, 305, 36, 38, 39)),
    ("6011", (16, 19)),
    *((str(prefix), (16, 19)) for prefix in (62, 644, 645, 646, 647, 648, 649, 65)),
    *((str(prefix), (16,)) for prefix in range(3528, 3590)),
    ("1800", (15,)),
    ("2131", (15,)),
    *((prefix, (12, 13, 14, 15, 16, 18, 19)) for prefix in ("5018", "5020", "5038", "5893", "6304", "6759", "676")),
)
_PARTITIONS = frozenset({"00", "01", "02", "03", "04", "05", "10", "11", "12", "13", "14", "15"})
_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
_VIN_VALUES = {
    **{str(d): d for d in range(10)},
    **dict(zip("ABCDEFGH", range(1, 9), strict=True)),
    **dict(zip("JKLMN", range(1, 6), strict=True)),
    **{"P": 7, "R": 9},
    **dict(zip("STUVWXYZ", range(2, 10), strict=True)),
}
# Verhoeff, Error Detecting Decimal Codes, 1969: multiplication in the dihedral group D5, and the permutation by position
_D5 = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)
_BY_POSITION = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 5, 7, 6, 2, 8, 3, 0, 9, 4),
    (5, 8, 0, 3, 7, 9, 6, 1, 4, 2),
    (8, 9, 1, 6, 0, 4, 3, 5, 2, 7),
    (9, 4, 5, 3, 1, 2, 6, 8, 7, 0),
    (4, 2, 8, 6, 5, 7, 3, 9, 0, 1),
    (2, 7, 9, 3, 8, 0, 6, 4, 1, 5),
    (7, 0, 4, 6, 9, 1, 3, 2, 5, 8),
)


def _is_day_month_year(number: str) -> bool:
    return len(number) == len("31122020") and number[4:6] in ("19", "20")


def _digits(text: str) -> str:
    return "".join(c for c in text if "0" <= c <= "9")


def _luhn(number: str) -> bool:
    total = sum(_DOUBLED[int(d)] if odd % 2 else int(d) for odd, d in enumerate(reversed(number)))
    return bool(number) and total % 10 == 0


def _verhoeff(number: str) -> bool:
    state = 0
    for position, digit in enumerate(reversed(number)):
        state = _D5[state][_BY_POSITION[position % 8][int(digit)]]
    return state == 0


@functools.cache
def _zips() -> frozenset[str]:
    return frozenset(_ZIPS.read_text(encoding="ascii").split())
