"""The detection rules of `conf/detection` for tests and benchmarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from wardlake.classify.evidence import EvidenceRules, parse_evidence_rules
from wardlake.detect.matchers import content_matchers
from wardlake.detect.matching import Matcher
from wardlake.detect.names import NameWords, parse_name_words
from wardlake.detect.patterns import PatternBook, parse_patterns

FOLDER = Path(__file__).parents[1] / "conf" / "detection"


def document(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load((FOLDER / name).read_text(encoding="utf-8"))
    return loaded


def patterns() -> PatternBook:
    return parse_patterns(document("patterns.yaml"))


def words() -> NameWords:
    return parse_name_words(document("names.yaml"))


def matchers() -> tuple[Matcher, ...]:
    return content_matchers(patterns(), words())


def evidence_rules() -> EvidenceRules:
    return parse_evidence_rules(document("evidence.yaml"))
