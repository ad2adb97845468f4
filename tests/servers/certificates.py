"""Certificates for servers on loopback, made at their start by an authority of their own."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.servers.processes import LOOPBACK

LASTS = timedelta(days=2)


@dataclass(frozen=True)
class Certificate:
    """PEM files: `authority` is what clients trust; `chain` and `key` are the server's, `both` holds the two."""

    authority: Path
    chain: Path
    key: Path
    both: Path


def make_certificate(folder: Path) -> Certificate:
    """A new authority, and a certificate by it for `localhost` and the loopback address."""
    folder.mkdir(parents=True)
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("Wardlake tests", authority_key, "Wardlake tests", authority_key, server=False)
    signed = _certificate("localhost", key, "Wardlake tests", authority_key, server=True)
    made = Certificate(*(folder / name for name in ("authority.pem", "chain.pem", "key.pem", "both.pem")))
    made.authority.write_bytes(_pem(authority))
    made.chain.write_bytes(_pem(signed) + _pem(authority))
    made.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    made.both.write_bytes(made.key.read_bytes() + made.chain.read_bytes())
    return made


def _certificate(
    subject: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey, *, server: bool
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address(LOOPBACK))]
    building = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LASTS)
        .add_extension(x509.BasicConstraints(ca=not server, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    if server:
        building = building.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return building.sign(signer, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
