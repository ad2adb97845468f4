"""What files of the configuration must agree on: rules with their profile, keys with each other."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from wardlake.classify.names import kinds_of_name
from wardlake.deidentify.checks.consistency import check_classification
from wardlake.deidentify.checks.profiles import Complaint
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.treatments import Classification
from wardlake.settings.knowledge import load_evidence_rules
from wardlake.settings.load import ConfFile, Settings


def check_settings(settings: Settings) -> None:
    """Raise `ConfigurationError` with all that profiles do not allow, and all decisions that do not go together."""
    mistakes: list[Mistake] = []
    for file in settings.classifications.values():
        mistakes += _pointed_at(file, complaints_about(settings, file.value.decisions()))
    if mistakes:
        raise ConfigurationError(mistakes)


def complaints_about(settings: Settings, classification: Classification) -> list[Complaint]:
    """All that does not hold of one classification, as (table, column, message)."""
    names = load_evidence_rules(settings.conf).names
    return check_classification(settings.source(classification.source), classification, partial(kinds_of_name, lists=names))


def _pointed_at(file: ConfFile, complaints: Iterable[Complaint]) -> list[Mistake]:
    return [
        file.mistake(("tables", table, column) if table else (), f"{table}.{column}: {message}" if table else message)
        for table, column, message in complaints
    ]
