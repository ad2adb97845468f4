"""The attack suite on a real Trino: nothing gets through closed policies, and each probe gets through its hole."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pytest
import requests
from pyspark.sql import SparkSession
from tests.commands import command
from tests.end_to_end.attest_lab import (
    ABROAD,
    APART,
    ASKED,
    ATTACKERS,
    BARE,
    FLAT,
    HELD,
    KEEPS_FILES,
    KEEPS_FUNCTIONS,
    KEEPS_GRANTS,
    OPERATOR,
    OTHER,
    OURS,
    OWNED,
    PASSWORD,
    PLAIN,
    PLUGINS,
    SERVICE,
    VIEWED,
    A,
    B,
    Lab,
    apply_holes,
    apply_our_rules,
    further_catalogs,
    make_tables,
    open_further_catalogs,
    open_lab,
    rules,
)
from tests.end_to_end.attest_mistakes import BESIDE, GATEWAYS, MISTAKES
from tests.servers.gateway import Asked, Knowledge, Mistake, OneByOne, open_gateway
from tests.servers.keycloak import KeycloakServer
from tests.servers.processes import ROOT, running
from tests.servers.trino import ADMINISTRATOR, CATALOG, DENIED, TrinoServer, delta_catalog, start_trino

from wardlake.adapters.trino_door import Credentials, TrinoDoor
from wardlake.pipelines.practices.attest import AT_WORK, CONTROL, Finding, attest
from wardlake.ports.warehouse_door import Answer, Caller, DoorUnavailable, PageRequest, Statement
from wardlake.practices.attest.every import PROBES
from wardlake.practices.attest.probe import Attempt, Probe, Verdict
from wardlake.practices.attest.target import Target


@dataclass(frozen=True)
class Hole:
    """Where a probe must succeed: a schema as an attacker; `unlocked` is the server without credentials, with more catalogues."""

    schema: str = HELD
    attacker: str = "attest_opened"
    unlocked: bool = False
    catalog: str = CATALOG


READS = (
    *("select", "select-theirs", "table", "join", "self-join", "cte", "exists", "count", "union", "window", "sample"),
    *("table-function", "prepared", "left-join", "file-columns", "file-path"),
)
PLANS = ("explain", "explain-io", "explain-json", "explain-analyze", "explain-analyze-verbose", "statistics")
CHANGES = ("insert", "delete", "update", "merge", "analyze", "create-table", "create-view", "alter", "definition")
CALLS = ("register_table", "unregister_table", "vacuum", "drop_extended_stats", "flush_metadata_cache")
HOLES = {
    **dict.fromkeys(READS, Hole(BARE)),
    **dict.fromkeys(BESIDE, Hole(attacker="attest_asks_beside")),
    **dict.fromkeys(PLANS, Hole(FLAT)),
    **dict.fromkeys(("error-cast", "error-division", "error-overflow", "error-date"), Hole(ASKED)),
    **dict.fromkeys(CHANGES, Hole(OWNED)),
    **dict.fromkeys((f"call-{name}" for name in CALLS), Hole(attacker="attest_calls")),
    **dict.fromkeys(("call-register_table", "call-unregister_table"), Hole(OWNED, "attest_owns")),
    **dict.fromkeys(("claims-user", "claims-original-user", "claims-both-users"), Hole(attacker="attest_impersonates")),
    **dict.fromkeys(("claims-original-roles", "set-role"), Hole(attacker="attest_impersonates")),
    **dict.fromkeys(("query-list", "query-page", "query-ui", "runtime-queries"), Hole(attacker="attest_views")),
    **dict.fromkeys(("query-kill-page", "query-kill-call"), Hole(attacker="attest_kills")),
    **dict.fromkeys(("runtime-tasks", "metadata"), Hole(attacker="attest_asks_system")),
    **dict.fromkeys(("schemas", "hidden-tables", "create-schema"), Hole(attacker="attest_wide")),
    **dict.fromkeys(("no-credentials", "pages-without-credentials", "catalogs"), Hole(unlocked=True)),
    "register-files": Hole(OWNED, "attest_owns"),
    "create-catalog": Hole(attacker="attest_makes"),
    "create-function": Hole(HELD, "attest_makes_functions", unlocked=True, catalog=KEEPS_FUNCTIONS),
    "grant": Hole(HELD, "attest_grants", unlocked=True, catalog=KEEPS_GRANTS),
    "other-$-tables": Hole(HELD, "attest_looks_beside", unlocked=True, catalog=KEEPS_FILES),
    "beans": Hole(HELD, "attest_measures", unlocked=True),
    "set-session": Hole(attacker="attest_sets"),
    "table-changes": Hole(attacker="attest_changes"),
    "management-pages": Hole(attacker="attest_informed"),
}
SELECT = PROBES["select"]


@pytest.fixture(scope="module")
def lab(spark: SparkSession, trino_server: TrinoServer) -> Iterator[Lab]:
    make_tables(spark, trino_server)
    trino_server.add_users(dict.fromkeys((OTHER, SERVICE, *ATTACKERS), PASSWORD))
    open_lab(trino_server)
    yield Lab(trino_server)
    trino_server.write_policies(DENIED, {})
    trino_server.wait_until_policies_are_read()


@pytest.fixture(scope="module")
def unlocked(lab: Lab, keycloak_server: KeycloakServer) -> Iterator[Lab]:
    """The same lake, behind a server that believes every name and shows its pages to all; and further catalogues."""
    signing_in = ("key-file", "required-issuer", "required-audience", "principal-field")
    settings = {
        **{"http-server.authentication.type": "", "password-authenticator.config-files": ""},
        **{f"http-server.authentication.jwt.{name}": "" for name in signing_in},
        **{"jwk.http-client.trust-store-path": "", "web-ui.authentication.type": "fixed", "web-ui.user": PLAIN},
    }
    catalogs = {name: delta_catalog(lab.server.lake) for name in (CATALOG, "other")} | further_catalogs(lab.server.lake)
    given = {"settings": settings, "catalogs": catalogs, "plugins": PLUGINS, "rules": rules()}
    with running(lambda: start_trino(keycloak_server, **given)) as server:
        opened = Lab(server)
        open_further_catalogs(opened)
        yield opened


@pytest.fixture(scope="module")
def closed(lab: Lab) -> list[Finding]:
    """All probes on the product's rules: of a table with a mask, and of the quarantine, which the attacker's role may not see."""
    apply_our_rules(lab.server)
    quarantine = f"{CATALOG}.{OURS}.quarantine_visits"
    deployment = lab.deployment(OURS)
    findings = attest(replace(deployment, hidden=(*deployment.hidden, quarantine)), lab.door())
    apply_holes(lab.server)
    return findings


@pytest.fixture(scope="module")
def without_holes(lab: Lab) -> list[Finding]:
    """All probes on the closed schema of the rules that have the holes."""
    return attest(lab.deployment(), lab.door())


def verdicts(findings: list[Finding], probe: str) -> dict[Verdict, str]:
    return {finding.outcome.verdict: finding.outcome.why for finding in findings if finding.probe == probe}


@pytest.mark.parametrize("probe", PROBES)
def test_nothing_gets_through_closed_policies(probe: str, closed: list[Finding]) -> None:
    found = verdicts(closed, probe)
    assert set(found) == {Verdict.HELD}, found


def test_the_product_s_rules_are_attacked_at_a_mart_and_at_the_quarantine(closed: list[Finding]) -> None:
    controls = {each.table: each.outcome.verdict for each in closed if each.probe == CONTROL}
    assert controls == {f"{OURS}.{name}": Verdict.HELD for name in ("prescriptions", "quarantine_visits")}


@pytest.mark.parametrize("probe", PROBES)
def test_nothing_gets_through_for_whom_no_hole_is_open(probe: str, without_holes: list[Finding]) -> None:
    found = verdicts(without_holes, probe)
    assert set(found) == {Verdict.HELD}, found


@pytest.fixture(scope="module")
def through(lab: Lab, request: pytest.FixtureRequest) -> Callable[[Hole], list[Finding]]:
    """Through a hole, all probes that have it: what they share is prepared once."""

    @cache
    def found(hole: Hole) -> list[Finding]:
        opened: Lab = request.getfixturevalue("unlocked") if hole.unlocked else lab
        door = opened.door(hole.attacker, password="" if hole.unlocked else PASSWORD)
        probes = {name: PROBES[name] for name, its in HOLES.items() if replace(its, attacker=hole.attacker) == hole} | {
            "select": SELECT
        }
        return attest(opened.deployment(hole.schema, hole.attacker, catalog=hole.catalog), door, probes=probes)

    return found


@pytest.mark.parametrize("probe", HOLES)
def test_each_probe_gets_through_its_hole(probe: str, through: Callable[[Hole], list[Finding]]) -> None:
    found = verdicts(through(HOLES[probe]), probe)
    assert set(found) == {Verdict.BROKEN}, found
    assert not any(value in why for why in found.values() for value in (A, B, OTHER))


@pytest.mark.parametrize("hole", sorted({hole for hole in HOLES.values() if hole.schema == HELD}, key=str), ids=str)
def test_beside_a_hole_the_table_is_closed(hole: Hole, through: Callable[[Hole], list[Finding]]) -> None:
    assert set(verdicts(through(hole), "select")) == {Verdict.HELD}


@pytest.mark.parametrize("probe", [name for name, hole in HOLES.items() if hole.attacker in ABROAD])
def test_what_further_catalogues_have_stays_closed_to_others(probe: str, through: Callable[[Hole], list[Finding]]) -> None:
    """On the server that believes every name too: the rule is what lets the probe through."""
    found = verdicts(through(replace(HOLES[probe], attacker=PLAIN)), probe)
    assert set(found) == {Verdict.HELD}, found


def test_a_function_that_a_probe_makes_is_taken_away_again(unlocked: Lab, through: Callable[[Hole], list[Finding]]) -> None:
    assert "taken away" in verdicts(through(HOLES["create-function"]), "create-function")[Verdict.BROKEN]
    functions = unlocked.door(ADMINISTRATOR, password="").ask(Statement(sql=f"SHOW FUNCTIONS FROM {KEEPS_FUNCTIONS}.{HELD}"))
    assert (functions.done, functions.rows) == (True, ())


@pytest.fixture(scope="module")
def before_gateway(lab: Lab) -> list[Finding]:
    """Through one gateway, as somebody for whom nothing is open: each probe, and each again while its mistake alone is made.

    While it is made, the table is read as well: `PROBE!` and `beside PROBE`.
    """
    gateway = OneByOne()

    def during(name: str, probe: Probe, called: str) -> Probe:
        def run(at: Target) -> Attempt:
            with gateway.making(MISTAKES[name]):
                return (yield from probe.run(at))

        return replace(probe, name=called, run=run)

    probes = [PROBES[name] for name in GATEWAYS]
    probes += [during(name, PROBES[name], f"{name}!") for name in MISTAKES]
    probes += [during(name, SELECT if name != SELECT.name else PROBES["count"], f"beside {name}") for name in MISTAKES]
    with open_gateway(lab.server, user=SERVICE, password=PASSWORD, operator=OPERATOR, mistake=gateway) as url:
        before = replace(lab, gateway=url)
        return attest(before.deployment(), before.door(), probes={each.name: each for each in probes})


@pytest.mark.parametrize("probe", MISTAKES)
def test_each_probe_gets_through_its_gateway_s_mistake(probe: str, before_gateway: list[Finding]) -> None:
    """And whoever only reads the table does not."""
    found = verdicts(before_gateway, f"{probe}!")
    assert set(found) == {Verdict.BROKEN}, found
    assert not any(value in why for why in found.values() for value in (A, B, OTHER))
    assert set(verdicts(before_gateway, f"beside {probe}")) == {Verdict.HELD}


@pytest.mark.parametrize("probe", GATEWAYS)
def test_a_gateway_that_makes_no_mistake_is_no_hole(probe: str, before_gateway: list[Finding]) -> None:
    assert set(verdicts(before_gateway, probe)) == {Verdict.HELD}


OF_VIEWS = ("select", "join", "left-join", "exists", "count", "cte")


@pytest.fixture(scope="module")
def views(lab: Lab) -> list[Finding]:
    """One reads a table under a filter, one a table without. Trino refuses views with their owner's rights here."""
    probes = {name: PROBES[name] for name in OF_VIEWS}
    return attest(lab.deployment(VIEWED, "attest_opened"), lab.door("attest_opened"), probes=probes)


@pytest.mark.parametrize("probe", OF_VIEWS)
def test_views_are_attacked_as_tables_are(probe: str, views: list[Finding]) -> None:
    found = {each.table.split(".")[1]: each.outcome.verdict for each in views if each.probe == probe}
    assert found == {"closed": Verdict.HELD, "open": Verdict.BROKEN}


TARGET = Target(
    **{"catalog": "lake", "schemas": (HELD,), "attacker": PLAIN, "other": OTHER, "own": (A,), "others": (B,)},
    **{"mark": "wardlake_attest", "schema": HELD, "table": "visits", "practice": "practice_id"},
    **{"their_query": "20260101_000000_00001_aaaaa", "hidden": (f"lake.{APART}.allowed",)},
    location="local:///attest/parted",
)


class Scripted:
    """Gives the same answer to whatever is asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def run(self, probe: Probe) -> Verdict:
        attempt = probe.run(TARGET)
        try:
            next(attempt)
            while True:
                attempt.send(self._answer)
        except StopIteration as ended:
            return Verdict(ended.value.verdict)


def test_every_probe_has_its_hole() -> None:
    assert HOLES.keys() | GATEWAYS.keys() == PROBES.keys()
    assert not HOLES.keys() & GATEWAYS.keys()


def test_every_probe_has_a_hole_in_which_no_other_is_open() -> None:
    """Of Trino's own, or of a gateway's."""
    shared = {name for name, hole in HOLES.items() if list(HOLES.values()).count(hole) > 1}
    assert shared <= MISTAKES.keys()


# Asked for another purpose, which the answer does not serve: to know which catalogues to try, to take away what was made.
ALSO_ASKED = {
    "catalogs": {"beans"},
    "call-unregister_table": {"register-files"},
    "register-files": {"call-unregister_table"},
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_gateway_s_mistake_changes_what_one_probe_asks_and_no_other(mistake: str) -> None:
    changed = {name for name, probe in PROBES.items() if any(is_changed(each, MISTAKES[mistake]) for each in requests_of(probe))}
    assert changed <= {mistake} | ALSO_ASKED.get(mistake, set())


@cache
def requests_of(probe: Probe) -> tuple[Asked, ...]:
    """What a probe asks where nothing comes, something comes, and all is refused: as it leaves the door."""
    found: list[Asked] = []
    for answer in (Answer(status=200), Answer(status=200, columns=("a",), rows=((A, 1),)), Answer(status=403)):
        attempt = probe.run(TARGET)
        try:
            question = next(attempt)
            while True:
                found.append(as_sent(question))
                question = attempt.send(answer)
        except (StopIteration, LookupError, ValueError):
            continue
    return tuple(found)


def as_sent(question: Statement | PageRequest) -> Asked:
    sent: list[Asked] = []

    class Listening(TrinoDoor):
        def _once(self, method: str, url: str, headers: Mapping[str, str], body: str) -> requests.Response:
            named = {name.title(): value for name, value in headers.items()}
            sent.append(Asked(method=method, path=url.removeprefix("https://warehouse"), headers=named, body=body.encode()))
            raise requests.ConnectionError

    if isinstance(question, PageRequest) and question.signed_in:
        return Asked(method=question.method, path=question.path, headers={"Cookie": "Trino-UI-Token=signed-in"})
    callers = {
        Caller.ATTACKER: Credentials(user=PLAIN, password=PASSWORD),
        Caller.OTHER: Credentials(user=OTHER, password=PASSWORD),
    }
    door = Listening("https://warehouse", callers)
    with pytest.raises(DoorUnavailable):
        door.ask(question) if isinstance(question, Statement) else door.get(question)
    return sent[0]


def is_changed(asked: Asked, mistake: Mistake) -> bool:
    """In what it is, or in whose name it is asked; with which proof of the same name is nobody's matter."""
    made = mistake(asked, Knowledge(user=SERVICE, operator=OPERATOR, password=PASSWORD, secret="secret"))
    if not isinstance(made, Asked):
        return True
    before, after = ({name: value for name, value in each.headers.items() if name != "Authorization"} for each in (asked, made))
    return (made.method, made.path, made.body, after) != (asked.method, asked.path, asked.body, before)


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize(
    "answer", [Answer(status=418), Answer(status=200, error="GENERIC_INTERNAL_ERROR")], ids=["http", "error"]
)
def test_what_cannot_be_understood_is_not_held(probe: str, answer: Answer) -> None:
    assert Scripted(answer).run(PROBES[probe]) in {Verdict.UNKNOWN, Verdict.BROKEN}


def test_a_server_that_is_away_attests_nothing(lab: Lab) -> None:
    class Away:
        """Answers what prepares the attack, and goes away when it begins."""

        def ask(self, statement: Statement) -> Answer:
            if "information_schema" in statement.sql or statement.sql.startswith("SELECT count(*) FROM"):
                return lab.door().ask(statement)
            raise DoorUnavailable("gone")

        def get(self, request: PageRequest) -> Answer:
            raise DoorUnavailable("gone")

        def begin(self, statement: Statement) -> object:
            raise DoorUnavailable("gone")

    findings = attest(lab.deployment(), Away())  # type: ignore[arg-type]
    assert {
        each.outcome.verdict for each in findings if each.probe not in {CONTROL, *(n for n in PROBES if n.startswith("error"))}
    } == {Verdict.UNKNOWN}


def test_a_deployment_in_which_there_is_nothing_to_take_is_not_attested(lab: Lab) -> None:
    findings = attest(lab.deployment("no_such_schema"), lab.door(), probes={"select": PROBES["select"]})
    assert [(each.probe, each.stands) for each in findings] == [(CONTROL, False)]


def test_an_attacker_who_sees_nothing_at_all_attests_nothing(lab: Lab) -> None:
    findings = attest(lab.deployment(FLAT), lab.door(), probes={"select": PROBES["select"]})
    assert verdicts(findings, "select") == {Verdict.HELD: "refused"}
    assert [each.stands for each in findings if each.probe == CONTROL and not each.table] == [False]


@pytest.fixture
def deployment_file(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ATTEST_PASSWORD", PASSWORD)
    file = tmp_path / "clinics.yaml"
    write_deployment(file, lab, HELD, PLAIN)
    return file


def write_deployment(file: Path, lab: Lab, schema: str, attacker: str) -> None:
    users = {attacker: ("attacker", A), OTHER: ("other", B)}
    file.write_text(
        f"name: clinics\nurl: {lab.server.url}\nca_file: {lab.server.certificate}\ncatalog: lake\nschemas: [{schema}]\n"
        + "".join(
            f"{part}: {{user: {user}, practices: [{practice}], password: 'env:ATTEST_PASSWORD'}}\n"
            for user, (part, practice) in users.items()
        )
    )


CHOSEN = ("--probe", "select", "--probe", "statistics", "--probe", "no-credentials")


def test_the_command_ends_with_0_where_all_is_held(deployment_file: Path, tmp_path: Path) -> None:
    ended = command("warehouse", "attest", "--deployment", str(deployment_file), *CHOSEN, conf=ROOT / "conf", lake=tmp_path)
    assert (ended.code, ended.answer["verdicts"]["held"]) == (0, 4), ended.said  # the control, and each once


def test_the_command_ends_with_23_and_names_no_value(deployment_file: Path, lab: Lab, tmp_path: Path) -> None:
    write_deployment(deployment_file, lab, BARE, "attest_opened")
    ended = command("warehouse", "attest", "--deployment", str(deployment_file), *CHOSEN, conf=ROOT / "conf", lake=tmp_path)
    assert ended.code == 23
    broken = {(each["probe"], each["table"]) for each in ended.answer["findings"] if each["verdict"] == "BROKEN"}
    assert broken == {("select", f"{BARE}.visits"), ("statistics", f"{BARE}.visits")}
    said = ended.said + json.dumps(ended.answer)
    assert not any(value in said for value in (A, B, PASSWORD))


def test_the_command_ends_with_23_where_nobody_is_let_in(
    deployment_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTEST_PASSWORD", "another password")
    ended = command("warehouse", "attest", "--deployment", str(deployment_file), *CHOSEN, conf=ROOT / "conf", lake=tmp_path)
    assert (ended.code, ended.answer.get("findings")) == (23, None)
    assert "HTTP 401" in ended.said


def test_mistakes_of_a_deployment_are_told_at_once(tmp_path: Path) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(
        "name: wrong\nurl: http://warehouse.example\ncatalog: lake\nschemas: []\n"
        "attacker: {user: ann, practices: [P1], password: 'env:X', token: 'env:Y'}\n"
        "other: {user: ann, practices: [P1]}\nlocations: {elsewhere.visits: visits}\n"
    )
    ended = command("warehouse", "attest", "--deployment", str(file), conf=ROOT / "conf", lake=tmp_path)
    assert (ended.code, len(ended.answer["error"]["which"])) == (2, 7), ended.said


def test_a_token_opens_the_door_as_well(lab: Lab, keycloak_server: KeycloakServer) -> None:
    keycloak_server.add_user(PLAIN, PASSWORD)
    callers = {Caller.ATTACKER: Credentials(user=PLAIN, token=keycloak_server.token(PLAIN, PASSWORD))}
    door = TrinoDoor(lab.server.url, callers, authority=str(lab.server.certificate))
    assert door.ask(Statement(sql="SELECT current_user")).rows == ((PLAIN,),)


def test_a_query_left_at_work_ends_when_it_is_told_to(lab: Lab) -> None:
    door = lab.door()
    standing = door.begin(Statement(sql=AT_WORK, caller=Caller.OTHER))
    assert standing.runs()
    page = PageRequest(path=f"/v1/query/{standing.query}", caller=Caller.OTHER)
    assert json.loads(door.get(page).text)["state"] not in {"FAILED", "FINISHED"}
    standing.end()
    assert not standing.runs()
    assert json.loads(door.get(page).text)["state"] == "FAILED"  # cancelled by its owner
