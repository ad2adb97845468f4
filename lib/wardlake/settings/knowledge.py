"""What detection, disclosure and surrogates know of the world: versioned files under `conf/`, read whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

from wardlake.classify.evidence import EvidenceRules, parse_evidence_rules
from wardlake.deidentify.checks.shared_days import SharedDayLimits
from wardlake.deidentify.rules.surrogate_lists import SurrogateLists, parse_lists
from wardlake.detect.names import NameWords, parse_name_words
from wardlake.detect.patterns import PatternBook, parse_patterns
from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.publish.residue.policy import ResiduePolicy
from wardlake.settings.gathered import Gathered
from wardlake.settings.validation import adapter_for, validate
from wardlake.settings.yaml_lines import plain, read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class Zip3List:
    """`conf/disclosure/zip3_allowed.yaml`: the prefixes that may stay (45 CFR 164.514(b)(2)(i)(B))."""

    version: str
    population_over: int
    source: str
    date: Any
    method: str
    denied: tuple[str, ...]
    allowed: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """All of it, with the version of each part, which the record of a run names."""

    patterns: PatternBook
    name_words: NameWords
    evidence: EvidenceRules
    residue: ResiduePolicy
    zip3: Zip3List
    shared_days: SharedDayLimits
    surrogates: SurrogateLists
    password_hash: str


def load_knowledge(conf: Path) -> Knowledge:
    """Read and check every file; raises `ConfigurationError` with every mistake of every file."""
    gathered = Gathered()
    parts = {
        "patterns": gathered.part(lambda: _patterns(conf)),
        "name_words": gathered.part(lambda: _name_words(conf)),
        "evidence": gathered.part(lambda: load_evidence_rules(conf)),
        "residue": gathered.part(lambda: _validated(conf, "disclosure/residue.yaml", ResiduePolicy)),
        "zip3": gathered.part(lambda: _zip3(conf)),
        "shared_days": gathered.part(lambda: _validated(conf, "disclosure/shared_days.yaml", SharedDayLimits)),
        "surrogates": gathered.part(lambda: _surrogates(conf)),
        "password_hash": gathered.part(lambda: _validated(conf, "disclosure/dev_password.yaml", DevPassword).hash),
    }
    gathered.require_none()
    return Knowledge(**cast(dict[str, Any], parts))


def load_evidence_rules(conf: Path) -> EvidenceRules:
    """`conf/detection/evidence.yaml` alone: what contents and names speak for."""
    return parse_evidence_rules(_document(conf, "detection/evidence.yaml"), file=f"{conf.name}/detection/evidence.yaml")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevPassword:
    """`conf/disclosure/dev_password.yaml`: the one password of dev data, and its hash."""

    version: str
    password: str
    scheme: str
    hash: str


def _surrogates(conf: Path) -> SurrogateLists:
    files = {field.name: conf / "surrogates" / f"{field.name}.txt" for field in fields(SurrogateLists)}
    missing = [Mistake(f"{conf.name}/surrogates/{path.name}", 0, "is missing") for path in files.values() if not path.is_file()]
    if missing:
        raise ConfigurationError(missing)
    return parse_lists({name: path.read_text("utf-8") for name, path in files.items()})


def _zip3(conf: Path) -> Zip3List:
    found: Zip3List = _validated(conf, "disclosure/zip3_allowed.yaml", Zip3List)
    odd = sorted(prefix for prefix in {*found.allowed, *found.denied} if not re.fullmatch("[0-9]{3}", prefix))
    both = sorted(set(found.allowed) & set(found.denied))
    shown_as = f"{conf.name}/disclosure/zip3_allowed.yaml"
    wrong = {"no three digits": odd, "allowed and denied": both}
    if mistakes := [Mistake(shown_as, 0, f"{why}: {which}") for why, which in wrong.items() if which]:
        raise ConfigurationError(mistakes)
    return found


def _patterns(conf: Path) -> PatternBook:
    shown_as = f"{conf.name}/detection/patterns.yaml"
    try:
        return parse_patterns(_document(conf, "detection/patterns.yaml"), file=shown_as)
    except (AttributeError, TypeError):  # well-formed YAML of another form
        raise ConfigurationError([Mistake(shown_as, 0, "has not the form of a book of patterns")]) from None


def _name_words(conf: Path) -> NameWords:
    document = _document(conf, "detection/names.yaml")
    wrong = [field.name for field in fields(NameWords) if not isinstance(document.get(field.name), list)]
    if wrong:
        raise ConfigurationError([Mistake(f"{conf.name}/detection/names.yaml", 0, f"{name}: a list of words") for name in wrong])
    return parse_name_words(document)


def _document(conf: Path, name: str) -> Mapping[str, Any]:
    shown_as = f"{conf.name}/{name}"
    document, mistakes = read_yaml(conf / name, shown_as)
    if not mistakes and not isinstance(document, Mapping):
        mistakes = [Mistake(shown_as, 0, "must hold a mapping of keys")]
    if mistakes:
        raise ConfigurationError(mistakes)
    return cast(Mapping[str, Any], plain(document))


def _validated(conf: Path, name: str, kind: Any) -> Any:
    shown_as = f"{conf.name}/{name}"
    document, mistakes = read_yaml(conf / name, shown_as)
    value = None
    if not mistakes:
        value, mistakes = validate(adapter_for(kind), document, shown_as)
    if mistakes:
        raise ConfigurationError(mistakes)
    return value
