"""Who does not count for a measure: the exclusions that CMS122, CMS125, CMS130 and CMS165 share (performance period 2026).

After the CQL libraries Hospice, PalliativeCare and AdvancedIllnessandFrailty; ages are those on the day that the period is up to.
Not decided, since the records do not hold it: devices that were ordered (those that an assessment tells are), hospice care that
was ordered and not given, where a discharge led to unless that is a procedure, a procedure that began before the period and
lasted into it, and a drug against dementia that was prescribed before last year and is still taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from wardlake.practices.marts.signs import Sign, begun_since, ever
from wardlake.practices.marts.value_sets import frailty

NEEDS = ("patients", "conditions", "visits", "procedures", "observations", "prescriptions", "practices")
OLD, VERY_OLD = 66, 81  # years on the day

_CONDITIONS, _PROCEDURES, _VISITS = ("conditions",), ("procedures",), ("visits",)
_OBSERVATIONS, _PRESCRIPTIONS = ("observations",), ("prescriptions",)

SHARED: Mapping[str, tuple[Sign, ...]] = {
    "in_hospice": (
        Sign(of=frailty.HOSPICE_ENCOUNTER, kinds=_VISITS),
        Sign(of=frailty.HOSPICE_CARE, kinds=_PROCEDURES),
        Sign(of=frailty.HOSPICE_DIAGNOSIS, kinds=_CONDITIONS),
        Sign(of=frailty.HOSPICE_ASSESSMENT, kinds=_OBSERVATIONS, told=frailty.YES),
    ),
    "in_palliative_care": (
        Sign(of=frailty.PALLIATIVE_ENCOUNTER, kinds=_VISITS),
        Sign(of=frailty.PALLIATIVE_CARE, kinds=_PROCEDURES),
        Sign(of=frailty.PALLIATIVE_DIAGNOSIS, kinds=_CONDITIONS),
        Sign(of=frailty.PALLIATIVE_ASSESSMENT, kinds=_OBSERVATIONS),
    ),
    "in_nursing_home": (
        Sign(of=frailty.HOUSING_STATUS, kinds=_OBSERVATIONS, when=ever, told=frailty.NURSING_HOME, is_last=True),
    ),
    "is_frail": (
        Sign(of=frailty.FRAILTY_DIAGNOSIS, kinds=_CONDITIONS),
        Sign(of=frailty.FRAILTY_SYMPTOM, kinds=("conditions", "observations")),
        Sign(of=frailty.FRAILTY_ENCOUNTER, kinds=_VISITS),
        Sign(of=frailty.EQUIPMENT_USED, kinds=_OBSERVATIONS, told=frailty.FRAILTY_DEVICE),
    ),
    "is_far_ill": (
        Sign(of=frailty.ADVANCED_ILLNESS, kinds=_CONDITIONS, when=begun_since(1)),
        Sign(of=frailty.DEMENTIA_DRUGS, kinds=_PRESCRIPTIONS, when=begun_since(1)),
    ),
}


def is_past_care(*, frail_alone: bool = False) -> Column:
    """Whether a shared exclusion holds, of `age` and the signs of `SHARED`; `frail_alone`: from 81 years on frailty will do."""
    age, is_frail = F.col("age"), F.col("is_frail")
    frail = (age >= OLD) & is_frail & F.col("is_far_ill")
    if frail_alone:
        frail = frail | ((age >= VERY_OLD) & is_frail)
    return F.col("in_hospice") | F.col("in_palliative_care") | ((age >= OLD) & F.col("in_nursing_home")) | frail
