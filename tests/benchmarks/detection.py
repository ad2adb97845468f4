"""How well identifiers are found: recall and precision per kind, beside Presidio's defaults on the same rows.

    WARDLAKE_TEST_DATA=... python -m tests.benchmarks.detection

Two sets: 1,500 sentences with gold spans (`phi-text`), and Synthea's people without the digits in their names, set into
sentences of clinical text. Judged per text: does it hold an identifier of the kind, and was that said. Presidio runs with its
own recognisers and, where no spaCy model is installed, without one: its rules alone then find no names. Prints one JSON object.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import pyarrow as pa
from tests.benchmarks.presidio import start_analyzer
from tests.detection_rules import matchers, words

from wardlake.detect.matching import Matcher
from wardlake.detect.text_names import TextNameMatcher
from wardlake.model.treatments import IdentifierKind as Kind

GOLD = {
    "PERSON": Kind.PERSON_NAME,
    "STREET_ADDRESS": Kind.STREET_ADDRESS,
    "CREDIT_CARD": Kind.CREDIT_CARD,
    "PHONE_NUMBER": Kind.PHONE,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "DOMAIN_NAME": Kind.URL,
    "IBAN_CODE": Kind.ACCOUNT,
    "US_SSN": Kind.SSN,
    "IP_ADDRESS": Kind.IP_ADDRESS,
    "US_DRIVER_LICENSE": Kind.DRIVING_LICENCE,
    "ZIP_CODE": Kind.ZIP,
    "DATE_TIME": Kind.DATE,
}
PRESIDIO = {
    "PERSON": Kind.PERSON_NAME,
    "CREDIT_CARD": Kind.CREDIT_CARD,
    "PHONE_NUMBER": Kind.PHONE,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "URL": Kind.URL,
    "IBAN_CODE": Kind.ACCOUNT,
    "US_SSN": Kind.SSN,
    "IP_ADDRESS": Kind.IP_ADDRESS,
    "US_DRIVER_LICENSE": Kind.DRIVING_LICENCE,
    "DATE_TIME": Kind.DATE,
}
# What Safe Harbor lets stand (a year alone) or names no day (weekdays): no identifier, so not asked for
NO_DATE = re.compile(r"^(?:\d{4}|[A-Za-z]+day)$")

Labels = Sequence[frozenset[Kind]]
Detect = Callable[[Sequence[str]], Labels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("WARDLAKE_TEST_DATA", "")))
    parser.add_argument("--most", type=int, default=2_000, help="sentences of Synthea's people")
    arguments = parser.parse_args()
    sets = {
        "phi-text": read_sentences(arguments.data / "phi-text" / "synth_dataset_v2.json"),
        "synthea": make_sentences(arguments.data / "synthea-delaware-seed42" / "patients.csv.gz", arguments.most),
    }
    in_text = TextNameMatcher(words())
    detectors: dict[str, Detect] = {
        "wardlake": partial(detect_ours, matchers()),
        "wardlake in released text": partial(detect_ours, (*matchers(), in_text)),
        "presidio": start_presidio(),
    }
    report = {
        name: {who: judge(texts, gold, detect) for who, detect in detectors.items()} for name, (texts, gold) in sets.items()
    }
    print(json.dumps(report, indent=2))


def judge(texts: Sequence[str], gold: Labels, detect: Detect) -> Mapping[str, object]:
    """Recall and precision per kind with the number of texts that hold it, and texts a CPU second."""
    detect(texts[:5])
    before = time.process_time()
    found = detect(texts)
    seconds = time.process_time() - before
    scores: dict[str, object] = {"texts_per_cpu_second": round(len(texts) / seconds)}
    for kind in sorted(set().union(*gold)):
        hits = sum(kind in f and kind in g for f, g in zip(found, gold, strict=True))
        said, held = sum(kind in f for f in found), sum(kind in g for g in gold)
        scores[kind.value] = {
            "texts": held,
            "recall": round(hits / held, 3),
            "precision": round(hits / said, 3) if said else None,
        }
    return scores


def detect_ours(matchers: Sequence[Matcher], texts: Sequence[str]) -> Labels:
    """Everything but bare numbers, which count by a column's rate and not in a sentence."""
    values = pa.array(list(texts), pa.string())
    labels: list[set[Kind]] = [set() for _ in texts]
    for matcher in matchers:
        if matcher.name == "bare":
            continue
        for kind, mask in matcher.match(values).items():
            for label, hit in zip(labels, mask.to_pylist(), strict=True):
                if hit:
                    label.add(kind)
    return [frozenset(label) for label in labels]


def start_presidio() -> Detect:
    analyzer = start_analyzer()

    def detect(texts: Sequence[str]) -> Labels:
        found = (analyzer.analyze(text, language="en") for text in texts)
        return [frozenset(PRESIDIO[r.entity_type] for r in results if r.entity_type in PRESIDIO) for results in found]

    return detect


def read_sentences(path: Path) -> tuple[list[str], Labels]:
    """The gold sentences with the kinds each holds."""
    rows = json.loads(path.read_text(encoding="utf-8"))
    gold = [
        frozenset(
            GOLD[span["entity_type"]]
            for span in row["spans"]
            if span["entity_type"] in GOLD and not NO_DATE.match(span["entity_value"])
        )
        for row in rows
    ]
    return [row["full_text"] for row in rows], gold


def make_sentences(path: Path, most: int) -> tuple[list[str], Labels]:
    """Synthea's people in sentences, the digits stripped from their names, beside as many sentences without anyone."""
    forms: tuple[tuple[str, frozenset[Kind]], ...] = (
        ("Spoke with {first} {last} about the medication review.", frozenset({Kind.PERSON_NAME})),
        ("{last}, {first} was admitted with chest pain.", frozenset({Kind.PERSON_NAME})),
        ("Letter sent to {address} after discharge.", frozenset({Kind.STREET_ADDRESS})),
        ("Identity confirmed by {ssn} at the desk.", frozenset({Kind.SSN})),
        ("Seen on {birth} for the first time.", frozenset({Kind.DATE})),
        ("Medication Reconciliation and Body Mass Index were recorded, 20 MG Oral Tablet given.", frozenset()),
        ("Acute viral pharyngitis with Blood Pressure of 120/80 and a pain score of 3.", frozenset()),
    )
    texts, gold = [], []
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for person in csv.DictReader(file):
            fields = {
                "first": re.sub(r"\d", "", person["FIRST"]),
                "last": re.sub(r"\d", "", person["LAST"]),
                "address": person["ADDRESS"],
                "ssn": person["SSN"],
                "birth": person["BIRTHDATE"],
            }
            texts += [form.format(**fields) for form, _ in forms]
            gold += [kinds for _, kinds in forms]
    return texts[:most], gold[:most]


if __name__ == "__main__":
    main()
