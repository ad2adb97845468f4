"""Progress of a run on a terminal or in a log: always on stderr."""

from __future__ import annotations

from rich.console import Console

from wardlake.model.plan import Step
from wardlake.runs.states import StepRecord


class TerminalProgress:
    """One line a step, with a spinner while it runs where stderr is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status = console.status("")

    def started(self, step: Step, number: int, of: int) -> None:
        if self._console.is_terminal:
            self._status.update(f"{number}/{of} {step.title} …")
            self._status.start()
        else:
            self._console.print(f"  {number}/{of} {step.title} …")

    def skipped(self, step: Step, number: int, of: int) -> None:
        self._console.print(f"[dim]= {number}/{of} {step.title}: already done[/]")

    def finished(self, step: Step, record: StepRecord) -> None:
        self._status.stop()
        note = record.outcome.get("note", "")
        self._console.print(f"[green]✓[/] {step.title} [dim]{record.wall_seconds:.1f} s[/] {note}")

    def failed(self, step: Step, seconds: float) -> None:
        self._status.stop()
        self._console.print(f"[red]✗[/] {step.title} [dim]{seconds:.1f} s[/]")
