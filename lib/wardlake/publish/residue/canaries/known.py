"""Canaries of known values: made-up values of a made-up source, and each written otherwise than the source writes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from wardlake.model.treatments import IdentifierKind
from wardlake.publish.residue.canaries.draw import put_in_sentence, seeded
from wardlake.publish.residue.canaries.numbers import digits, letters
from wardlake.publish.residue.canaries.texts import Source, open_source


@dataclass(frozen=True, slots=True)
class Planted:
    """A value as the source holds it, and a text of an output that gives it away."""

    value: str
    text: str


Maker = Callable[[Source], Planted]


def draw_known_canaries(run_id: str, *, per_kind: int) -> Mapping[IdentifierKind, Sequence[Planted]]:
    """`per_kind` values with a text each, of every kind that known values are searched for most."""
    drawn = {}
    for kind, maker in MAKERS.items():
        source = open_source(seeded(run_id, f"known/{kind.value}"))
        made = (maker(source) for _ in range(per_kind))
        drawn[kind] = [Planted(p.value, put_in_sentence(p.text, source.random)) for p in made]
    return drawn


def _name(source: Source) -> Planted:
    random, person = source.random, source.random.choice(source.people)
    first, last = person.first_name(), person.last_name()
    written = [
        f"{first} {last}",
        f"{last}, {first}",
        f"{first.upper()} {last.upper()}",
        f"{first}_{last}.pdf".lower(),
        f"Dr. {first} {last}-Smith",
        f"{first}.{last}@mail.example.com",
    ]
    return Planted(f"{first} {last}", random.choice(written))


def _street(source: Source) -> Planted:
    random = source.random
    number, street, unit = random.randint(100, 19999), source.places.street_name(), random.randint(1, 99)
    written = [
        f"{number} {street} St",
        f"{number} {street.upper()} STREET",
        f"{number}  {street} street, apartment {unit}",
        f"c/o {number} {street} St.; 3rd floor",
    ]
    return Planted(f"{number} {street} Street Apt {unit}", random.choice(written))


def _ssn(source: Source) -> Planted:
    random = source.random
    parts = digits(random, 3, first="12345"), digits(random, 2), digits(random, 4)
    return Planted("-".join(parts), random.choice(["-", " ", ".", "", " - ", "\u2010"]).join(parts))


def _phone(source: Source) -> Planted:
    random = source.random
    area, office, line = digits(random, 3, first="2345678"), digits(random, 3, first="2345678"), digits(random, 4)
    joint = random.choice(["-", " ", ".", "", "/"])
    prefix = random.choice(["", "+1 ", f"1{joint}"])
    return Planted(f"({area}) {office}-{line}", prefix + joint.join((area, office, line)))


def _code(source: Source) -> Planted:
    random = source.random
    head, body = letters(random, 2), digits(random, 7)
    written = [f"{head}{body}", f"{head.lower()}-{body}", f"{head} {body}", f"https://x.example/{head}{body}/scan.png"]
    return Planted(f"{head}-{body}", random.choice(written))


def _uuid(source: Source) -> Planted:
    random = source.random
    whole = "".join(random.choice("0123456789abcdef") for _ in range(32))
    dashed = "-".join((whole[:8], whole[8:12], whole[12:16], whole[16:20], whole[20:]))
    return Planted(dashed, random.choice([dashed, dashed.upper(), whole, f"urn:uuid:{dashed}", f"{dashed}.dcm"]))


def _email(source: Source) -> Planted:
    random, person = source.random, source.people[0]
    whole = f"{person.first_name()}{random.randint(1, 999)}@box{random.randint(1, 999)}.example.net".lower()
    return Planted(whole, random.choice([whole, whole.upper(), f"<{whole}>", f"mailto:{whole}"]))


MAKERS: Mapping[IdentifierKind, Maker] = {
    IdentifierKind.PERSON_NAME: _name,
    IdentifierKind.STREET_ADDRESS: _street,
    IdentifierKind.SSN: _ssn,
    IdentifierKind.PHONE: _phone,
    IdentifierKind.EMAIL: _email,
    IdentifierKind.MRN: _code,
    IdentifierKind.UNIQUE_CODE: _uuid,
}
