"""A pager that sends an e-mail."""

from __future__ import annotations

import hashlib
import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage

from wardlake.adapters.page_text import page_text
from wardlake.ports.pager import Page, PagerUnavailable


@dataclass(frozen=True, slots=True, kw_only=True)
class MailServer:
    """An SMTP server. `starttls` false is for a server on the same machine: it sends no password."""

    host: str
    port: int
    sender: str
    recipients: tuple[str, ...]
    user: str = ""
    password: str = field(default="", repr=False)
    starttls: bool = True
    timeout_seconds: float = 10.0
    authority: str = ""  # file with the certificate's authority; empty: the system's own


class EmailPager:
    """The port `Pager` over SMTP. Messages of one incident share a thread."""

    def __init__(self, server: MailServer) -> None:
        if server.password and not server.starttls:
            raise PagerUnavailable("a password is not sent without TLS")
        self._server = server

    def page(self, page: Page) -> None:
        message = self._message(page)
        try:
            with smtplib.SMTP(self._server.host, self._server.port, timeout=self._server.timeout_seconds) as smtp:
                self._secure(smtp)
                refused = smtp.send_message(message)
        except (smtplib.SMTPException, OSError) as error:
            raise PagerUnavailable(f"the mail server does not take the page: {type(error).__name__}") from None
        if refused:
            raise PagerUnavailable(f"the mail server refuses {len(refused)} of {len(self._server.recipients)} recipients")

    def _secure(self, smtp: smtplib.SMTP) -> None:
        if self._server.starttls:
            smtp.starttls(context=ssl.create_default_context(cafile=self._server.authority or None))
        if self._server.password:
            smtp.login(self._server.user, self._server.password)

    def _message(self, page: Page) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = ", ".join(self._server.recipients)
        message["Subject"] = "[wardlake] " + " ".join(page.title.split())
        message["References"] = f"<{hashlib.sha256(page.key.encode()).hexdigest()[:32]}@wardlake.invalid>"
        message.set_content(page_text(page))
        return message
