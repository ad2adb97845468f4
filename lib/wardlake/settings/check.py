"""What files of the configuration must agree on: rules with their profile, keys with each other."""

from __future__ import annotations

from collections.abc import Iterable

from wardlake.deidentify.consistency import check_classification
from wardlake.deidentify.profiles import Complaint
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.settings.load import ConfFile, Settings


def check_settings(settings: Settings) -> None:
    """Raise `ConfigurationError` with all that profiles do not allow, and all decisions that do not go together."""
    mistakes: list[Mistake] = []
    for file in settings.classifications.values():
        classification = file.value.decisions()
        source = settings.sources[classification.source].value
        mistakes += _pointed_at(file, check_classification(source, classification))
    if mistakes:
        raise ConfigurationError(mistakes)


def _pointed_at(file: ConfFile, complaints: Iterable[Complaint]) -> list[Mistake]:
    return [
        file.mistake(("tables", table, column) if table else (), f"{table}.{column}: {message}" if table else message)
        for table, column, message in complaints
    ]
