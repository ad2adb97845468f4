"""The command line: flags in, one answer out, an exit code that everything relies on."""

from __future__ import annotations

from wardlake.cli.program import main

__all__ = ["main"]
