"""Every mart, by name."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.practices.marts import (
    blood_pressure_control,
    chronic_conditions,
    claims_ageing,
    diabetes_control,
    panel,
    prescriptions,
    preventive_care,
    readmissions,
    revenue,
    visits,
)
from wardlake.practices.marts.mart import Mart

_MODULES = (
    blood_pressure_control,
    chronic_conditions,
    claims_ageing,
    diabetes_control,
    panel,
    prescriptions,
    preventive_care,
    readmissions,
    revenue,
    visits,
)
MARTS: Mapping[str, Mart] = {module.MART.name: module.MART for module in _MODULES}
