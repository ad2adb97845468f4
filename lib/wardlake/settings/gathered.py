"""Mistakes of parts that are read one by one, gathered so that they are reported at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from wardlake.model.errors import ConfigurationError, Mistake

T = TypeVar("T")


class Gathered:
    """The mistakes so far. A part that has some is None, and the next is read all the same."""

    def __init__(self, mistakes: list[Mistake] | None = None) -> None:
        self.mistakes = list(mistakes or ())

    def part(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except ConfigurationError as problem:
            if not problem.mistakes:
                raise  # it says what in other words, which must not be lost
            self.mistakes += problem.mistakes
            return None

    def require_none(self) -> None:
        """Raise `ConfigurationError` with every mistake that was gathered."""
        if self.mistakes:
            raise ConfigurationError(self.mistakes)
