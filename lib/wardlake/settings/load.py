"""Reads the whole of `conf/` once, at the edge; every mistake in it is reported at once, with file and line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, cast
from zoneinfo import available_timezones

from wardlake.model.errors import ConfigurationError, Mistake
from wardlake.model.practices import FileCapture, Lane, PracticesSpec
from wardlake.model.sources import RetentionClass, SourceSpec, TableSpec
from wardlake.model.treatments import Classification
from wardlake.practices.marts.records import COLUMNS
from wardlake.practices.marts.value_sets.every import VALUE_SETS
from wardlake.settings.classification import ClassificationFile
from wardlake.settings.environment import Environment
from wardlake.settings.validation import adapter_for, validate
from wardlake.settings.yaml_lines import line_of, read_yaml

T = TypeVar("T")
MOST_NICE = 19


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A data-use agreement on record (45 CFR 164.514(e)(4)): who, for what, until when, and the SHA-256 of the signed text."""

    name: str
    recipient: str
    purpose: str
    signed_on: date
    expires_on: date
    document_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfFile:
    """One parsed file: its value and its document, for pointing at lines."""

    path: Path
    shown_as: str
    document: Any
    value: Any

    def mistake(self, location: tuple[str | int, ...], message: str) -> Mistake:
        return Mistake(self.shown_as, line_of(self.document, location), message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything `conf/` says. `root` is the folder that relative paths in it start from."""

    conf: Path
    root: Path
    environment: Environment
    sources: Mapping[str, ConfFile]
    classifications: Mapping[str, ConfFile]
    agreements: Mapping[str, ConfFile]
    practices: Mapping[str, ConfFile] = field(default_factory=dict)
    expired: Mapping[str, Mistake] = field(default_factory=dict)  # classifications whose agreement has run out

    def source(self, name: str) -> SourceSpec:
        """The source of that name, or `NAME=FOLDER`: the same tables and classification, read from another folder."""
        known, _, folder = name.partition("=")
        if known not in self.sources:
            listed = ", ".join(sorted(self.sources)) or "none"
            raise ConfigurationError(what=f"No source is called {known}. Known: {listed}.", next_step=f"ls {self.conf}/sources")
        spec: SourceSpec = self.sources[known].value
        if folder:
            return replace(spec, location=str(Path(folder).resolve()))
        return replace(spec, location=self._absolute(spec.location))

    def classification(self, name: str) -> Classification:
        """The decisions for a source, or for a variant of it under another profile."""
        if name not in self.classifications:
            return Classification(source=name, **_undecided())
        value: ClassificationFile = self.classifications[name].value
        return value.decisions()

    def practices_of(self, name: str) -> PracticesSpec:
        """How the practices of a source are captured; by default those of the one source that has any."""
        known = sorted(self.practices)
        chosen = name or (known[0] if len(known) == 1 else "")
        if chosen not in self.practices:
            listed = ", ".join(known) or "none"
            raise ConfigurationError(
                what=f"No practices are configured for {chosen}. Known: {listed}."
                if chosen
                else f"Which practices? Known: {listed}.",
                next_step=f"--source NAME, with a file {self.conf}/practices/NAME.yaml",
            )
        spec: PracticesSpec = self.practices[chosen].value
        if isinstance(spec.capture, FileCapture):
            return replace(spec, capture=replace(spec.capture, folder=self._absolute(spec.capture.folder)))
        return spec

    def require_agreement(self, name: str) -> None:
        """Raise `ConfigurationError` where the agreement that a classification publishes under has run out.

        Nothing else is stopped by it: what was published stays verifiable, and other classifications go on.
        """
        if name in self.expired:
            raise ConfigurationError(
                [self.expired[name]],
                what=f"The agreement that {name} is published under has run out.",
                next_step="put a new one on record under conf/agreements/ and name it",
            )

    def _absolute(self, location: str) -> str:
        if "://" in location or location.startswith(("jdbc:", "/")):
            return location
        return str(self.root / location)


def _undecided() -> dict[str, Any]:
    from wardlake.model.treatments import Profile, TokenMode

    return {"profile": Profile.EXPERT, "token_mode": TokenMode.KEYED}


def read_folder(conf: Path, folder: str, kind: type[T]) -> tuple[dict[str, ConfFile], list[Mistake]]:
    """Every YAML of `conf/FOLDER`, by file name without ending."""
    adapter, files, mistakes = adapter_for(kind), {}, []
    for path in sorted((conf / folder).glob("*.yaml")):
        shown_as = f"{conf.name}/{folder}/{path.name}"
        document, wrong = read_yaml(path, shown_as)
        value = None
        if not wrong:
            value, wrong = validate(adapter, document, shown_as)
        mistakes += wrong
        if not wrong:
            files[path.stem] = ConfFile(path=path, shown_as=shown_as, document=document, value=value)
    return files, mistakes


def load_settings(conf: Path, environment: str, *, today: date) -> Settings:
    """All of `conf/`, cross-checked; raises `ConfigurationError` with every mistake of every file."""
    settings, mistakes = read_settings(conf, environment, today=today)
    if mistakes:
        raise ConfigurationError(mistakes)
    return settings


def read_settings(conf: Path, environment: str, *, today: date) -> tuple[Settings, list[Mistake]]:
    """What of `conf/` can be read, with every mistake of the rest: only without any are the settings there to be used."""
    if not conf.is_dir():
        raise ConfigurationError(what=f"No configuration folder {conf}.", next_step="give --conf DIR")
    environments, mistakes = read_folder(conf, "environments", Environment)
    sources, more = read_folder(conf, "sources", SourceSpec)
    mistakes += more
    sources = {stem: replace(file, value=name_tables(file.value)) for stem, file in sources.items()}
    classifications, more = read_folder(conf, "classification", ClassificationFile)
    mistakes += more
    agreements, more = read_folder(conf, "agreements", Agreement)
    mistakes += more
    practices, more = read_folder(conf, "practices", PracticesSpec)
    mistakes += more
    mistakes += check_practices(practices, sources)
    mistakes += check_names(sources, classifications, {path.stem for path in (conf / "sources").glob("*.yaml")})
    mistakes += check_sources(sources)
    mistakes += check_agreements(classifications, agreements)
    chosen, its_file = environments.get(environment), f"{conf.name}/environments/{environment}.yaml"
    if chosen is None and its_file not in {mistake.file for mistake in mistakes}:
        mistakes.append(Mistake(its_file, 0, "there is no such environment"))
    settings = Settings(
        conf=conf,
        root=conf.resolve().parent,
        environment=chosen.value if chosen else Environment(name=environment),
        sources=sources,
        classifications=classifications,
        agreements=agreements,
        practices=practices,
        expired=expired_agreements(classifications, agreements, today),
    )
    return settings, mistakes


def with_classifications_read_again(settings: Settings) -> Settings:
    """The settings with the decisions as their files have them now; raises `ConfigurationError` with every mistake."""
    files, mistakes = read_folder(settings.conf, "classification", ClassificationFile)
    if mistakes:
        raise ConfigurationError(mistakes)
    return replace(settings, classifications=files)


def load_environment(conf: Path, name: str) -> tuple[Environment, Path]:
    """One environment and the folder that its relative paths start from, whatever the rest of `conf/` says.

    Raises `ConfigurationError` with every mistake of that one file.
    """
    shown_as = f"{conf.name}/environments/{name}.yaml"
    path = conf / "environments" / f"{name}.yaml"
    if path.name != f"{name}.yaml" or not path.is_file():  # a name, no path
        raise ConfigurationError([Mistake(shown_as, 0, "there is no such environment")])
    document, wrong = read_yaml(path, shown_as)
    if wrong:
        raise ConfigurationError(wrong)
    value, wrong = validate(adapter_for(Environment), document, shown_as)
    if wrong:
        raise ConfigurationError(wrong)
    return cast(Environment, value), conf.resolve().parent


def name_tables(spec: SourceSpec) -> SourceSpec:
    """Give each table the name it stands under."""
    return replace(spec, tables={name: replace(table, name=name) for name, table in spec.tables.items()})


def check_names(sources: Mapping[str, ConfFile], classifications: Mapping[str, ConfFile], written: set[str]) -> list[Mistake]:
    """A file's name is the name of what it describes; a classification names a source that is `written` (if wrongly)."""
    wrong = [
        file.mistake(("name",), f"the file is {stem}.yaml but names itself {file.value.name}")
        for stem, file in sources.items()
        if file.value.name != stem
    ]
    wrong += [
        file.mistake(("source",), f"there is no source {file.value.source}")
        for file in classifications.values()
        if file.value.source not in written
    ]
    return wrong


def check_sources(sources: Mapping[str, ConfFile]) -> list[Mistake]:
    """References lead to declared tables and their keys; a study's snapshots have a legal basis."""
    wrong: list[Mistake] = []
    for file in sources.values():
        spec: SourceSpec = file.value
        if spec.retention is RetentionClass.STUDY and not spec.legal_basis:
            wrong.append(file.mistake(("retention",), "retention `study` needs a legal_basis"))
        if spec.patients and spec.patients not in spec.tables:
            wrong.append(file.mistake(("patients",), f"there is no table {spec.patients}"))
        for table, reference in spec.references():
            place = ("tables", table.name, "references")
            if reference.table not in spec.tables:
                wrong.append(file.mistake(place, f"{table.name}: refers to a table that is not declared: {reference.table}"))
            elif len(reference.columns) != len(reference.to):
                wrong.append(file.mistake(place, f"{table.name}: a reference to {reference.table} pairs unequal columns"))
    return wrong


def check_practices(practices: Mapping[str, ConfFile], sources: Mapping[str, ConfFile]) -> list[Mistake]:
    """Practices are those of a source whose tables have a key and a column that names the practice; lanes have room."""
    wrong: list[Mistake] = []
    for stem, file in practices.items():
        spec: PracticesSpec = file.value
        if spec.name != stem:
            wrong.append(file.mistake(("name",), f"the file is {stem}.yaml but names itself {spec.name}"))
        elif spec.name not in sources:
            wrong.append(file.mistake(("name",), f"there is no source {spec.name}"))
        else:
            tables = sources[spec.name].value.tables
            wrong += [
                file.mistake(("practice_columns",), f"there is no table {name}")
                for name in spec.practice_columns
                if name not in tables
            ]
            wrong += [file.mistake(("practice_column",), message) for message in _unfit_tables(spec, tables)]
            wrong += [file.mistake(("records", kind), message) for kind, message in _unfit_records(spec, tables)]
        wrong += [file.mistake(("value_sets", name), message) for name, message in _unfit_value_sets(spec)]
        wrong += _range_mistakes(file, spec)
    return wrong


def _unfit_tables(spec: PracticesSpec, tables: Mapping[str, TableSpec]) -> Iterator[str]:
    """What of a source's tables stands against their capture."""
    for name, table in tables.items():
        column = spec.practice_column_of(name)
        if not table.primary_key:
            yield f"{name}: a table without primary_key cannot be captured"
        yield from (f"{name}: types do not say what {each} is" for each in {column, *table.primary_key} - table.types.keys())


def _unfit_records(spec: PracticesSpec, tables: Mapping[str, TableSpec]) -> Iterator[tuple[str, str]]:
    """What of the records that marts are made of does not fit, by kind; zones that nobody knows stand under `practices`."""
    for kind, found in spec.records.items():
        wanted = COLUMNS.get(kind, {})
        if not wanted or kind == "practices":
            known = ", ".join(sorted(COLUMNS.keys() - {"practices"}))
            yield kind, f"records.{kind}: no such kind. Known: {known}"
        elif found.table not in tables:
            yield kind, f"records.{kind}: there is no table {found.table}"
        else:
            columns = tables[found.table].types
            yield from (
                (kind, f"records.{kind}: a column is missing: {each}") for each in sorted(wanted.keys() - found.columns.keys())
            )
            yield from (
                (kind, f"records.{kind}: no such column: {each}") for each in sorted(found.columns.keys() - wanted.keys())
            )
            absent = sorted(set(found.columns.values()) - columns.keys())
            yield from ((kind, f"records.{kind}: {found.table} has no column {each}") for each in absent)
    for zone in sorted({spec.time_zone, *spec.time_zones.values()} - available_timezones()):
        yield "practices", f"no such time zone: {zone}"


def _unfit_value_sets(spec: PracticesSpec) -> Iterator[tuple[str, str]]:
    """What of a source's own codes does not fit, by the name of the value set."""
    for name, own in spec.value_sets.items():
        if name not in VALUE_SETS:
            near = get_close_matches(name, VALUE_SETS, n=3)
            hint = f"Near: {', '.join(near)}" if near else "They stand in lib/wardlake/practices/marts/value_sets"
            yield name, f"value_sets.{name}: no such value set. {hint}"
        if bool(own.add) == bool(own.replace):
            yield name, f"value_sets.{name}: either codes to add or codes to replace all with"
        if any(not code or code != code.strip() for code in (*own.add, *own.replace)):
            yield name, f"value_sets.{name}: a code is empty, or has blanks around it"


def _range_mistakes(file: ConfFile, spec: PracticesSpec) -> list[Mistake]:
    """Numbers and times out of their range."""
    wrong = [
        file.mistake((name,), f"{name} must be 1 or more")
        for name in ("buckets", "giant_rows", "append_rows")
        if getattr(spec, name) < 1
    ]
    for place, text in {"expected_by": spec.expected_by, **spec.expected_times}.items():
        try:
            time.fromisoformat(text)
        except ValueError:
            where = ("expected_by",) if place == "expected_by" else ("expected_times", place)
            wrong.append(file.mistake(where, f"{'.'.join(where)}: a time such as 06:00"))
    if spec.warn_hours < 0:
        wrong.append(file.mistake(("warn_hours",), "warn_hours must be 0 or more"))
    for lane in Lane:
        limits = spec.lane(lane)
        wrong += [
            file.mistake((lane.value, name), f"{lane.value}.{name} must be 1 or more")
            for name in ("slots", "practices", "rows", "lease_seconds", "merge_seconds")
            if getattr(limits, name) < 1
        ]
        if not 0 <= limits.niceness <= MOST_NICE:
            wrong.append(file.mistake((lane.value, "niceness"), f"{lane.value}.niceness is between 0 and {MOST_NICE}"))
    return wrong


def check_agreements(classifications: Mapping[str, ConfFile], agreements: Mapping[str, ConfFile]) -> list[Mistake]:
    """An agreement that a classification names is on record."""
    return [
        file.mistake(("agreement",), f"no agreement {file.value.agreement} is on record in agreements/")
        for file in classifications.values()
        if file.value.agreement and file.value.agreement not in agreements
    ]


def expired_agreements(
    classifications: Mapping[str, ConfFile], agreements: Mapping[str, ConfFile], today: date
) -> dict[str, Mistake]:
    """Classifications whose agreement has run out, each with where it stands."""
    ends = {name: file.value.agreement for name, file in classifications.items() if file.value.agreement in agreements}
    return {
        name: classifications[name].mistake(("agreement",), f"agreement {agreement} ran out on {expires}")
        for name, agreement in ends.items()
        if (expires := agreements[agreement].value.expires_on) < today
    }
