"""What files of the configuration must agree on: rules with their profile, keys with each other."""

from __future__ import annotations

from collections.abc import Iterable

from wardlake.deidentify.date_shifts import check_date_shifts
from wardlake.deidentify.foreign_keys import check_references
from wardlake.deidentify.profiles import Complaint, check_profile
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.settings.load import ConfFile, Settings


def check_settings(settings: Settings) -> None:
    """Raise `ConfigurationError` with all that profiles do not allow, and all keys and date shifts that do not agree."""
    mistakes: list[Mistake] = []
    for file in settings.classifications.values():
        classification = file.value.decisions()
        source = settings.sources[classification.source].value
        mistakes += _pointed_at(file, check_profile(classification))
        mistakes += _pointed_at(file, check_references(source, classification))
        mistakes += _pointed_at(file, check_date_shifts(source, classification))
    if mistakes:
        raise ConfigurationError(mistakes)


def _pointed_at(file: ConfFile, complaints: Iterable[Complaint]) -> list[Mistake]:
    return [
        file.mistake(("tables", table, column) if table else (), f"{table}.{column}: {message}" if table else message)
        for table, column, message in complaints
    ]
