"""What pages are sent to: a webhook's receiver and a mail server, in threads of the test."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.servers.processes import LOOPBACK, free_port
from tests.waiting import PATIENTLY


@dataclass
class Posted:
    """One request that the webhook took."""

    headers: dict[str, str]
    body: bytes


@dataclass
class WebhookReceiver:
    """Answers with the statuses of `answers`, one a request, then with 200. Status 0: no answer for `delay` seconds."""

    url: str
    answers: list[int] = field(default_factory=list)
    posted: list[Posted] = field(default_factory=list)
    requests: int = 0
    delay: threading.Event = field(default_factory=threading.Event)


@contextmanager
def webhook_receiver() -> Iterator[WebhookReceiver]:
    receiver = WebhookReceiver("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.requests += 1
            status = receiver.answers.pop(0) if receiver.answers else 200
            if status == 0:
                receiver.delay.wait(timeout=60)
                return
            if status == 200:
                receiver.posted.append(Posted(dict(self.headers), body))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("Location", f"{receiver.url}elsewhere")
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    receiver.url = f"http://{LOOPBACK}:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    receiver.delay.set()
    server.shutdown()
    server.server_close()


@dataclass
class MailReceiver:
    """A mail server with STARTTLS that one user may log in to. `refuses` are recipients it does not take."""

    host: str
    port: int
    authority: Path
    user: str = "pager"
    password: str = "correct-horse"
    refuses: set[str] = field(default_factory=set)
    messages: list[EmailMessage] = field(default_factory=list)


@contextmanager
def mail_receiver(folder: Path) -> Iterator[MailReceiver]:
    certificate, key = _self_signed(folder)
    receiver = MailReceiver(LOOPBACK, free_port(), certificate)

    class Handler:
        async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
            if address in receiver.refuses:
                return "550 no such user"
            envelope.rcpt_tos.append(address)
            return "250 OK"

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            receiver.messages.append(BytesParser(policy=default).parsebytes(envelope.content))  # type: ignore[arg-type]
            return "250 OK"

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (receiver.user.encode(), receiver.password.encode())
        return AuthResult(success=right, handled=False)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    controller = Controller(
        Handler(),
        hostname=LOOPBACK,
        ready_timeout=PATIENTLY,
        port=receiver.port,
        tls_context=context,
        require_starttls=False,
        authenticator=authenticate,
    )
    controller.start()
    yield receiver
    controller.stop()


def _self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for the loopback address, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, LOOPBACK)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(LOOPBACK))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "certificate.pem", folder / "key.pem"
