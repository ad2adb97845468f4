"""The lists of names and of ordinary words that stand beside this file, and how they were drawn.

They are files, so that what is found never changes because a package did, and since reading them costs a worker some
milliseconds where the packages cost seconds. Drawn again only on purpose: `python -m wardlake.detect.name_lists`, with Faker and
english-words installed.
"""

from __future__ import annotations

import functools
import pkgutil
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path

_LONGEST_WORD = 14
_ENDINGS = ("s", "es", "ed", "ing", "ly", "d", "er")


def fold_name(token: str) -> str:
    """A name as the lists write it: lower case, letters only, without accents."""
    decomposed = unicodedata.normalize("NFKD", token)
    return "".join(c for c in decomposed if c.isalpha()).lower()


@functools.cache
def read_list(name: str) -> frozenset[str]:
    """One list, an entry a line."""
    return frozenset(files("wardlake.detect").joinpath(f"reference/{name}.txt").read_text(encoding="utf-8").splitlines())


@functools.cache
def census(name: str) -> frozenset[str]:
    """One of the US Census Bureau's lists of 1990, as the `names` package carries them."""
    text = files("names").joinpath(name).read_text(encoding="ascii")
    return frozenset(line.split()[0].lower() for line in text.splitlines() if line)


def is_word(folded: str) -> bool:
    """Whether English has this word, or one that it is a form of."""
    return any(form in read_list("words") for form in _forms(folded))


def _forms(folded: str) -> Iterator[str]:
    yield folded
    for ending in _ENDINGS:
        if folded.endswith(ending):
            yield folded.removesuffix(ending)
            yield f"{folded.removesuffix(ending)}e"
    if folded.endswith("ies"):
        yield f"{folded.removesuffix('ies')}y"


def draw_names(kind: str) -> set[str]:
    """Every `first_name` or `last_name` of Faker's vocabularies, folded."""
    import faker.providers.person as people

    found: set[str] = set()
    for locale in pkgutil.iter_modules(people.__path__):
        provider = import_module(f"{people.__name__}.{locale.name}").Provider
        for attribute in (name for name in vars(provider) if name.startswith(kind)):
            entries = getattr(provider, attribute)
            if isinstance(entries, Mapping | list | tuple):
                found |= {fold_name(entry) for entry in entries if isinstance(entry, str)}
    return {name for name in found if len(name) > 1}


def draw_words() -> set[str]:
    """The words of Webster's Second that are no proper names, folded; forms of another word are left out."""
    from english_words import get_english_words_set  # type: ignore[import-not-found]

    words = {fold_name(word) for word in get_english_words_set(["web2"]) if word[:1].islower() and len(word) <= _LONGEST_WORD}
    return {word for word in words if len(word) > 1 and not any(form in words for form in list(_forms(word))[1:])}


def write_lists(folder: Path) -> None:
    for name, entries in (("first_names", draw_names("first_name")), ("last_names", draw_names("last_name"))):
        _write(folder / f"{name}.txt", entries)
    _write(folder / "words.txt", draw_words())


def _write(path: Path, entries: Iterable[str]) -> None:
    path.write_text("\n".join(sorted(entries)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write_lists(Path(__file__).parent / "reference")
