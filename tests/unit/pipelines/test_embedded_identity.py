"""On one machine a person shows a second factor whose secret the environment refers to."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from tests.end_to_end.clinic import Clinic, make_clinic

from wardlake.adapters.totp import code_at, time_step
from wardlake.model.errors import ConfigurationError, NotAllowed

ME = pwd.getpwuid(os.getuid()).pw_name
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture
def clinic(tmp_path: Path) -> Clinic:
    clinic = make_clinic(tmp_path)
    secret = tmp_path / "totp"
    secret.write_text(f"{SECRET}\n")
    factors = f"  second_factors: {{{ME}: 'file:{secret}', somebody: 'file:{tmp_path}/not-for-us'}}\n"
    clinic.edit("environments/embedded.yaml", "  kind: operating-system\n", f"  kind: operating-system\n{factors}")
    return clinic


def code(clinic: Clinic) -> str:
    return code_at(SECRET, time_step(clinic.wiring().clock.now()))


def test_a_code_is_a_second_factor_once(clinic: Clinic) -> None:
    given = code(clinic)
    assert clinic.wiring().identity.second_factor(given).second_factor
    assert list((clinic.lake / "restricted" / "used-codes").iterdir())
    with pytest.raises(NotAllowed, match="used already"):
        clinic.wiring().identity.second_factor(given)


def test_a_wrong_code_is_none(clinic: Clinic) -> None:
    with pytest.raises(NotAllowed, match="wrong"):
        clinic.wiring().identity.second_factor("12345")


def test_a_secret_is_read_only_when_its_owner_shows_a_code(clinic: Clinic) -> None:
    (clinic.folder / "totp").unlink()
    assert not clinic.wiring().identity.caller().second_factor
    with pytest.raises(ConfigurationError, match="not there"):
        clinic.wiring().identity.second_factor("123456")
