"""The code's version stands in every publication's record, so it must never read like a value."""

from __future__ import annotations

import pytest

from wardlake.audit.scan import check_event
from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.pipelines.fingerprints import code_version, name_version


def record(version: str) -> AuditEvent:
    return AuditEvent(
        kind=AuditKind.DATASET_PUBLISHED, actor="os:ward", at="2026-01-01T00:00:00+00:00", zone="dev", details={"code": version}
    )


@pytest.mark.parametrize("number", ["0.1.0", "0.1.10", "1.12.2024", "10.0.0", "2026.1.15"])
@pytest.mark.parametrize("digest", ["123456789012", "12345678abcd", "1234567890ab", "abc123456789", "000000000000"])
def test_no_version_and_no_hash_reads_like_a_value(number: str, digest: str) -> None:
    check_event(record(name_version(number, digest)))


def test_the_version_of_this_code_is_recorded() -> None:
    check_event(record(code_version()))
