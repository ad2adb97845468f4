"""The reference lists that surrogates are taken from, and how they were drawn.

The lists are files under `conf/surrogates`, so that a surrogate never changes because a library did. They are drawn again
only on purpose, and get a new version then: `python -m wardlake.deidentify.rules.surrogate_lists conf/surrogates`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

VERSION = "en_US-1"
_SEED = 20260101
_KINDS_OF_ORGANISATION = (
    "Medical Center", "Family Practice", "Clinic", "Community Hospital", "Health Partners", "Physicians Group",
    "Primary Care", "Internal Medicine", "Urgent Care", "Health System", "Associates", "Specialty Care",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateLists:
    """One tuple a list, in the order of the files: a surrogate is a place in its list."""

    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    street_names: tuple[str, ...]
    cities: tuple[str, ...]
    counties: tuple[str, ...]
    organisations: tuple[str, ...]
    area_codes: tuple[str, ...]


def parse_list(text: str) -> tuple[str, ...]:
    """The entries of one file of a list: a line each; lines that start with `#` say where the list comes from."""
    return tuple(line for line in text.splitlines() if line and not line.startswith("#"))


def parse_lists(files: Mapping[str, str]) -> SurrogateLists:
    """The lists from the text of `NAME.txt` for each field; raises `KeyError` for one that is missing."""
    return SurrogateLists(**{field.name: parse_list(files[field.name]) for field in fields(SurrogateLists)})


def draw_lists(seed: int = _SEED) -> SurrogateLists:
    """Draw all lists from Faker's vocabulary (MIT) and the area codes of the `zipcodes` data (MIT); same seed, same lists."""
    import zipcodes
    from faker import Faker
    from faker.providers.person.en_US import Provider

    faker = Faker("en_US")
    faker.seed_instance(seed)
    last_names = sorted(Provider.last_names)
    kinds = _KINDS_OF_ORGANISATION
    return SurrogateLists(
        first_names=_shuffled(faker, {*Provider.first_names_female, *Provider.first_names_male}),
        last_names=_shuffled(faker, last_names),
        street_names=_distinct(faker.street_name, 5000),
        cities=_distinct(faker.city, 3000),
        counties=_shuffled(faker, [f"{name} County" for name in last_names]),
        organisations=_distinct(lambda: f"{faker.last_name()} {faker.random_element(kinds)}", 4000),
        area_codes=_area_codes(zipcodes.list_all()),  # type: ignore[no-untyped-call]
    )


def _area_codes(places: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    codes = {code for place in places for code in place["area_codes"]}
    return tuple(sorted(code for code in codes if re.fullmatch(r"[2-9]\d\d", code)))


def _shuffled(faker: Any, entries: Iterable[str]) -> tuple[str, ...]:
    ordered = sorted(entries)
    return tuple(faker.random_elements(ordered, length=len(ordered), unique=True))


def _distinct(draw: Callable[[], str], count: int) -> tuple[str, ...]:
    entries: dict[str, None] = {}
    while len(entries) < count:
        entries[draw()] = None
    return tuple(entries)


def write_lists(lists: SurrogateLists, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for field in fields(SurrogateLists):
        entries = getattr(lists, field.name)
        head = f"# {VERSION}: {field.name}, {len(entries)} entries, drawn with seed {_SEED} from Faker en_US (MIT)"
        source = " and zipcodes (MIT)" if field.name == "area_codes" else ""
        (folder / f"{field.name}.txt").write_text("\n".join([head + source, *entries]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_lists(draw_lists(), Path(sys.argv[1]))
