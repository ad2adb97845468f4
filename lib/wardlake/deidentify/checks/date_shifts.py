"""Date shifts that must agree: a patient moves by one offset, so all rules that move that patient bound it alike."""

from __future__ import annotations

from collections.abc import Iterator

from wardlake.deidentify.checks.profiles import Complaint
from wardlake.deidentify.rules.row_context import patient_domain
from wardlake.model.errors import ConfigurationError
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification, DateShift

Place = tuple[str, str]  # table, column path


def check_date_shifts(source: SourceSpec, classification: Classification) -> list[Complaint]:
    """Every date shift whose `days` differ from another's of the same patients, as (table, column, message).

    The offset is drawn within `days`: under two bounds one patient would have two offsets, and what lies between their dates
    would change. Shifts that name no patient are refused where they are applied.
    """
    first: dict[str, tuple[Place, int]] = {}
    complaints: list[Complaint] = []
    for domain, place, days in _shifts(source, classification):
        other, bound = first.setdefault(domain, (place, days))
        if days != bound:
            table, column = place
            said = f"rule date_shift moves {domain} by up to {days} days, but {'.'.join(other)} by up to {bound}"
            complaints.append((table, column, f"{said}; one patient has one offset, so give both the same `days`"))
    return complaints


def _shifts(source: SourceSpec, classification: Classification) -> Iterator[tuple[str, Place, int]]:
    """Each date shift with the domain of the patients that it moves."""
    for name, decisions in classification.tables.items():
        for path, decision in decisions.items():
            match decision.rule:
                case DateShift(days=days, by=by):
                    table = source.tables.get(name)
                    try:
                        domain = patient_domain(name, by or (table.patient if table else ""), decisions)
                    except ConfigurationError:
                        continue  # said with the table's name where the rule is applied
                    yield domain, (name, path), days
                case _:
                    continue
