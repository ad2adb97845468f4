"""Every way a command can end, each with its exit code.

A message says what happened, which table and column it happened to, and what to do next. It never holds a cell's
value, SQL text or key material: values enter no constructor here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class WardlakeError(Exception):
    """A failure that a person is told about: what, which, what next."""

    exit_code: ClassVar[int] = 70

    def __init__(self, what: str, *, which: Sequence[str] = (), next_step: str = "") -> None:
        self.what = what
        self.which = tuple(which)
        self.next_step = next_step
        super().__init__(what)

    def __str__(self) -> str:
        parts = [self.what]
        parts += [f"  - {item}" for item in self.which]
        if self.next_step:
            parts.append(f"Next: {self.next_step}")
        return "\n".join(parts)


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a configuration file, with the place to mend it. `line` counts from 1; 0 means the whole file."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


class ConfigurationError(WardlakeError):
    """The configuration or the command line is wrong; every mistake is reported at once."""

    exit_code = 2

    def __init__(self, mistakes: Sequence[Mistake] = (), *, what: str = "", next_step: str = "") -> None:
        self.mistakes = tuple(mistakes)
        count = len(self.mistakes)
        super().__init__(
            what or f"The configuration has {count} mistake{'s' if count != 1 else ''}.",
            which=[str(m) for m in self.mistakes],
            next_step=next_step,
        )


class UnclassifiedColumns(WardlakeError):
    """A column has no decision, or its content speaks against the decision it has."""

    exit_code = 10


class IdentifiersFound(WardlakeError):
    """The residue scan found identifiers in the output, or was shown to be too blind to be trusted."""

    exit_code = 11


class BrokenReferences(WardlakeError):
    """Keys of the output do not join as those of the source do."""

    exit_code = 12


class AuditUnavailable(WardlakeError):
    """The audit record cannot be written, so the action it records did not happen."""

    exit_code = 16


class KeysUnavailable(WardlakeError):
    """Keys cannot be reached, or the key asked for does not exist. Reading never creates one."""

    exit_code = 17


class NotAllowed(WardlakeError):
    """The caller's identity or role does not permit this."""

    exit_code = 19


class ContractBroken(WardlakeError):
    """Data does not keep its contract: a missing column, a changed type, a duplicate or null key, a bad encoding."""

    exit_code = 20


class ChangesLost(ContractBroken):
    """A source no longer holds the changes that come next, or stands before what was captured: rows are to be read anew."""


class EngineLost(WardlakeError):
    """The engine ended in the midst of its work: killed, most often for want of memory."""


class RunLocked(WardlakeError):
    """Another run holds the lock."""

    exit_code = 21


class DoneInPart(WardlakeError):
    """What could be done was done and answered; the rest wants something that is not there."""

    exit_code = 22


class VerificationFailed(WardlakeError):
    """Something recorded does not match what is there."""

    exit_code = 23


class StorageUnavailable(WardlakeError):
    """A disk, an object store or the registry is full, refuses or does not answer; the run goes on once it is mended."""

    exit_code = 24
