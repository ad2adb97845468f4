"""Where the tables lie that an attack is about: as the deployment's file says, or as the environment's own warehouse has them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

from wardlake.pipelines.practices.attest import know_locations
from wardlake.settings.deployment import Deployment, WarehouseUser
from wardlake.settings.environment import Trino
from wardlake.settings.load import Settings, load_settings

CONF = Path(__file__).parents[3] / "conf"
URL = "https://warehouse.example:8443"
DEPLOYMENT = Deployment(
    **{"name": "clinics", "url": URL, "catalog": "lake", "schemas": ("clinics",)},
    attacker=WarehouseUser(user="ann", practices=("P-0017",)),
    other=WarehouseUser(user="bob", practices=("P-0042",)),
)


def settings(url: str = URL, catalog: str = "lake") -> Settings:
    own = Trino(url=url, user="wardlake", password="env:X", catalog=catalog, policies="policies", marts="s3://marts/all/")
    read = load_settings(CONF, "embedded", today=date(2026, 1, 31))
    return replace(read, environment=replace(read.environment, warehouse=own))


def test_of_our_own_warehouse_every_mart_s_place_is_known_and_the_quarantine_s() -> None:
    known = know_locations(DEPLOYMENT, settings(f"{URL}/"))
    assert known.location_of("clinics", "visits") == "s3://marts/all/clinics/visits"
    assert known.location_of("clinics", "quarantine_encounters") == "s3://marts/all/clinics/quarantine_encounters"
    assert known.location_of("clinics", "somebody_s") == ""


def test_of_another_warehouse_nothing_is_known() -> None:
    for other in (settings("https://elsewhere.example"), settings(catalog="another")):
        assert know_locations(DEPLOYMENT, other) == DEPLOYMENT


def test_what_the_file_says_stands() -> None:
    said = {"clinics.visits": "s3://said/visits/", "clinics": "s3://said/rest"}
    known = know_locations(replace(DEPLOYMENT, locations=said), settings())
    assert known.location_of("clinics", "visits") == "s3://said/visits"
    assert known.location_of("clinics", "panel") == "s3://marts/all/clinics/panel"


def test_a_table_lies_under_its_name_in_its_schema_s_folder() -> None:
    said = replace(DEPLOYMENT, locations={"clinics": "s3://said/rest/"})
    assert said.location_of("clinics", "panel") == "s3://said/rest/panel"
