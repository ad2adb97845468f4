"""What files of the configuration must agree on: rules with their profile, keys with each other, sources with contracts."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from functools import partial
from pathlib import Path

from wardlake.classify.names import NameLists, kinds_of_name
from wardlake.deidentify.checks.consistency import check_classification
from wardlake.deidentify.checks.profiles import Complaint
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification
from wardlake.publish.contracts import load_suite
from wardlake.settings.gathered import Gathered
from wardlake.settings.knowledge import load_evidence_rules, load_knowledge
from wardlake.settings.load import ConfFile, Settings, read_settings

SUITES = ("source", "output")


def check_whole(conf: Path, environment: str, *, today: date) -> Settings:
    """Everything that a run reads, and the suites under `expectations/`: the settings, where nothing of it is wrong.

    Raises `ConfigurationError` with every mistake of every file at once.
    """
    settings, mistakes = read_settings(conf, environment, today=today)
    gathered = Gathered(mistakes)
    knowledge = gathered.part(lambda: load_knowledge(conf))
    names = knowledge.evidence.names if knowledge else _names_alone(conf)
    gathered.mistakes += disagreements(settings, names)
    for file in settings.sources.values():
        gathered.mistakes += suite_mistakes(settings.root, file)
    gathered.require_none()
    return settings


def check_settings(settings: Settings) -> None:
    """Raise `ConfigurationError` with all that profiles do not allow, and all decisions that do not go together."""
    mistakes = disagreements(settings, load_evidence_rules(settings.conf).names)
    if mistakes:
        raise ConfigurationError(mistakes)


def disagreements(settings: Settings, names: NameLists) -> list[Mistake]:
    """What the classifications whose source can be read say that does not hold, each with its line."""
    mistakes: list[Mistake] = []
    for file in settings.classifications.values():
        if file.value.source in settings.sources:
            mistakes += _pointed_at(file, _complaints(settings, file.value.decisions(), names))
    return mistakes


def complaints_about(settings: Settings, classification: Classification) -> list[Complaint]:
    """All that does not hold of one classification, as (table, column, message)."""
    return _complaints(settings, classification, load_evidence_rules(settings.conf).names)


def suite_mistakes(root: Path, source: ConfFile) -> list[Mistake]:
    """What is missing or wrong of the suites that a source with contracts is held to."""
    spec: SourceSpec = source.value
    if not spec.contracts:
        return []
    return [wrong for side in SUITES for wrong in _suite_mistakes(root, source, f"expectations/{spec.name}/{side}.yaml")]


def _suite_mistakes(root: Path, source: ConfFile, shown_as: str) -> list[Mistake]:
    if not (root / shown_as).is_file():
        return [source.mistake(("contracts",), f"{shown_as} is missing: write it, or say `contracts: false` here")]
    try:
        load_suite(root / shown_as)
    except ConfigurationError as problem:
        return [Mistake(shown_as, mistake.line, mistake.message) for mistake in problem.mistakes]
    except (AttributeError, TypeError, ValueError, KeyError):  # well-formed YAML of another form
        return [Mistake(shown_as, 0, "has not the form of a suite: tables, each with columns, each with a type")]
    return []


def _names_alone(conf: Path) -> NameLists:
    """What names speak for, though other files are wrong; nothing where that file is."""
    rules = Gathered().part(lambda: load_evidence_rules(conf))
    return rules.names if rules else NameLists(deny={}, allow=frozenset())


def _complaints(settings: Settings, classification: Classification, names: NameLists) -> list[Complaint]:
    return check_classification(settings.source(classification.source), classification, partial(kinds_of_name, lists=names))


def _pointed_at(file: ConfFile, complaints: Iterable[Complaint]) -> list[Mistake]:
    return [
        file.mistake(("tables", table, column) if table else (), f"{table}.{column}: {message}" if table else message)
        for table, column, message in complaints
    ]
