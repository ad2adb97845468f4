"""Canaries differ each run, are independent of the detectors, and bound the scan's recall from below."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from tests.detection_rules import words
from tests.spec.publish.residue_data import ROOT, residue_policy, scan_means

from wardlake.detect.names import FullNameMatcher
from wardlake.detect.patterns import PATTERN, Pattern, PatternMatcher
from wardlake.detect.text_names import TextNameMatcher
from wardlake.model.treatments import IdentifierKind as Kind
from wardlake.publish.residue.canaries.draw import canary_kinds, draw_canaries
from wardlake.publish.residue.canaries.known import draw_known_canaries
from wardlake.publish.residue.known_values.index import Chances, HashIndex, KnownValues
from wardlake.publish.residue.recall import lower_bound, measure_known_recall, measure_recall

FLOORS = residue_policy().recall


def no_known_values() -> KnownValues:
    import numpy as np

    empty = HashIndex.build(np.empty(0, np.uint64), np.empty(0, np.uint32))
    return KnownValues(
        subkey=bytes(16),
        texts=empty,
        digits=empty,
        lengths=(),
        links=np.empty(0, np.uint64),
        chance=Chances(),
        policy=residue_policy().known_values,
    )


def test_a_thousand_different_canaries_of_every_kind() -> None:
    drawn = draw_canaries("run-1", canary_kinds(), per_kind=FLOORS.canaries_per_kind)
    assert FLOORS.canaries_per_kind >= 1000
    assert set(FLOORS.structured) <= set(drawn.texts)
    assert all(len(set(texts)) == FLOORS.canaries_per_kind for texts in drawn.texts.values())


def test_canaries_are_the_runs_own() -> None:
    one, again, other = (draw_canaries(run, [Kind.SSN, Kind.URL], per_kind=50) for run in ("a", "a", "b"))
    assert one == again
    assert not set(one.texts[Kind.SSN]) & set(other.texts[Kind.SSN])


def test_canaries_come_bare_and_within_sentences() -> None:
    (texts,) = draw_canaries("run-1", [Kind.EMAIL], per_kind=300).texts.values()
    assert any(" " not in text for text in texts) and any(len(text.split()) > 4 for text in texts)


def test_the_floor_holds_for_every_kind_but_names() -> None:
    assert set(FLOORS.structured) == set(canary_kinds()) - {Kind.PERSON_NAME}


def test_canaries_of_accounts_are_of_banks_health_plans_and_medicare() -> None:
    """A Medicare number by place (CMS): digit, letter, either, digit, letter, either, digit, two letters, two digits."""
    (texts,) = draw_canaries("run-1", [Kind.ACCOUNT], per_kind=300).texts.values()
    medicare = re.compile(r"\b[1-9][A-Za-z]\w\d[- ]?[A-Za-z]\w\d[- ]?[A-Za-z]{2}\d{2}\b")
    forms = (r"DE\d\d", "(?i)member|mbr|subscriber", "(?i)acc", medicare.pattern)
    counted = {form: sum(bool(re.search(form, text)) for text in texts) for form in forms}
    assert min(counted.values()) > 20, counted
    written = [found.group() for text in texts if (found := medicare.search(text))]
    assert not [number for number in written if re.search("[SLOIBZ]", number.upper())]


def test_a_kind_without_canaries_is_refused() -> None:
    with pytest.raises(ValueError, match="biometric"):
        draw_canaries("run-1", [Kind.BIOMETRIC], per_kind=1)


def test_canaries_and_detectors_share_neither_code_nor_lists() -> None:
    publish, detect = (ROOT / "lib/wardlake" / room for room in ("publish", "detect"))

    def imported(files: list[Path]) -> set[str]:
        trees = [ast.walk(ast.parse(file.read_text())) for file in files]
        nodes = [node for tree in trees for node in tree if isinstance(node, ast.Import | ast.ImportFrom)]
        return {getattr(node, "module", None) or node.names[0].name for node in nodes}

    canaries = imported(sorted((publish / "residue" / "canaries").glob("*.py")))
    assert not {name for name in canaries if name.startswith("wardlake.detect")}
    assert "mimesis" in {name.split(".")[0] for name in canaries}
    assert "mimesis" not in {name.split(".")[0] for name in imported(sorted(detect.rglob("*.py")))}


def test_canaries_do_not_show_in_repr() -> None:
    drawn = draw_canaries("run-1", [Kind.SSN], per_kind=5)
    assert not [text for text in drawn.texts[Kind.SSN] if text in repr(drawn)]


@pytest.mark.parametrize(
    ("found", "planted", "bound"), [(1000, 1000, 0.99701), (995, 1000, 0.98952), (0, 10, 0.0), (10, 10, 0.74113)]
)
def test_the_bound_is_clopper_and_pearsons(found: int, planted: int, bound: float) -> None:
    """1000 of 1000: 0.05 ** (1 / 1000); the rest from the beta quantile's defining tail sum."""
    assert lower_bound(found, planted, 0.95) == pytest.approx(bound, abs=2e-5)


def test_more_found_than_planted_is_refused() -> None:
    with pytest.raises(ValueError, match="between"):
        lower_bound(11, 10, 0.95)


def test_a_blind_detector_has_no_recall_and_a_sharp_one_passes(spark: SparkSession) -> None:
    """A detector of one pattern: an at sign with a word on either side."""
    pattern = Pattern(name="at", kind=Kind.EMAIL, matcher=PATTERN, expression=r"\w@\w", gate="@")
    canaries = draw_canaries("run-1", [Kind.EMAIL, Kind.SSN], per_kind=1000)
    email, ssn = measure_recall(spark, [PatternMatcher(PATTERN, (pattern,))], canaries, floors=FLOORS, enforced=FLOORS.structured)
    assert (email.found, email.passed, ssn.found, ssn.passed) == (1000, True, 0, False)


def test_the_structured_kinds_reach_their_floor(spark: SparkSession) -> None:
    canaries = draw_canaries("run-2", FLOORS.structured, per_kind=FLOORS.canaries_per_kind)
    matchers = [matcher for matcher in scan_means().matchers if matcher.name == "pattern"]
    recall = measure_recall(spark, matchers, canaries, floors=FLOORS, enforced=FLOORS.structured)
    assert not [(r.kind.value, r.found) for r in recall if not r.passed]


def test_names_in_text_reach_their_floor_where_text_is_released(spark: SparkSession) -> None:
    """And not by lists of names alone: such a scan is too blind."""
    canaries = draw_canaries("run-4", [Kind.PERSON_NAME], per_kind=FLOORS.canaries_per_kind)
    of_text = TextNameMatcher(words())
    (sharp,), (blind,) = (
        measure_recall(spark, matchers, canaries, floors=FLOORS, enforced=[Kind.PERSON_NAME])
        for matchers in ([of_text], [FullNameMatcher(words())])
    )
    assert (sharp.floor, sharp.passed, blind.passed) == (0.90, True, False)


def test_known_values_are_found_in_other_spellings(spark: SparkSession) -> None:
    planted = draw_known_canaries("run-3", per_kind=FLOORS.canaries_per_kind)
    recall = measure_known_recall(spark, no_known_values(), planted, floors=FLOORS)
    assert len(recall) == len(planted) and not [(r.kind.value, r.found) for r in recall if not r.passed]
