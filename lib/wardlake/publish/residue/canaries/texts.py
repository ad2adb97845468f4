"""Canaries of words: names in many languages, addresses, dates, e-mails, web and network addresses, from mimesis' own lists."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from mimesis import Address, Internet, Person
from mimesis.locales import Locale

from wardlake.model.treatments import IdentifierKind

NAME_LOCALES = (
    Locale.EN,
    Locale.EN,
    Locale.EN,
    Locale.EN_GB,
    Locale.ES_MX,
    Locale.ES,
    Locale.FR,
    Locale.DE,
    Locale.IT,
    Locale.PT_BR,
    Locale.PL,
    Locale.NL,
)
_FIRST_DAY = date(1925, 1, 1)
_DAYS = 36_500
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_STATES = ("DE", "MD", "PA", "NJ", "VA", "OH", "TX", "CA", "WA", "FL")
# As envelopes have them (USPS Publication 28, sections 213 and 233)
_SHORT_SUFFIXES = ("St", "Ave", "Blvd", "Cir", "Ct", "Dr", "Hts", "Ln", "Mnr", "Pkwy", "Pl", "Rd", "Sq", "Ter", "Trl", "Xing")
_UNITS = ("Unit", "Bldg", "Fl", "Rm", "Lot", "Apt")
_DIRECTIONS = ("N", "South", "E", "West", "NE", "SW")


@dataclass(frozen=True, slots=True)
class Source:
    """Where words are drawn from: one seeded generator and mimesis' providers on the same seed."""

    random: Random
    people: tuple[Person, ...]
    places: Address
    net: Internet


Maker = Callable[[Source], str]


def open_source(seed: int) -> Source:
    """Seeded: the same seed draws the same words."""
    people = tuple(Person(locale, seed=seed + at) for at, locale in enumerate(NAME_LOCALES))
    return Source(Random(seed), people, Address(Locale.EN, seed=seed), Internet(seed=seed))  # noqa: S311 -- test data


def person_name(source: Source) -> str:
    person = source.random.choice(source.people)
    first, last = person.first_name(), person.last_name()
    styles = [
        f"{first} {last}",
        f"{first} {last}",
        f"{first} {last}",
        f"{last}, {first}",
        f"{first.upper()} {last.upper()}",
        f"Mrs. {first} {last}",
        f"Dr. {first} {last}",
        f"{first} {chr(source.random.randint(65, 90))}. {last}",
    ]
    return source.random.choice(styles)


def street_address(source: Source) -> str:
    random = source.random
    name, number = source.places.street_name(), random.randint(1, 19999)
    street = f"{number} {name} {source.places.street_suffix()}"
    short = f"{number} {name} {random.choice(_SHORT_SUFFIXES)}"
    town = f"{source.places.city()}, {random.choice(_STATES)} {random.randint(501, 99950):05}"
    styles = [
        street,
        street.upper(),
        f"{street}, Apt {random.randint(1, 99)}",
        f"{street} Suite {random.randint(100, 990)}",
        f"{street}, {town}",
        f"{street} #{random.randint(1, 99)}",
        short,
        f"{short.upper()} {random.choice(_UNITS)} {random.randint(1, 99)}",
        f"{short}., {random.choice(_UNITS)} {random.randint(1, 99)}",
        f"{number} {random.choice(_DIRECTIONS)} {street.partition(' ')[2]}",
        f"RR {random.randint(1, 9)} Box {random.randint(1, 400)}, {town}",
        f"PO Box {random.randint(10, 9999)}, {town}",
        f"P.O. Box {random.randint(10, 9999)}",
    ]
    return random.choice(styles)


def zip_code(source: Source) -> str:
    random = source.random
    code = f"{random.randint(501, 99950):05}"
    state = random.choice(_STATES)
    return random.choice(
        [
            f"{source.places.city()}, {state} {code}",
            f"ZIP {code}",
            f"zip code: {code}",
            f"{state} {code}-{random.randint(1, 9999):04}",
        ]
    )


def calendar_date(source: Source) -> str:
    random = source.random
    day = _FIRST_DAY + timedelta(days=random.randrange(_DAYS))
    month = _MONTHS[day.month - 1]
    styles = [
        day.isoformat(),
        f"{day:%m/%d/%Y}",
        f"{day.month}/{day.day}/{day.year}",
        f"{day:%m/%d/%y}",
        f"{day:%d.%m.%Y}",
        f"{day:%d-%m-%Y}",
        f"{day:%Y/%m/%d}",
        f"{month} {day.day}, {day.year}",
        f"{month[:3]} {day.day}, {day.year}",
        f"{day.day} {month} {day.year}",
        f"{day:%d}-{month[:3]}-{day.year}",
        f"{day:%d}{month[:3].upper()}{day.year}",
        f"{day.isoformat()}T{random.randint(0, 23):02}:{random.randint(0, 59):02}:{random.randint(0, 59):02}Z",
        f"{day.isoformat()} {random.randint(0, 23):02}:{random.randint(0, 59):02}",
        f"the {day.day}{_ordinal(day.day)} of {month} {day.year}",
        f"DOB {day:%Y%m%d}",
    ]
    return random.choice(styles)


def _ordinal(day: int) -> str:
    return {1: "st", 2: "nd", 3: "rd", 21: "st", 22: "nd", 23: "rd", 31: "st"}.get(day, "th")


def _host_name(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum())


def email(source: Source) -> str:
    random = source.random
    person = source.people[0]
    local = (
        f"{person.first_name()}{random.choice(['.', '_', '-', ''])}{person.last_name()}".lower().replace(" ", "").replace("'", "")
    )
    domain = random.choice(
        ["hospital.example.org", "mail.example.com", "example.co.uk", "clinic-north.net", "web.de", "post.example"]
    )
    whole = f"{local}{random.choice(['', '', str(random.randint(1, 99)), '+news'])}@{domain}"
    return random.choice([whole, whole.upper(), f"<{whole}>", f"mailto:{whole}", f"{whole},", f"e-mail:{whole}"])


def ip_address(source: Source) -> str:
    net, random = source.net, source.random
    styles = [
        str(net.ip_v4()),
        str(net.ip_v4()),
        f"{net.ip_v4()}:{random.randint(1024, 65000)}",
        str(net.ip_v6()),
        f"[{net.ip_v6()}]",
        f"fe80::{random.randrange(16**4):x}:{random.randrange(16**4):x}:{random.randrange(16**4):x}",
        f"2001:db8::{random.randrange(1, 16**4):x}",
    ]
    return random.choice(styles)


def url(source: Source) -> str:
    random = source.random
    host = f"{_host_name(source.people[0].last_name())}.example.{random.choice(['com', 'org', 'net'])}"
    page = f"{random.choice(['chart', 'p', 'photo', 'user'])}/{random.randint(1, 10**6)}"
    styles = [
        f"https://{host}",
        f"https://{host}/{page}",
        f"http://www.{host}/{page}?id={random.randint(1, 999)}",
        f"www.{host}/{page}",
        f"ftp://files.{host}/{page}.pdf",
        f"HTTPS://{host.upper()}/{page}",
        f"http://{host}:8080/{page}#top",
    ]
    return random.choice(styles)


WORDS: Mapping[IdentifierKind, Maker] = {
    IdentifierKind.PERSON_NAME: person_name,
    IdentifierKind.STREET_ADDRESS: street_address,
    IdentifierKind.ZIP: zip_code,
    IdentifierKind.DATE: calendar_date,
    IdentifierKind.EMAIL: email,
    IdentifierKind.IP_ADDRESS: ip_address,
    IdentifierKind.URL: url,
}
