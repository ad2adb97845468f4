"""What every command about the practices of a source works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from wardlake.model.practices import PracticesSpec
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.ports.change_stream import Captures
from wardlake.ports.work_queue import WorkQueue
from wardlake.practices.admission import Admission, admit
from wardlake.settings.load import Settings

Told = Callable[[str], None]  # hears a line about what was done: names and counts


@dataclass(frozen=True, kw_only=True)
class Practices:
    """The practices of one source: what is captured of it, and the ports in hand."""

    spec: PracticesSpec
    source: SourceSpec
    admission: Admission
    classification: Classification
    conf: Path
    ports: PortsInHand
    queue: WorkQueue
    expectations: Path  # the folder of the suites

    @property
    def captures(self) -> Captures:
        return self.ports.captures(self.spec.name, self.spec.capture)

    @property
    def log(self) -> str:
        return self.ports.layout.change_log(self.spec.name)

    @property
    def known(self) -> list[str]:
        """Every practice that was let in or met."""
        return [state.practice for state in self.queue.states()]


def open_practices(settings: Settings, ports: PortsInHand, name: str) -> Practices:
    """Raises `ConfigurationError` for a source without practices, `UnclassifiedColumns` where its keys are not decided on."""
    spec = settings.practices_of(name)
    source = settings.source(spec.name)
    classification = settings.classification(spec.name)
    return Practices(
        spec=spec,
        source=source,
        admission=admit(spec, source, classification),
        classification=classification,
        conf=settings.conf,
        ports=ports,
        queue=ports.work_queue(spec.name),
        expectations=settings.root / "expectations",
    )
