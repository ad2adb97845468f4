"""Which change files were told and kept, what was in them then, and how far each folder's changes went: lines that are added."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

_FEWEST_LINES = 1_000  # fewer are never written together


class Content(NamedTuple):
    """What a file held: its size and time, and a digest. Empty where nobody looked."""

    stamp: str = ""
    digest: str = ""

    def is_stamped(self, stamp: str) -> bool:
        return self.stamp in ("", stamp)


class Newest(NamedTuple):
    """The greatest position that a folder's files told, and the latest time, as ISO 8601 in UTC."""

    position: int
    at: str


class ToldFiles:
    """The files that are acknowledged, in memory and in a file that only grows until half of its lines are of no use."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._files: dict[str, Content] | None = None
        self._newest: dict[str, Newest] = {}
        self._lines = 0

    @property
    def files(self) -> Mapping[str, Content]:
        """What each held, by name."""
        return self._loaded()

    @property
    def newest(self) -> Mapping[str, Newest]:
        """By folder; it outlives the files."""
        self._loaded()
        return self._newest

    def add(self, files: Mapping[str, Content], newest: Mapping[str, Newest] | None = None) -> None:
        known, newest = self._loaded(), newest or {}
        with self._state.open("a", encoding="utf-8") as state:
            state.writelines(_line(name, content) for name, content in files.items())
            state.writelines(_line(folder, each) for folder, each in newest.items())
        known.update(files)
        self._newest.update(newest)
        self._lines += len(files) + len(newest)
        if self._lines > max(_FEWEST_LINES, 2 * (len(known) + len(self._newest))):
            self._write_together()

    def forget(self, names: Iterable[str]) -> None:
        """These are gone; their lines go when the file is next written together."""
        known = self._loaded()
        for name in list(names):
            del known[name]

    def _loaded(self) -> dict[str, Content]:
        if self._files is None:
            text = self._state.read_text("utf-8") if self._state.exists() else ""
            whole, _, cut_off = text.rpartition("\n")
            lines = whole.split("\n") if whole else []
            told = [_of(line) for line in lines]
            self._newest = {name: each for name, each in told if isinstance(each, Newest)}
            self._files = {name: each for name, each in told if isinstance(each, Content)}
            self._lines = len(lines)
            if cut_off:  # by an application that died at it: such a file is told again
                self._write_together()
        return self._files

    def _write_together(self) -> None:
        fresh = self._state.with_suffix(".new")
        everything: dict[str, Content | Newest] = {**self._loaded(), **self._newest}
        fresh.write_text("".join(_line(name, each) for name, each in everything.items()), "utf-8")
        fresh.replace(self._state)
        self._lines = len(everything)


def _line(name: str, told: Content | Newest) -> str:
    return json.dumps([name, *told]) + "\n"


def _of(line: str) -> tuple[str, Content | Newest]:
    """A line that is a name alone was written before contents were remembered."""
    if not line.startswith("["):
        return line, Content()
    name, first, second = json.loads(line)
    return name, Newest(first, second) if isinstance(first, int) else Content(first, second)
