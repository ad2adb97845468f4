"""All matchers that look at content, put together from the configuration."""

from __future__ import annotations

from wardlake.detect.matching import Matcher
from wardlake.detect.names import FullNameMatcher, NameCellMatcher, NameWords
from wardlake.detect.patterns import PatternBook


def content_matchers(book: PatternBook, words: NameWords) -> tuple[Matcher, ...]:
    """`pattern`, `bare`, `dictionary` and `name-cell`, in the order in which their cost grows."""
    return (*book.matchers(), FullNameMatcher(words), NameCellMatcher(words))
