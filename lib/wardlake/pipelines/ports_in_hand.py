"""The ports that commands are handed: whoever wires them decides what stands behind each."""

from __future__ import annotations

from typing import Protocol

from wardlake.audit.trail import AuditTrail
from wardlake.model.practices import FileCapture, PostgresCapture
from wardlake.model.zones import LakeLayout
from wardlake.ports.audit_sink import AuditSink
from wardlake.ports.change_stream import Captures
from wardlake.ports.clock import Clock
from wardlake.ports.contracts import Contracts
from wardlake.ports.entitlements import Entitlements
from wardlake.ports.identity import IdentityProvider
from wardlake.ports.keys import Keys
from wardlake.ports.objects import Objects
from wardlake.ports.pager import Pager
from wardlake.ports.policy_files import PolicyFiles
from wardlake.ports.registry import Registry
from wardlake.ports.sources import Sources
from wardlake.ports.tables import Tables
from wardlake.ports.warehouse import Warehouse
from wardlake.ports.work_queue import WorkQueue


class PortsInHand(Protocol):
    """Every port of an environment, each made when it is first asked for."""

    @property
    def layout(self) -> LakeLayout: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def objects(self) -> Objects: ...
    @property
    def audit_objects(self) -> Objects: ...
    @property
    def registry(self) -> Registry: ...
    @property
    def audit_sink(self) -> AuditSink: ...
    @property
    def trail(self) -> AuditTrail: ...
    @property
    def pager(self) -> Pager: ...
    @property
    def identity(self) -> IdentityProvider: ...
    @property
    def sources(self) -> Sources: ...
    @property
    def contracts(self) -> Contracts: ...
    @property
    def tables(self) -> Tables: ...
    @property
    def entitlements(self) -> Entitlements:
        """Raises `ConfigurationError` where the environment's registry is not PostgreSQL."""
        ...

    @property
    def policy_files(self) -> PolicyFiles:
        """Raises `ConfigurationError` where the environment has no warehouse."""
        ...

    @property
    def warehouse(self) -> Warehouse:
        """As the user who registers marts. Raises `ConfigurationError` where the environment has none."""
        ...

    def work_queue(self, source: str) -> WorkQueue:
        """Raises `ConfigurationError` where the environment's registry is not PostgreSQL."""
        ...

    def captures(self, source: str, capture: PostgresCapture | FileCapture) -> Captures: ...

    def prepare_key_file(self) -> None:
        """Make the embedded key file where the environment uses one and there is none; a vault is never touched."""
        ...
