"""What every pager promises: a log file, a webhook and e-mail, each alone and behind `OncePager`."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.servers.processes import LOOPBACK, free_port
from tests.servers.receivers import MailReceiver, WebhookReceiver, mail_receiver, webhook_receiver

from wardlake.adapters.email_pager import EmailPager, MailServer
from wardlake.adapters.log_pager import LogPager
from wardlake.adapters.once_pager import OncePager
from wardlake.adapters.sqlite_registry import SqliteRegistry
from wardlake.adapters.system_clock import SystemClock
from wardlake.adapters.webhook_pager import Webhook, WebhookPager, sign
from wardlake.ports.pager import Page, Pager, PagerUnavailable

IMPLEMENTATIONS = ("log_pager", "webhook_pager", "email_pager")
SECRET = b"0123456789abcdef0123456789abcdef"
PAGE = Page(
    key="dev-synthea-unclassified-7",
    title="dev refresh halted: 2 unclassified columns",
    lines=("patients.nickname", "visits.notes$.caller"),
    runbook="docs/runbooks/unclassified.md",
    run_id="dev-20260131T020000Z-3f9a1c",
)


@dataclass
class Paged:
    """A pager and what arrived at its other end, as texts."""

    pager: Pager
    received: Callable[[], list[str]]


def webhook_for(receiver: WebhookReceiver, *, seconds: float = 10.0) -> Webhook:
    return Webhook(url=receiver.url, secret=SECRET, timeout_seconds=seconds, attempts=3, backoff_seconds=0.01)


def server_for(receiver: MailReceiver) -> MailServer:
    return MailServer(
        host=receiver.host,
        port=receiver.port,
        sender="wardlake@example.org",
        recipients=("oncall@example.org", "second@example.org"),
        user=receiver.user,
        password=receiver.password,
        authority=str(receiver.authority),
    )


@pytest.fixture(params=IMPLEMENTATIONS)
def paged(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Paged]:
    with ExitStack() as stack:
        match request.param:
            case "log_pager":
                file = tmp_path / "pages" / "pages.jsonl"
                yield Paged(LogPager(file), lambda: file.read_text().splitlines())
            case "webhook_pager":
                hook = stack.enter_context(webhook_receiver())
                yield Paged(WebhookPager(webhook_for(hook)), lambda: [each.body.decode() for each in hook.posted])
            case "email_pager":
                mail = stack.enter_context(mail_receiver(tmp_path))
                yield Paged(
                    EmailPager(server_for(mail)),
                    lambda: [f"{each['Subject']}\n{each.get_content()}" for each in mail.messages],
                )
            case other:
                raise ValueError(other)


def test_a_page_arrives_with_all_it_says(paged: Paged) -> None:
    paged.pager.page(PAGE)
    (text,) = paged.received()
    for part in (PAGE.key, PAGE.title, *PAGE.lines, PAGE.runbook, PAGE.run_id):
        assert part in text


def test_the_same_incident_pages_once_and_another_again(paged: Paged, tmp_path: Path) -> None:
    pager = OncePager(paged.pager, SqliteRegistry(tmp_path / "registry.db"), SystemClock())
    pager.page(PAGE)
    pager.page(replace(PAGE, run_id="dev-20260201T020000Z-aaaaaa"))
    pager.page(replace(PAGE, key="another"))
    assert len(paged.received()) == 2


@pytest.fixture(params=IMPLEMENTATIONS)
def away(request: pytest.FixtureRequest, tmp_path: Path) -> Pager:
    match request.param:
        case "log_pager":
            (tmp_path / "file").write_text("a file where the folder should be")
            return LogPager(tmp_path / "file" / "pages.jsonl")
        case "webhook_pager":
            hook = Webhook(url=f"http://{LOOPBACK}:{free_port()}/", secret=SECRET, backoff_seconds=0.01)
            return WebhookPager(hook)
        case "email_pager":
            return EmailPager(MailServer(host=LOOPBACK, port=free_port(), sender="a@example.org", recipients=("b@example.org",)))
        case other:
            raise ValueError(other)


def test_a_page_that_cannot_be_delivered_says_so_soon(away: Pager) -> None:
    began = time.monotonic()
    with pytest.raises(PagerUnavailable):
        away.page(PAGE)
    assert time.monotonic() - began < 10


def test_an_incident_whose_page_was_not_delivered_pages_again(away: Pager, tmp_path: Path) -> None:
    registry = SqliteRegistry(tmp_path / "registry.db")
    with pytest.raises(PagerUnavailable):
        OncePager(away, registry, SystemClock()).page(PAGE)
    OncePager(LogPager(tmp_path / "pages.jsonl"), registry, SystemClock()).page(PAGE)
    assert PAGE.key in (tmp_path / "pages.jsonl").read_text()


def test_a_registry_that_is_away_silences_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file where the folder should be")
    registry = SqliteRegistry(tmp_path / "file" / "registry.db")
    OncePager(LogPager(tmp_path / "pages.jsonl"), registry, SystemClock()).page(PAGE)
    assert PAGE.key in (tmp_path / "pages.jsonl").read_text()


# --- the webhook -------------------------------------------------------------------------------------------------------


def test_the_webhook_is_signed_over_time_and_body() -> None:
    with webhook_receiver() as receiver:
        WebhookPager(webhook_for(receiver)).page(PAGE)
    (posted,) = receiver.posted
    assert posted.headers["Wardlake-Signature"] == sign(SECRET, posted.headers["Wardlake-Timestamp"], posted.body)
    assert posted.headers["Wardlake-Signature"] != sign(b"other", posted.headers["Wardlake-Timestamp"], posted.body)
    assert abs(int(posted.headers["Wardlake-Timestamp"]) - time.time()) < 60
    assert posted.headers["Idempotency-Key"] == PAGE.key
    assert json.loads(posted.body)["lines"] == list(PAGE.lines)


@pytest.mark.parametrize("failures", [[500], [503, 429], [0]], ids=["500", "503 then 429", "no answer"])
def test_a_webhook_that_fails_for_a_moment_gets_the_page(failures: list[int]) -> None:
    with webhook_receiver() as receiver:
        receiver.answers = list(failures)
        WebhookPager(webhook_for(receiver, seconds=5.0 if 0 in failures else 10.0)).page(PAGE)
    assert len(receiver.posted) == 1


def test_a_webhook_that_keeps_failing_is_tried_three_times() -> None:
    with webhook_receiver() as receiver:
        receiver.answers = [500] * 10
        with pytest.raises(PagerUnavailable):
            WebhookPager(webhook_for(receiver)).page(PAGE)
    assert receiver.requests == 3


@pytest.mark.parametrize("status", [400, 401, 404, 302])
def test_a_webhook_that_refuses_or_points_elsewhere_is_not_asked_again(status: int) -> None:
    with webhook_receiver() as receiver:
        receiver.answers = [status]
        with pytest.raises(PagerUnavailable, match=str(status)):
            WebhookPager(webhook_for(receiver)).page(PAGE)
    assert receiver.requests == 1


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/", "example.org"])
def test_a_webhook_is_http_or_https(url: str) -> None:
    with pytest.raises(PagerUnavailable):
        WebhookPager(Webhook(url=url, secret=SECRET))


# --- e-mail ------------------------------------------------------------------------------------------------------------


def test_the_mail_goes_to_everyone_in_one_thread_an_incident(tmp_path: Path) -> None:
    with mail_receiver(tmp_path) as receiver:
        EmailPager(server_for(receiver)).page(PAGE)
        EmailPager(server_for(receiver)).page(replace(PAGE, title="again:\r\nBcc: everyone@example.org"))
    one, two = receiver.messages
    assert one["To"] == "oncall@example.org, second@example.org"
    assert one["References"] == two["References"]
    assert (two["Bcc"], two["Subject"]) == (None, "[wardlake] again: Bcc: everyone@example.org")


def test_a_recipient_whom_the_server_refuses_is_reported(tmp_path: Path) -> None:
    with mail_receiver(tmp_path) as receiver:
        receiver.refuses = {"second@example.org"}
        with pytest.raises(PagerUnavailable, match="1 of 2"):
            EmailPager(server_for(receiver)).page(PAGE)


def test_a_wrong_password_is_not_printed(tmp_path: Path) -> None:
    with mail_receiver(tmp_path) as receiver, pytest.raises(PagerUnavailable) as refused:
        EmailPager(replace(server_for(receiver), password="letmein")).page(PAGE)
    assert "letmein" not in str(refused.value)
    assert receiver.messages == []


def test_a_certificate_of_nobody_we_know_is_refused(tmp_path: Path) -> None:
    with mail_receiver(tmp_path) as receiver, pytest.raises(PagerUnavailable, match="SSL"):
        EmailPager(replace(server_for(receiver), authority="")).page(PAGE)
    assert receiver.messages == []


def test_a_password_is_not_sent_without_tls(tmp_path: Path) -> None:
    with mail_receiver(tmp_path) as receiver, pytest.raises(PagerUnavailable, match="without TLS"):
        EmailPager(replace(server_for(receiver), starttls=False))
