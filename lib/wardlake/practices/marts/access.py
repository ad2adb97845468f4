"""Who sees which mart in the warehouse. A mart that does not stand here is seen by nobody, and not registered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wardlake.model.entitlements import Access, WarehouseRole
from wardlake.practices.marts.mart import PRACTICE

_MANAGER, _CLINICIAN, _BILLING = WarehouseRole.MANAGER, WarehouseRole.CLINICIAN, WarehouseRole.BILLING
_ALL: frozenset[str] = frozenset()

_EVERYBODY = Access(practice=PRACTICE, hidden={_MANAGER: _ALL, _CLINICIAN: _ALL, _BILLING: _ALL})
_CARE = Access(practice=PRACTICE, hidden={_MANAGER: _ALL, _CLINICIAN: _ALL})
_MONEY = Access(practice=PRACTICE, hidden={_MANAGER: _ALL, _BILLING: _ALL})

ACCESS: Mapping[str, Access] = {
    "blood_pressure_control": _CARE,
    "chronic_conditions": _CARE,
    "claims_ageing": _MONEY,
    "diabetes_control": _CARE,
    "panel": _EVERYBODY,
    # Who bills sees what drugs cost by month, not which they were; who treats sees which, not what they cost.
    "prescriptions": Access(
        practice=PRACTICE,
        hidden={_MANAGER: _ALL, _CLINICIAN: frozenset({"total_cost"}), _BILLING: frozenset({"code", "drug"})},
    ),
    "preventive_care": _CARE,
    "readmissions": _CARE,
    "revenue": _MONEY,
    "visits": _EVERYBODY,
}


def quarantine_access(tables: Iterable[str]) -> dict[str, Access]:
    """Of the quarantine of each raw table: rows of patients as they came, which a practice's manager sees and nobody else."""
    return {f"quarantine_{table}": Access(practice=PRACTICE, hidden={_MANAGER: _ALL}) for table in tables}
