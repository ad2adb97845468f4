"""A pager that posts to a webhook, signed so that the receiver knows who called and when."""

from __future__ import annotations

import hashlib
import hmac
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from wardlake.adapters.page_text import page_json
from wardlake.adapters.system_clock import SystemClock
from wardlake.ports.clock import Clock
from wardlake.ports.pager import Page, PagerUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where to post. `secret` signs; attempts wait 1, 2, 4, ... times `backoff_seconds` between them."""

    url: str
    secret: bytes = field(repr=False)
    timeout_seconds: float = 5.0
    attempts: int = 3
    backoff_seconds: float = 1.0


def sign(secret: bytes, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 over `timestamp.body`: the header `Wardlake-Signature`."""
    return hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class WebhookPager:
    """The port `Pager` over HTTP. The receiver groups by the header `Idempotency-Key`, the incident's key."""

    def __init__(self, webhook: Webhook, *, clock: Clock | None = None) -> None:
        if urlsplit(webhook.url).scheme not in ("http", "https"):
            raise PagerUnavailable("the webhook's address is not http or https")
        self._webhook = webhook
        self._clock = clock or SystemClock()
        self._opener = urllib.request.build_opener(_NoRedirect)

    def page(self, page: Page) -> None:
        for attempt in range(self._webhook.attempts):
            if attempt:
                time.sleep(self._webhook.backoff_seconds * 2 ** (attempt - 1))
            if self._delivered(page):
                return
        raise PagerUnavailable("the webhook does not answer")

    def _delivered(self, page: Page) -> bool:
        """True when taken, False when another attempt may help; raises when the receiver refuses."""
        try:
            with self._opener.open(self._request(page), timeout=self._webhook.timeout_seconds):
                return True
        except urllib.error.HTTPError as error:
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                raise PagerUnavailable(f"the webhook refuses the page: HTTP {error.code}") from None
            return False
        except (urllib.error.URLError, OSError):
            return False

    def _request(self, page: Page) -> urllib.request.Request:
        body = page_json(page)
        timestamp = str(int(self._clock.now().timestamp()))
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": page.key,
            "Wardlake-Timestamp": timestamp,
            "Wardlake-Signature": sign(self._webhook.secret, timestamp, body),
        }
        return urllib.request.Request(self._webhook.url, data=body, headers=headers, method="POST")  # noqa: S310


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the signature to another host."""

    def redirect_request(self, *_: object) -> None:
        return None
