"""Which change files were told and kept, and what was in them then: a line a file, so that one more writes that alone."""

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


class ToldFiles:
    """The files that are acknowledged, in memory and in a file that only grows until half of its lines are of no use."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._files: dict[str, Content] | None = None
        self._lines = 0

    @property
    def files(self) -> Mapping[str, Content]:
        """What each held, by name."""
        return self._loaded()

    def add(self, files: Mapping[str, Content]) -> None:
        known = self._loaded()
        with self._state.open("a", encoding="utf-8") as state:
            state.writelines(_line(name, content) for name, content in files.items())
        known.update(files)
        self._lines += len(files)
        if self._lines > max(_FEWEST_LINES, 2 * len(known)):
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
            self._files = dict(_of(line) for line in lines)
            self._lines = len(lines)
            if cut_off:  # by an application that died at it: such a file is told again
                self._write_together()
        return self._files

    def _write_together(self) -> None:
        fresh = self._state.with_suffix(".new")
        fresh.write_text("".join(_line(name, content) for name, content in self._loaded().items()), "utf-8")
        fresh.replace(self._state)
        self._lines = len(self._loaded())


def _line(name: str, content: Content) -> str:
    return json.dumps([name, *content]) + "\n"


def _of(line: str) -> tuple[str, Content]:
    """A line that is a name alone was written before contents were remembered."""
    if not line.startswith("["):
        return line, Content()
    name, stamp, digest = json.loads(line)
    return name, Content(stamp, digest)
