"""Whether the decisions of a classification go together: all that is refused before a run reads anything."""

from __future__ import annotations

from collections.abc import Iterator

from wardlake.deidentify.checks.date_shifts import check_date_shifts
from wardlake.deidentify.checks.foreign_keys import check_references
from wardlake.deidentify.checks.profiles import Complaint, KindsOfName, check_profile
from wardlake.deidentify.decision_tree import DOCUMENT
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification, Verdict


def check_classification(source: SourceSpec, classification: Classification, kinds_of_name: KindsOfName) -> list[Complaint]:
    """Everything that does not hold, as (table, column, message): by profile, keys, date shifts and documents."""
    return [
        *check_profile(classification, kinds_of_name),
        *check_references(source, classification),
        *check_date_shifts(source, classification),
        *check_documents(classification),
    ]


def check_documents(classification: Classification) -> Iterator[Complaint]:
    """Every column with a decision of its own although the JSON paths within it have theirs: they would go before it."""
    for table, decisions in classification.tables.items():
        documents = {path.partition(DOCUMENT)[0] for path in decisions if DOCUMENT in path}
        for path in sorted(documents & decisions.keys()):
            if decisions[path].verdict is not Verdict.BLOCKED:
                yield (
                    table,
                    path,
                    "decided as a whole and by its JSON paths too, which would go before it; keep one of them, or block it",
                )
