"""Which change files were read is remembered on this machine, also where the zones lie on an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from wardlake.model.errors import ConfigurationError
from wardlake.model.practices import FileCapture
from wardlake.model.zones import Zone
from wardlake.settings.environment import Environment
from wardlake.wiring import Wiring

NEEDED = {"visits": ("id", "practice")}


def wiring(folder: Path) -> Wiring:
    environment = Environment(name="cluster", zones={Zone.RESTRICTED: "s3a://wardlake-restricted/restricted"})
    return Wiring(environment=environment, lake=str(folder / "lake"), root=folder, session=lambda: pytest.fail("no engine"))


def test_a_folder_of_its_own_remembers_them(tmp_path: Path) -> None:
    (tmp_path / "dropped" / "visits").mkdir(parents=True)
    (tmp_path / "dropped" / "visits" / "1.csv").write_text("Op,change_seq,change_time,id,practice\nI,1,2026-01-31,1,n\n")
    capture = FileCapture(folder=str(tmp_path / "dropped"), state=str(tmp_path / "state"))
    for told in (1, 0):
        captures = wiring(tmp_path).captures("clinics", capture)
        stream = captures.open(NEEDED, acknowledged=captures.begin(NEEDED))
        batch = stream.read(most=10, seconds=0)
        assert len(batch.changes) == told
        if batch.end:
            stream.acknowledge(batch.end)
        stream.close()


def test_without_one_the_zone_must_be_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a URI is none") as refused:
        wiring(tmp_path).captures("clinics", FileCapture(folder=str(tmp_path)))
    assert "conf/practices/clinics.yaml" in refused.value.next_step
