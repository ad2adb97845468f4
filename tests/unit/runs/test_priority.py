"""A lane that is nice is so to other sessions too."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from wardlake.runs.priority import AUTOGROUP

OWN = os.nice(0)  # of whoever runs the tests, perhaps nice already; what they start is as nice from its beginning
NICER = min(19, OWN + 7)
SAY = (
    f"import os; from wardlake.runs.priority import AUTOGROUP, lower_priority; print(lower_priority({NICER})); print(os.nice(0));"
    "print(AUTOGROUP.read_text() if AUTOGROUP.exists() else '')"
)


def said(code: str, *, as_service: bool) -> list[str]:
    ended = subprocess.run([sys.executable, "-c", code], start_new_session=as_service, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def test_who_leads_a_session_is_nice_to_all_others() -> None:
    was_told, niceness, group = said(SAY, as_service=True)[:3]
    assert (was_told, niceness) == ("True", str(NICER))
    assert group.endswith(f"nice {NICER}") or not AUTOGROUP.exists()


def test_a_session_of_somebody_else_stays_as_it_is() -> None:
    own = AUTOGROUP.read_text() if AUTOGROUP.exists() else ""
    was_told, niceness, *group = said(SAY, as_service=False)
    assert (was_told, niceness) == (str(not AUTOGROUP.exists()), str(NICER))
    assert "".join(group).strip() == own.strip()


@pytest.mark.parametrize("asked", [0, 3])
def test_who_is_nicer_already_stays_so(asked: int) -> None:
    code = (
        f"import os; os.nice(5); from wardlake.runs.priority import lower_priority; lower_priority({min(19, OWN + asked)});"
        "print(os.nice(0))"
    )
    assert said(code, as_service=True) == [str(min(19, OWN + 5))]
