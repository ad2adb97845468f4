"""Who sees what in a real Trino, from the steward's word to a user's query."""

from __future__ import annotations

import gzip
import hashlib
import os
import pwd
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import trino
from pyspark.sql import SparkSession
from tests.end_to_end.warehouse_office import BAD_DAY, DENIED, NORTH, SOURCE, SOUTH, WEST, WarehouseOffice, obeyed, open_office
from tests.servers.keycloak import KeycloakServer
from tests.servers.postgres import PostgresServer
from tests.servers.trino import TrinoServer, replace_file
from tests.waiting import PATIENTLY, wait_until

from wardlake.adapters.postgres_registry import PostgresRegistry
from wardlake.pipelines.practices import policies as pipeline

CLOSED = (DENIED, "TABLE_NOT_FOUND")  # what nobody may see is not there for them


@pytest.fixture(scope="module")
def office(
    spark: SparkSession, postgres_server: PostgresServer, trino_server: TrinoServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WarehouseOffice]:
    for made in open_office(spark, postgres_server, trino_server, tmp_path_factory.mktemp("warehouse")):
        made.grant("ann", NORTH)
        made.grant("bob", SOUTH, role="clinician")
        made.grant("gil", NORTH, SOUTH)
        made.grant("wes", WEST)
        made.grant("ada", role="administrator")
        made.know("nobody")
        yield made


@pytest.fixture(scope="module")
def applied(office: WarehouseOffice) -> dict[str, Any]:
    return office.policies()


def test_the_command_says_what_it_did(applied: dict[str, Any]) -> None:
    assert applied["registered"] == [f"{SOURCE}.{name}" for name in ("prescriptions", "revenue", "visits")]
    assert applied["opened"] == ["ada", "administrator", "ann", "bob", "gil", "wes"]
    assert (applied["users"], applied["groups"], applied["changed"]) == (6, 4, True)


def test_each_user_sees_their_practices_and_no_other(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    assert office.sees("ann") == {NORTH}
    assert office.sees("bob") == {SOUTH}
    assert office.sees("wes") == {WEST}
    assert office.sees("nobody") is None
    assert office.ask("wes", f"SELECT count(*) FROM {SOURCE}.visits") == [[3]]


def test_a_group_manager_sees_several_practices_and_each_row_once(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    assert office.ask("gil", f"SELECT practice_id, count(*) FROM {SOURCE}.visits GROUP BY 1 ORDER BY 1") == [
        [NORTH, 1],
        [SOUTH, 2],
    ]


def test_a_role_sees_its_marts_and_columns(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    statement = f"SELECT drug, total_cost FROM {SOURCE}.prescriptions"
    assert office.ask("bob", statement) == [["metformin", None]]
    assert office.ask("ann", statement)[0][1] is not None
    assert office.refusal("bob", f"SELECT * FROM {SOURCE}.revenue") in CLOSED
    assert office.ask("ann", f"SELECT count(*) FROM {SOURCE}.revenue") == [[1]]


def test_an_administrator_can_stop_queries_and_sees_no_practice_s_rows(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    for name in ("visits", "prescriptions", "revenue"):
        assert office.refusal("ada", f"SELECT count(*) FROM {SOURCE}.{name}") == DENIED
    assert office.ask("ada", "CALL lake.system.flush_metadata_cache()") == []
    assert office.refusal("ada", "CALL system.runtime.kill_query('20260101_000000_00000_aaaaa', 'no')") == "NOT_FOUND"
    assert office.refusal("ann", "SELECT count(*) FROM system.runtime.queries") in CLOSED


def test_an_administrator_sees_neither_the_text_of_others_queries_nor_what_their_errors_say(
    office: WarehouseOffice, applied: dict[str, Any]
) -> None:
    """A failed cast quotes the cell."""
    with pytest.raises(trino.exceptions.TrinoQueryError) as told:
        office.ask("ann", f"SELECT CAST(practice_id || '!' AS bigint) FROM {SOURCE}.visits")
    assert NORTH in str(told.value.message)
    own = ("ann", office.trino.passwords["ann"])
    assert f"{NORTH}!" in office.trino.get(f"/v1/query/{told.value.query_id}", auth=own).text
    theirs = ("ada", office.trino.passwords["ada"])
    for page in ("/v1/query", f"/v1/query/{told.value.query_id}", "/ui/api/query", f"/ui/api/query/{told.value.query_id}"):
        answer = office.trino.get(page, auth=theirs)
        assert NORTH not in answer.text, page
        assert "CAST" not in answer.text, page
    assert office.ask("ada", "SELECT count(*) FROM system.runtime.queries WHERE \"user\" <> 'ada'") == [[0]]


def test_who_registers_marts_sees_none_of_their_rows(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    assert office.ask("administrator", f"SHOW TABLES FROM {SOURCE}") == [["prescriptions"], ["revenue"], ["visits"]]
    assert office.refusal("administrator", f"SELECT count(*) FROM {SOURCE}.visits") == DENIED


def test_a_user_of_keycloak_s_sees_what_the_token_s_name_is_entitled_to(
    office: WarehouseOffice, applied: dict[str, Any], keycloak_server: KeycloakServer
) -> None:
    keycloak_server.add_user("kim", "kim's password")
    token = keycloak_server.token("kim", "kim's password")
    assert office.sees("", token=token) is None
    office.grant("kim", SOUTH)
    office.policies()
    assert office.sees("", token=token) == {SOUTH}


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT * FROM {0}."visits$partitions"',
        'SELECT * FROM {0}."visits$history"',
        'SELECT * FROM {0}."visits$properties"',
        'SELECT "$path" FROM {0}.visits',
        "SELECT * FROM TABLE(lake.system.table_changes(schema_name => '{0}', table_name => 'visits', since_version => 0))",
        "CREATE VIEW {0}.mine AS SELECT * FROM {0}.visits",
        "CREATE TABLE {0}.mine AS SELECT * FROM {0}.visits",
        "DELETE FROM {0}.visits",
        "CALL lake.system.unregister_table('{0}', 'visits')",
        "CALL lake.system.vacuum('{0}', 'visits', '7d')",
        "SET SESSION query_max_run_time = '1h'",
        "SET SESSION lake.vacuum_min_retention = '0s'",
        "SELECT * FROM system.metadata.table_comments",
        "SELECT * FROM system.runtime.nodes",
        "CALL system.runtime.kill_query('20260101_000000_00000_aaaaa', 'no')",
    ],
)
def test_what_nobody_named_is_denied(office: WarehouseOffice, applied: dict[str, Any], statement: str) -> None:
    assert office.refusal("ann", statement.format(SOURCE)) in CLOSED


def test_an_earlier_version_is_seen_under_the_same_filter(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    assert office.ask("ann", f"SELECT DISTINCT practice_id FROM {SOURCE}.visits FOR VERSION AS OF 0") == [[NORTH]]


def test_a_query_under_a_policy_reads_no_file_of_another_practice(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    """Their files are away: whoever needs one fails."""
    questions = (
        "SELECT practice_id, sum(visits) FROM {0}.visits GROUP BY 1",
        "SELECT count(*) FROM {0}.visits WHERE visits > 0",
        "SELECT practice_id, r.paid FROM {0}.visits v LEFT JOIN {0}.revenue r USING (practice_id)",
    )
    before = [office.ask("ann", each.format(SOURCE)) for each in questions]
    folders = [
        folder
        for mart in ("visits", "revenue")
        for folder in (office.lake / "marts" / SOURCE / mart).glob("practice_id=*")
        if folder.name != f"practice_id={NORTH}"
    ]
    assert len(folders) == 4
    for folder in folders:
        folder.rename(folder.with_name(f".{folder.name}"))
    try:
        assert [office.ask("ann", each.format(SOURCE)) for each in questions] == before
        office.refusal("gil", f"SELECT sum(visits) FROM {SOURCE}.visits")
    finally:
        for folder in folders:
            folder.with_name(f".{folder.name}").rename(folder)


def test_a_left_join_keeps_its_rows_under_a_filter(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    days = "(VALUES ('north'), ('nowhere')) AS wanted (practice_id)"
    statement = f"SELECT wanted.practice_id, v.visits FROM {days} LEFT JOIN {SOURCE}.visits v USING (practice_id) ORDER BY 1"
    assert office.ask("ann", statement.replace("wanted.practice_id, ", "practice_id, ")) == [[NORTH, 1], ["nowhere", None]]
    nothing = f"{SOURCE}.visits v LEFT JOIN {SOURCE}.revenue r ON r.practice_id = v.practice_id || '!'"
    assert office.ask("gil", f"SELECT count(*), count(r.paid) FROM {nothing}") == [[3, 0]]


def test_what_was_recorded_is_what_lies_there_and_every_version_is_kept(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    folder = office.trino.policies
    records = [record["event"] for record in office.ends_well("audit", "query")["records"]]
    kinds = [record["kind"] for record in records]
    assert kinds.index("entitlement.granted") < kinds.index("policies.applied") < kinds.index("marts.registered")
    last = [record["details"] for record in records if record["kind"] == "policies.applied"][-1]
    for name, kept in (("rules", "json"), ("groups", "txt")):
        body = (folder / f"{name}.{kept}").read_bytes()
        assert last[f"{name}_sha256"] == hashlib.sha256(body).hexdigest()
        version = folder / "versions" / f"{name}-{last[f'{name}_sha256']}.{kept}.gz"
        assert gzip.decompress(version.read_bytes()) == body
        assert (folder / f"{name}.{kept}").stat().st_mode & 0o777 == 0o640


def test_a_user_s_address_stands_in_no_record_and_is_found_by_who_knows_it(office: WarehouseOffice) -> None:
    address = "mia@example.org"
    office.grant(address, NORTH)
    office.revoke(address)
    records = office.ends_well("audit", "query")["records"]
    mine = [
        each["event"] for each in records if hashlib.sha256(address.encode()).hexdigest()[:32] in str(each["event"]["details"])
    ]
    assert [each["kind"] for each in mine] == ["entitlement.granted", "entitlement.revoked"]
    assert address not in str(records)
    (ended,) = office.ends_well("warehouse", "entitlements", "--user", address, "--ended")["entitlements"]
    assert (ended["ended"]["reason"], ended["holds"]) == ("in the tests", False)


def test_nothing_changes_where_nothing_was_granted(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    office.policies()
    before = {path: path.stat().st_mtime_ns for path in office.trino.policies.glob("*.*")}
    again = office.policies()
    assert (again["changed"], again["opened"], again["closed"], again["registered"]) == (False, [], [], [])
    assert {path: path.stat().st_mtime_ns for path in office.trino.policies.glob("*.*")} == before


def test_a_dry_run_says_what_would_change_and_changes_nothing(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    office.policies()
    office.grant("dry", WEST)
    before = (office.trino.policies / "groups.txt").read_bytes()
    would = office.ends_well("warehouse", "policies", "--dry-run")
    assert (would["opened"], would["closed"], would["changed"], would["dry_run"]) == (["dry"], [], True, True)
    assert (office.trino.policies / "groups.txt").read_bytes() == before
    office.revoke("dry")


def test_a_watch_closes_in_ten_seconds_and_registers_marts_that_come(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    office.grant("rex", NORTH, SOUTH)
    office.grant("ike", SOUTH)
    office.policies()
    assert office.sees("rex") == {NORTH, SOUTH}
    watch = office.watch()
    try:
        office.grant("eve", WEST)
        assert wait_until(lambda: office.sees("eve") == {WEST}), (office.folder / "watch.log").read_text()
        office.revoke("rex", SOUTH)
        obeyed(lambda: office.sees("rex") == {NORTH})
        office.revoke("rex")
        obeyed(lambda: office.sees("rex") is None)
        end = datetime.now(UTC) + timedelta(seconds=40)
        office.grant("eve", WEST, until=end)
        assert office.sees("eve") == {WEST}
        assert obeyed(lambda: office.sees("eve") is None, since=end) >= end
        office.trino.pause()
        office.revoke("ike")
        obeyed(lambda: b"ike" not in (office.trino.policies / "groups.txt").read_bytes())
        office.trino.go_on()
        obeyed(lambda: office.is_denied("ike"))
        office.write_mart("panel", like="visits")
        assert wait_until(lambda: ["panel"] in office.ask("administrator", f"SHOW TABLES FROM {SOURCE}"))
    finally:
        office.trino.go_on()
        watch.terminate()
        watch.wait(timeout=PATIENTLY)
        office.ask("administrator", f"CALL lake.system.unregister_table('{SOURCE}', 'panel')")
        office.remove_mart("panel")
    assert [each["holds"] for each in office.ends_well("warehouse", "entitlements", "--user", "eve")["entitlements"]] == [False]


def test_a_mart_without_a_policy_is_not_registered_and_what_was_revoked_is_closed_all_the_same(
    office: WarehouseOffice, applied: dict[str, Any]
) -> None:
    office.grant("tom", NORTH)
    office.policies()
    office.write_mart("referrals", like="visits")
    try:
        office.revoke("tom")
        office.grant("new", NORTH)
        ended = office.run("warehouse", "policies")
        assert ended.code == 23
        assert f"{SOURCE}.referrals: lies in the zone of marts without a policy" in ended.said
        office.trino.wait_until_policies_are_read()
        assert office.sees("tom") is None
        assert office.sees("new") is None
        assert ["referrals"] not in office.ask("administrator", f"SHOW TABLES FROM {SOURCE}")
    finally:
        office.remove_mart("referrals")
    office.policies()
    assert office.sees("new") == {NORTH}


def test_a_table_that_no_mart_knows_is_refused_and_nobody_sees_it(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    office.write_mart("raw_rows", like="visits")
    office.trino.register(SOURCE, "raw_rows", f"marts/{SOURCE}/raw_rows")
    office.remove_mart("raw_rows")
    office.write_mart("raw_rows", like="visits")
    try:
        ended = office.run("warehouse", "policies")
        assert ended.code == 23
        assert f"{SOURCE}.raw_rows: is registered, and no mart of ours" in ended.said
        assert office.refusal("gil", f"SELECT * FROM {SOURCE}.raw_rows") in CLOSED
    finally:
        office.ask("administrator", f"CALL lake.system.unregister_table('{SOURCE}', 'raw_rows')")
        office.remove_mart("raw_rows")
    office.policies()


def test_a_mart_that_the_warehouse_does_not_take_holds_up_no_other(
    office: WarehouseOffice, applied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wardlake.adapters.trino_warehouse import TrinoWarehouse

    register = TrinoWarehouse.register

    def refuse_the_first(self: TrinoWarehouse, schema: str, table: str, location: str) -> None:
        if table == "chronic_conditions":
            location = "local:///nowhere"
        register(self, schema, table, location)

    marts = ("chronic_conditions", "readmissions")
    for mart in marts:
        office.write_mart(mart, like="visits")
    monkeypatch.setattr(pipeline, "LET_IN_PATIENCE_SECONDS", 1.0)
    try:
        with monkeypatch.context() as patch:
            patch.setattr(TrinoWarehouse, "register", refuse_the_first)
            ended = office.run("warehouse", "policies")
        assert ended.code == 23
        assert f"{SOURCE}.chronic_conditions: " in ended.said
        shown = office.ask("administrator", f"SHOW TABLES FROM {SOURCE}")
        assert ["readmissions"] in shown
        assert ["chronic_conditions"] not in shown
        assert office.policies()["registered"] == [f"{SOURCE}.chronic_conditions"]
    finally:
        for mart in marts:
            office.ask("administrator", f"CALL lake.system.unregister_table('{SOURCE}', '{mart}')")
            office.remove_mart(mart)
    office.policies()


def test_a_clock_that_has_gone_back_opens_nothing(
    office: WarehouseOffice, applied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from wardlake.adapters.system_clock import SystemClock

    office.grant("cat", NORTH, until=datetime.now(UTC) + timedelta(days=2))
    later = datetime.now(UTC) + timedelta(days=3)
    with monkeypatch.context() as patch:
        patch.setattr(SystemClock, "now", lambda _: later)
        office.policies()
    assert office.sees("cat") is None
    ended = office.run("warehouse", "policies")
    assert ended.code == 23
    assert "the clock has gone back" in ended.said
    office.trino.wait_until_policies_are_read()
    assert office.sees("cat") is None
    office.ends_well("warehouse", "policies", "--clock-is-right")
    office.trino.wait_until_policies_are_read()
    assert office.sees("cat") == {NORTH}


def test_another_run_waits_for_its_turn(
    office: WarehouseOffice, applied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "LOCK_SECONDS", 0.2)
    with PostgresRegistry(os.environ["REGISTRY_DSN"]).lock(pipeline.LOCK):
        assert office.run("warehouse", "policies").code == 21
    office.policies()


def test_a_file_that_is_being_written_is_not_taken_for_somebody_else_s(
    office: WarehouseOffice, applied: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run has put the groups in place and not kept their version yet, when this one comes."""
    office.policies()
    groups = (office.trino.policies / "groups.txt").read_bytes()
    kept = office.trino.policies / "versions" / f"groups-{hashlib.sha256(groups).hexdigest()}.txt.gz"
    waits, lock, said = threading.Event(), PostgresRegistry.lock, []

    def come(self: PostgresRegistry, name: str, **rest: Any) -> Any:
        if name == pipeline.LOCK:
            waits.set()
        return lock(self, name, **rest)

    come_in = threading.Thread(target=lambda: said.append(office.run("warehouse", "policies")))
    with PostgresRegistry(os.environ["REGISTRY_DSN"]).lock(pipeline.LOCK):
        monkeypatch.setattr(PostgresRegistry, "lock", come)
        version = kept.read_bytes()
        kept.unlink()
        come_in.start()
        assert waits.wait(PATIENTLY)
        kept.write_bytes(version)
    come_in.join(PATIENTLY)
    assert (said[0].code, said[0].answer["changed"], "closed before" in said[0].said) == (0, False, False)


def test_files_that_somebody_else_wrote_are_told_and_written_anew(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    office.know("mallory")
    groups = office.trino.policies / "groups.txt"
    replace_file(groups, groups.read_text().replace(":ann", ":ann,mallory"))
    assert "mallory" in groups.read_text()
    ended = office.run("warehouse", "policies")
    assert (ended.code, "are not what was written last" in ended.said) == (0, True)
    assert "mallory" not in groups.read_text()
    office.trino.wait_until_policies_are_read()
    assert (office.sees("mallory"), office.sees("ann")) == (None, {NORTH})


@pytest.mark.parametrize("broken", ["", "{", '{"tables": [{"filter": 1}]}', None])
def test_rules_that_are_missing_or_broken_give_no_rows(
    office: WarehouseOffice, applied: dict[str, Any], broken: str | None
) -> None:
    office.policies()
    assert office.sees("ann") == {NORTH}
    rules = office.trino.policies / "rules.json"
    whole = rules.read_text()
    if broken is None:
        rules.unlink()
    else:
        replace_file(rules, broken)
    try:
        obeyed(lambda: _gives_no_rows(office))
    finally:
        replace_file(rules, whole)
    obeyed(lambda: not _gives_no_rows(office))
    assert office.sees("ann") == {NORTH}


def _gives_no_rows(office: WarehouseOffice) -> bool:
    try:
        return not office.ask("ann", f"SELECT practice_id FROM {SOURCE}.visits")
    except (trino.exceptions.Error, trino.exceptions.HttpError):
        return True


def test_groups_that_are_missing_give_no_rows_and_come_back(office: WarehouseOffice, applied: dict[str, Any]) -> None:
    office.policies()
    (office.trino.policies / "groups.txt").unlink()
    obeyed(lambda: _gives_no_rows(office))
    office.ends_well("warehouse", "policies")
    obeyed(lambda: not _gives_no_rows(office))


LATER = (datetime.now(UTC) + timedelta(days=9)).date().isoformat()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--practice", "nowhere", "--practice", NORTH), 2, "there is no practice 'nowhere'"),
        (("--practice", NORTH, "--until", "2020-01-01"), 2, "over already"),
        (("--practice", NORTH, "--role", "owner"), 2, "owner"),
        (("--practice", NORTH, "--user", "a,b"), 2, "'a,b' cannot be a user"),
        (("--practice", NORTH, "--user", "a\nwardlake_administrators:b"), 2, "cannot be a user"),
        (("--practice", NORTH, "--user", "administrator"), 2, "registers marts"),
        (("--practice", NORTH, "--role", "administrator"), 2, "sees no practice"),
        (("--practice", NORTH, "--user", "ada"), 2, "would be both"),
        (("--practice", NORTH, "--reason", " "), 2, "no reason"),
        ((), 2, "no --practice"),
        (("--practice", NORTH, "--user", pwd.getpwuid(os.getuid()).pw_name), 19, "Nobody grants to themselves"),
    ],
)
def test_what_cannot_be_granted_is_refused_by_name(office: WarehouseOffice, words: tuple[str, ...], code: int, told: str) -> None:
    given = {"--user": "una", "--role": "manager", "--until": LATER, "--reason": "in the tests"}
    pairs = [*zip(words[::2], words[1::2], strict=True)]
    rest = [word for name, value in given.items() if name not in dict(pairs) for word in (name, value)]
    before = office.ends_well("warehouse", "entitlements", "--ended")
    ended = office.run("warehouse", "grant", *[word for pair in pairs for word in pair], *rest)
    assert (ended.code, told in ended.said) == (code, True), ended.said
    assert len(office.ends_well("warehouse", "entitlements", "--ended")["entitlements"]) == len(before["entitlements"])


def test_a_revocation_of_nothing_is_told(office: WarehouseOffice) -> None:
    ended = office.run("warehouse", "revoke", "--user", "ann", "--practice", WEST, "--reason", "mistyped")
    assert (ended.code, "no such entitlement" in ended.said) == (2, True)


@pytest.fixture(scope="module")
def quarantine(office: WarehouseOffice, applied: dict[str, Any]) -> Iterator[str]:
    with office.quarantine(NORTH, SOUTH) as table:
        yield table


@pytest.mark.parametrize(
    "statement",
    [
        'SELECT * FROM {0}."{1}$partitions"',
        'SELECT * FROM {0}."{1}$history"',
        'SELECT "$path" FROM {0}."{1}"',
        "SELECT * FROM TABLE(lake.system.table_changes(schema_name => '{0}', table_name => '{1}', since_version => 0))",
    ],
)
def test_what_waits_of_others_is_told_in_no_other_way(office: WarehouseOffice, quarantine: str, statement: str) -> None:
    assert office.refusal("ann", statement.format(*quarantine.split("."))) in CLOSED


def test_what_waits_is_seen_by_managers_of_its_practice_alone(office: WarehouseOffice, quarantine: str) -> None:
    statement = f"SELECT practice_id, start, description FROM {quarantine} ORDER BY description"
    north, south = [NORTH, BAD_DAY, "Asthma (1)"], [SOUTH, BAD_DAY, "Asthma (2)"]
    managers = {"ann": [north], "sue": [south], "gil": [north, south], "wes": [], "mix": [south]}
    assert {user: office.ask(user, statement) for user in managers} == managers
    for user in ("bob", "bil", "ada", "administrator", "nobody"):  # a clinician, who bills, who keeps it going, who registers
        assert office.refusal(user, statement) in CLOSED, user
    office.ends_well("practices", "release", "--practice", NORTH)
    assert [office.ask(user, statement) for user in ("ann", "sue")] == [[], [south]]  # no more once it is tried again
