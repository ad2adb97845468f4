"""Canaries of numbers: each function writes one made-up identifier the way people do, never twice the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from string import ascii_uppercase

from wardlake.model.treatments import IdentifierKind

Maker = Callable[[Random], str]

_NPI_PREFIX = "80840"  # CMS: the check digit of an NPI is computed with this prefix of health-care card issuers
_VIN_WEIGHTS = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)  # 49 CFR 565.15(c)
_VIN_VALUES = dict(
    zip("ABCDEFGHJKLMNPRSTUVWXYZ", (1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 7, 9, 2, 3, 4, 5, 6, 7, 8, 9), strict=True)
)
_VIN_CHECK_AT = 8

_MEDICARE_FORM = "CAENAENAANN"
_MEDICARE = {  # no S, L, O, I, B, Z, which read like digits
    "C": "123456789",
    "N": "0123456789",
    "A": "ACDEFGHJKMNPQRTUVWXY",
    "E": "0123456789ACDEFGHJKMNPQRTUVWXY",
}


def digits(random: Random, count: int, *, first: str = "123456789") -> str:
    """`count` digits, the first of them one of `first`."""
    return random.choice(first) + "".join(random.choice("0123456789") for _ in range(count - 1))


def letters(random: Random, count: int) -> str:
    return "".join(random.choice(ascii_uppercase) for _ in range(count))


def luhn_digit(payload: str) -> str:
    """The check digit of ISO/IEC 7812-1, annex B."""
    total = 0
    for place, digit in enumerate(reversed(payload)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled - 9 if doubled > 9 else doubled  # noqa: PLR2004 -- the sum of a number's two digits
    return str(-total % 10)


def ssn(random: Random) -> str:
    area = random.choice([random.randint(1, 665), random.randint(667, 899)])
    parts = (f"{area:03}", f"{random.randint(1, 99):02}", f"{random.randint(1, 9999):04}")
    joint = random.choice(["-", "-", "-", " ", "\u2013", ""])
    if joint:
        return random.choice(["{}", "SSN {}", "ssn: {}", "Social Security {}"]).format(joint.join(parts))
    return random.choice(["SSN {}", "SSN: {}", "SSN#{}", "social security number {}", "Soc. Sec. No. {}"]).format("".join(parts))


def phone(random: Random) -> str:
    area, office, line = (
        digits(random, 3, first="23456789"),
        digits(random, 3, first="23456789"),
        digits(random, 4, first="0123456789"),
    )
    styles = [
        f"({area}) {office}-{line}",
        f"{area}-{office}-{line}",
        f"{area}.{office}.{line}",
        f"{area} {office} {line}",
        f"+1 {area} {office} {line}",
        f"+1-{area}-{office}-{line}",
        f"1-{area}-{office}-{line}",
        f"({area}){office}-{line}",
        f"+1{area}{office}{line}",
        f"phone {area}{office}{line}",
        f"Tel. {area}{office}{line}",
        f"{area}-{office}-{line} x{random.randint(10, 9999)}",
        f"{area}-{office}-{line} ext. {random.randint(10, 9999)}",
        f"+44 20 {digits(random, 4)} {digits(random, 4)}",
        f"+49 30 {digits(random, 7)}",
        f"fax: {area}-{office}-{line}",
    ]
    return random.choice(styles)


def credit_card(random: Random) -> str:
    if random.random() < 0.15:  # noqa: PLR2004 -- a share of American Express
        body = random.choice(["34", "37"]) + digits(random, 12, first="0123456789")
        groups: tuple[int, ...] = (4, 6, 5)
    else:
        body = random.choice(["4", "51", "52", "53", "54", "55", "6011"])
        body += digits(random, 15 - len(body), first="0123456789")
        groups = (4, 4, 4, 4)
    number = body + luhn_digit(body)
    joint, start, parts = random.choice(["", " ", "-"]), 0, []
    for length in groups:
        parts.append(number[start : start + length])
        start += length
    return joint.join(parts)


def npi(random: Random) -> str:
    body = digits(random, 9, first="12")
    number = body + luhn_digit(_NPI_PREFIX + body)
    return random.choice(["NPI {}", "NPI: {}", "NPI# {}", "npi {}", "National Provider Identifier {}", "NPI number {}"]).format(
        number
    )


def mrn(random: Random) -> str:
    number = random.choice(
        [
            digits(random, random.randint(6, 9), first="0123456789"),
            f"{letters(random, 1)}{digits(random, 7)}",
            f"{digits(random, 3)}-{digits(random, 2)}-{digits(random, 3)}",
        ]
    )
    styles = [
        "MRN {}",
        "MRN: {}",
        "MRN#{}",
        "mrn {}",
        "Medical record number {}",
        "medical record no. {}",
        "Med. Rec. # {}",
        "chart number {}",
    ]
    return random.choice(styles).format(number)


def device(random: Random) -> str:
    gtin = "0" + digits(random, 12)
    gtin += str(-sum(int(d) * (3 if at % 2 == 0 else 1) for at, d in enumerate(gtin)) % 10)
    date = f"{random.randint(15, 35):02}{random.randint(1, 12):02}{random.randint(1, 28):02}"
    udi = f"(01){gtin}(11){date}(17){date}(10){digits(random, 5)}(21){digits(random, 12)}"
    serial = f"{letters(random, 2)}{digits(random, 7)}"
    styles = [
        udi,
        f"(01){gtin}(17){date}(21){serial}",
        f"UDI (01){gtin} (21){serial}",
        f"serial number {serial}",
        f"Serial No: {serial}",
        f"S/N {serial}",
        f"serial no. {digits(random, 10)}",
        f"device id {serial}-{digits(random, 3)}",
        f"IMEI {_imei(random)}",
    ]
    return random.choice(styles)


def _imei(random: Random) -> str:
    body = "35" + digits(random, 12)
    return body + luhn_digit(body)


def licence_plate(random: Random) -> str:
    if random.random() < 0.3:  # noqa: PLR2004 -- a share of vehicle identification numbers
        return random.choice(["VIN {}", "VIN: {}", "vehicle identification number {}"]).format(_vin(random))
    plate = random.choice(
        [
            f"{letters(random, 3)}-{digits(random, 4)}",
            f"{digits(random, 1)}{letters(random, 3)}{digits(random, 3)}",
            f"{letters(random, 3)} {digits(random, 3)}",
            f"{letters(random, 2)}{digits(random, 2)} {letters(random, 3)}",
        ]
    )
    return random.choice(
        ["license plate {}", "licence plate: {}", "License plate no. {}", "plate number {}", "plate # {}", "number plate {}"]
    ).format(plate)


def _vin(random: Random) -> str:
    alphabet = [*_VIN_VALUES, *"0123456789"]
    body = [random.choice(alphabet) for _ in range(17)]
    body[_VIN_CHECK_AT] = "0"
    body[-5:] = digits(random, 5)  # 49 CFR 565.15(d): the production sequence
    total = sum(_VIN_VALUES.get(c, int(c) if c.isdigit() else 0) * w for c, w in zip(body, _VIN_WEIGHTS, strict=True))
    body[_VIN_CHECK_AT] = "0123456789X"[total % 11]
    return "".join(body)


def account(random: Random) -> str:
    return random.choice([_bank_account, _iban, _member, _member, medicare_number])(random)


def _bank_account(random: Random) -> str:
    number = random.choice(
        [digits(random, random.randint(8, 12)), f"{digits(random, 4)}-{digits(random, 4)}-{digits(random, 2)}"]
    )
    return random.choice(
        ["account number {}", "Account no. {}", "acct # {}", "acct: {}", "Account: {}", "bank account {}"]
    ).format(number)


def _member(random: Random) -> str:
    """A member of a health plan, as cards and referrals write it."""
    number = random.choice(
        [
            f"{letters(random, 3)}{digits(random, 9)}",
            f"{letters(random, 1)}{digits(random, 8)}",
            f"{letters(random, 2)}{digits(random, 5)}{letters(random, 1)}",
            f"{letters(random, 2)}-{digits(random, 7)}",
            f"{digits(random, 9)}-{random.randint(1, 9):02}",
            digits(random, random.randint(8, 12)),
        ]
    )
    styles = [
        "Member ID {}",
        "member id: {}",
        "Mbr ID: {}",
        "Subscriber ID {}",
        "subscriber no. {}",
        "Medicaid ID {}",
        "insurance ID {}",
        "health plan number {}",
        "policy number {}",
        "Beneficiary # {}",
    ]
    return random.choice(styles).format(number)


def medicare_number(random: Random) -> str:
    """A Medicare Beneficiary Identifier: by place a digit, a letter or either (CMS, Understanding the MBI, 2018)."""
    drawn = "".join(random.choice(_MEDICARE[form]) for form in _MEDICARE_FORM)
    parts = drawn[:4], drawn[4:7], drawn[7:]
    written = random.choice([drawn, "-".join(parts), " ".join(parts), drawn.lower()])
    return random.choice(["{}", "{}", "MBI {}", "MBI: {}", "Medicare number {}", "Medicare no. {}"]).format(written)


def _iban(random: Random) -> str:
    bank = digits(random, 18, first="0123456789")
    check = 98 - int(f"{bank}131400") % 97  # ISO 13616: DE is 13 14
    whole = f"DE{check:02}{bank}"
    return random.choice([whole, " ".join(whole[at : at + 4] for at in range(0, len(whole), 4))])


def driving_licence(random: Random) -> str:
    number = random.choice(
        [
            f"{letters(random, 1)}{digits(random, 7)}",
            f"{letters(random, 1)}{digits(random, 3)}-{digits(random, 4)}-{digits(random, 4)}",
            digits(random, 9),
        ]
    )
    styles = [
        "driver's license {}",
        "Driver license no. {}",
        "driving licence {}",
        "driver's licence number {}",
        "DL# {}",
        "DL: {}",
    ]
    return random.choice(styles).format(number)


def passport(random: Random) -> str:
    number = random.choice([f"{letters(random, 1)}{digits(random, 8)}", digits(random, 9), f"X{digits(random, 7)}X"])
    return random.choice(["passport {}", "Passport No. {}", "passport number: {}", "Passport # {}", "PASSPORT {}"]).format(number)


def coordinate(random: Random) -> str:
    lat, lon = random.uniform(25, 49), random.uniform(67, 124)
    return random.choice(
        [
            f"{lat:.5f}, -{lon:.5f}",
            f"{lat:.6f},-{lon:.6f}",
            f"{lat:.4f}\u00b0 N, {lon:.4f}\u00b0 W",
            f"lat {lat:.5f} lon -{lon:.5f}",
        ]
    )


NUMBERS: Mapping[IdentifierKind, Maker] = {
    IdentifierKind.SSN: ssn,
    IdentifierKind.PHONE: phone,
    IdentifierKind.CREDIT_CARD: credit_card,
    IdentifierKind.NPI: npi,
    IdentifierKind.MRN: mrn,
    IdentifierKind.DEVICE: device,
    IdentifierKind.LICENCE_PLATE: licence_plate,
    IdentifierKind.ACCOUNT: account,
    IdentifierKind.DRIVING_LICENCE: driving_licence,
    IdentifierKind.PASSPORT: passport,
    IdentifierKind.COORDINATE: coordinate,
}
