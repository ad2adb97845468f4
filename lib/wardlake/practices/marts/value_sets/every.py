"""Every value set, by name: what `value_sets` in `conf/practices/NAME.yaml` may speak of."""

from __future__ import annotations

from collections.abc import Mapping

from wardlake.practices.marts.value_sets import control, depression, frailty, panels, screening
from wardlake.practices.marts.value_sets.value_set import ValueSet

_FOUND = [
    *(each for module in (control, depression, frailty, panels, screening) for each in vars(module).values()),
    *panels.CHRONIC_CONDITIONS.values(),
]
VALUE_SETS: Mapping[str, ValueSet] = {each.name: each for each in _FOUND if isinstance(each, ValueSet)}
