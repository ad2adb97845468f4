"""What may be decided of a column, and the rules a sensitive one can be given.

The vocabulary is closed: a verdict or a rule that is not here cannot be written in `conf/classification/`, and code that
handles rules ends in a raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class Verdict(StrEnum):
    """What a person decided of a column."""

    SAFE = "safe"
    SENSITIVE = "sensitive"
    BLOCKED = "blocked"  # never written to the output


class Profile(StrEnum):
    """The legal basis a dataset is made under; it bounds which rules may be used (45 CFR 164.514)."""

    SAFE_HARBOR = "safe-harbor"
    LIMITED_DATA_SET = "limited-data-set"
    EXPERT = "expert"


class TokenMode(StrEnum):
    """How a token comes from an identifier: derived under a key, or drawn at random and remembered."""

    KEYED = "keyed"
    RANDOM = "random"


class Purpose(StrEnum):
    """What a dataset is made for. Tokens of two purposes cannot be linked."""

    DEV = "dev"
    POPULATION = "population"
    STUDY = "study"


class IdentifierKind(StrEnum):
    """Kinds of identifier that evidence, rules, the residue scan and canaries speak of."""

    PERSON_NAME = "person_name"
    PLACE_NAME = "place_name"
    STREET_ADDRESS = "street_address"
    ZIP = "zip"
    SSN = "ssn"
    MRN = "mrn"
    NPI = "npi"
    PHONE = "phone"
    EMAIL = "email"
    DATE = "date"
    IP_ADDRESS = "ip_address"
    URL = "url"
    CREDIT_CARD = "credit_card"
    DEVICE = "device"
    LICENCE_PLATE = "licence_plate"
    ACCOUNT = "account"
    DRIVING_LICENCE = "driving_licence"
    PASSPORT = "passport"
    UNIQUE_CODE = "unique_code"
    COORDINATE = "coordinate"
    BIOMETRIC = "biometric"
    AGE = "age"  # of a person, or the year of birth that tells it
    PASSWORD = "password"


# --- rules: one small frozen value each; `rule` is what the YAML writes ------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Replace an identifier by the token of its domain; the column's type survives."""

    rule: Literal["token"] = "token"
    domain: str
    prefix: str = ""  # e.g. `pat_`; only for text


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatToken:
    """A token that keeps the identifier's format (digits stay digits, separators stay): FF1, for at least a million values."""

    rule: Literal["format_token"] = "format_token"
    domain: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DateShift:
    """Move dates by one offset per patient, so that intervals and order within a patient stay.

    `days` bounds the offset, 1 to `days` days either way, never 0.
    """

    rule: Literal["date_shift"] = "date_shift"
    days: int = 365
    by: str = ""  # the column that names the patient; empty: the table's `patient` column
    # ISO dates or instants that stand for "unknown" or "no end" and stay as they are: shifted, one would give the offset away
    sentinels: tuple[str, ...] = ()
    # what a day that many patients share, and no sentinel, does: it halts the run, or people who know it said that it may move
    shared_days: Literal["halt", "accept"] = "halt"


@dataclass(frozen=True, slots=True, kw_only=True)
class DateYear:
    """Keep the year only (1 January); a birth year that implies an age over 89 becomes that of the 90+ class."""

    rule: Literal["date_year"] = "date_year"
    birth: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Age:
    """Ages in whole years; 90 and over become 90."""

    rule: Literal["age"] = "age"


@dataclass(frozen=True, slots=True, kw_only=True)
class Zip3:
    """First three digits where the prefix is on the allow-list, else `000`."""

    rule: Literal["zip3"] = "zip3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generalise:
    """Replace by a coarser value from a declared table; what is not in the table becomes `other`."""

    rule: Literal["generalise"] = "generalise"
    to: Mapping[str, str]
    other: str | None = None
    numbers: Literal["other", "keep"] = "other"  # `keep`: plain numbers stay, so that only words need declaring
    # in rows where one of these columns has one of these values, or none, every value becomes `other`: `{CODE: [30525-0]}`
    # for ages among measurements
    withhold_if: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Numbers to the lower bound of their bucket of `width`, or of the declared `edges`."""

    rule: Literal["bucket"] = "bucket"
    width: float | None = None
    edges: tuple[float, ...] = ()


class SurrogateKind(StrEnum):
    FIRST_NAME = "first_name"
    MIDDLE_NAME = "middle_name"
    LAST_NAME = "last_name"
    FULL_NAME = "full_name"
    NAME_PREFIX = "name_prefix"
    NAME_SUFFIX = "name_suffix"
    STREET = "street"
    CITY = "city"
    COUNTY = "county"
    PHONE = "phone"
    EMAIL = "email"
    ORGANISATION = "organisation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surrogate:
    """A realistic stand-in; the same person has the same one everywhere."""

    rule: Literal["surrogate"] = "surrogate"
    kind: SurrogateKind
    domain: str  # the token domain of the person or body the value belongs to
    by: str = ""  # the column that names that person or body; empty: the value itself is the key
    # `by` holds only in rows whose columns have these values, e.g. `{PLAN_OWNERSHIP: Self}`; elsewhere the value is the key
    by_if: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeText:
    """Remove that patient's own identifiers, then patterns, then names. Releasing it must be asked for: `release: true`."""

    rule: Literal["free_text"] = "free_text"
    release: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedTokens:
    """Identifiers inside a URL or file name get the token that the key columns give them.

    `pattern` is an RE2 expression with one group round the identifier; the rest of the text stays unless `rest` is `drop`.
    """

    rule: Literal["embedded_tokens"] = "embedded_tokens"
    pattern: str
    domain: str
    prefix: str = ""
    rest: Literal["keep", "drop"] = "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Password:
    """Every password becomes the hash of the one documented dev password."""

    rule: Literal["password"] = "password"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    rule: Literal["constant"] = "constant"
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Null:
    rule: Literal["null"] = "null"


@dataclass(frozen=True, slots=True, kw_only=True)
class Drop:
    rule: Literal["drop"] = "drop"


Rule = (
    Token
    | FormatToken
    | DateShift
    | DateYear
    | Age
    | Zip3
    | Generalise
    | Bucket
    | Surrogate
    | FreeText
    | EmbeddedTokens
    | Password
    | Constant
    | Null
    | Drop
)

# 45 CFR 164.514: Safe Harbor bars codes derived from the person and any date element but the year; a limited data set
# keeps dates and geography above street level, and bars the direct identifiers of (e)(2).
RULES_ALLOWED: Mapping[Profile, frozenset[str]] = {
    Profile.SAFE_HARBOR: frozenset(
        {
            "token",
            "date_year",
            "age",
            "zip3",
            "generalise",
            "bucket",
            "surrogate",
            "embedded_tokens",
            "password",
            "constant",
            "null",
            "drop",
        }
    ),
    Profile.LIMITED_DATA_SET: frozenset(
        {
            "token",
            "format_token",
            "date_shift",
            "date_year",
            "age",
            "zip3",
            "generalise",
            "bucket",
            "surrogate",
            "embedded_tokens",
            "password",
            "constant",
            "null",
            "drop",
        }
    ),
    Profile.EXPERT: frozenset(
        {
            "token",
            "format_token",
            "date_shift",
            "date_year",
            "age",
            "zip3",
            "generalise",
            "bucket",
            "surrogate",
            "free_text",
            "embedded_tokens",
            "password",
            "constant",
            "null",
            "drop",
        }
    ),
}

# Under Safe Harbor a token must be drawn at random: 164.514(c)(1) bars a code derived from the person's data.
MODES_ALLOWED: Mapping[Profile, frozenset[TokenMode]] = {
    Profile.SAFE_HARBOR: frozenset({TokenMode.RANDOM}),
    Profile.LIMITED_DATA_SET: frozenset({TokenMode.KEYED, TokenMode.RANDOM}),
    Profile.EXPERT: frozenset({TokenMode.KEYED, TokenMode.RANDOM}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The decision on one column path. A sensitive one has a rule; the others have none."""

    verdict: Verdict
    rule: Rule | None = None
    kind: IdentifierKind | None = None  # what the column holds, where that is known: drives the residue scan
    reason: str = ""

    def __post_init__(self) -> None:
        if (self.verdict is Verdict.SENSITIVE) != (self.rule is not None):
            raise ValueError("a sensitive column needs a rule, and only a sensitive one has a rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class Classification:
    """All decisions of one source: table name to column path (as written, without the table) to decision."""

    source: str
    profile: Profile
    token_mode: TokenMode
    tables: Mapping[str, Mapping[str, Decision]] = field(default_factory=dict)
    agreement: str = ""  # the data-use agreement on record; a limited data set needs one
