"""What the residue tests share: the policy as configured, and a small source with its decisions."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.detection_rules import evidence_rules, matchers

from wardlake.detect.counting import CellCounts, Hit
from wardlake.detect.limits import speaking_hits
from wardlake.model.treatments import (
    Classification,
    DateShift,
    DateYear,
    Decision,
    IdentifierKind,
    Profile,
    Rule,
    Surrogate,
    SurrogateKind,
    Token,
    TokenMode,
    Verdict,
    Zip3,
)
from wardlake.publish.residue.policy import ResiduePolicy
from wardlake.publish.residue.scan import ScanMeans
from wardlake.settings.validation import adapter_for, validate
from wardlake.settings.yaml_lines import read_yaml

ROOT = Path(__file__).parents[3]
KEY = bytes(range(32))
LIMITS = evidence_rules().content


def residue_policy() -> ResiduePolicy:
    document, wrong = read_yaml(ROOT / "conf/disclosure/residue.yaml", "residue.yaml")
    value, more = validate(adapter_for(ResiduePolicy), document, "residue.yaml")
    assert not wrong and not more, [*wrong, *more]
    return value


def sensitive(rule: Rule, kind: IdentifierKind | None = None) -> Decision:
    return Decision(verdict=Verdict.SENSITIVE, rule=rule, kind=kind)


def surrogate(kind: SurrogateKind) -> Decision:
    return sensitive(Surrogate(kind=kind, domain="patient", by="Id"))


SAFE = Decision(verdict=Verdict.SAFE)

PATIENTS: Mapping[str, Decision] = {
    "Id": sensitive(Token(domain="patient")),
    "SSN": sensitive(Token(domain="ssn"), IdentifierKind.SSN),
    "MRN": sensitive(Token(domain="mrn"), IdentifierKind.MRN),
    "DRIVERS": sensitive(Token(domain="drivers"), IdentifierKind.DRIVING_LICENCE),
    "BIRTHDATE": sensitive(DateYear(birth=True), IdentifierKind.DATE),
    "FIRST": surrogate(SurrogateKind.FIRST_NAME),
    "MIDDLE": surrogate(SurrogateKind.MIDDLE_NAME),
    "LAST": surrogate(SurrogateKind.LAST_NAME),
    "ADDRESS": surrogate(SurrogateKind.STREET),
    "PHONE": surrogate(SurrogateKind.PHONE),
    "EMAIL": surrogate(SurrogateKind.EMAIL),
    "UDI": sensitive(Token(domain="device"), IdentifierKind.DEVICE),
    "ZIP": sensitive(Zip3(), IdentifierKind.ZIP),
    "GENDER": SAFE,
}
VISITS: Mapping[str, Decision] = {
    "Id": sensitive(Token(domain="encounter")),
    "PATIENT": sensitive(Token(domain="patient")),
    "START": sensitive(DateShift(), IdentifierKind.DATE),
    "NOTE": SAFE,
    "AMOUNT": SAFE,
}
CLASSIFICATION = Classification(
    source="clinic",
    profile=Profile.EXPERT,
    token_mode=TokenMode.KEYED,
    tables={"patients": PATIENTS, "visits": VISITS},
)
PATIENT_COLUMNS = list(PATIENTS)
PATIENT_ROWS = [
    (
        "1e621f4c-db30-c273-49e9-2dcad508a9cb", "512-35-9473", "MR-0044718", "S99962708", "1957-03-09", "Wilhelmina",
        "Rose", "Oberholtzer", "560 Ritchie Way Suite 68", "(302) 664-6860", "willa.ober@postbox.net",
        "(01)28139969173882(11)191214(17)441228(10)8810(21)408828821111378", "19720", "F",
    ),
    (
        "2e23caa4-d831-1f47-c522-0518bab7bd3d", "417093388", "MR-0099120", "D44510977", "1988-11-30", "José",
        "", "O'Brien-Nuñez", "17 South Clover Street", "1-484-371-9025", "jose@nunez.example.org", None, "19958-1234", "M",
    ),
]  # fmt: skip

CLEAN_PATIENTS = [
    (
        "aaaaaaaa-1111-4222-8333-444444444444", "a9f0c1d2", "b8e1d2c3", "c7d2e3b4", "1957-01-01", "Quentin", "Lee", "Fairweather",
        "9 Harbour Row", "(202) 555-0143", "q.fairweather@example.com", "dd77ee66", "197", "F",
    ),
    (
        "bbbbbbbb-1111-4222-8333-444444444444", "d6e3f4a5", "e5f4a5b6", "f4a5b6c7", "1988-01-01", "Imogen", "", "Blackwood",
        "71 Larch Avenue", "(202) 555-0178", "i.blackwood@example.com", None, "199", "M",
    ),
]  # fmt: skip
CLEAN_VISITS = [
    ("cccccccc-1111-4222-8333-444444444444", "aaaaaaaa-1111-4222-8333-444444444444", "2024-03-19", "Body height", "54.5"),
    ("dddddddd-1111-4222-8333-444444444444", "bbbbbbbb-1111-4222-8333-444444444444", "2023-07-02", "Pain severity", "130"),
]


def by_limits(counts: CellCounts) -> Mapping[Hit, int]:
    """The gate's own limits."""
    return speaking_hits(counts, LIMITS)


def scan_means() -> ScanMeans:
    return ScanMeans(matchers=matchers(), sift=by_limits, policy=residue_policy())
