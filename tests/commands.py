"""Commands as users give them, in this process: the answer in JSON, what was said to people, the exit code."""

from __future__ import annotations

import contextlib
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardlake.cli import main


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended. `answer` is the one JSON object on stdout."""

    code: int
    answer: dict[str, Any]
    said: str


def command(*arguments: str, conf: Path, lake: Path, env: str = "embedded") -> Ended:
    """Give a command with `--json`; Spark is the session that is there."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    flags = ["--conf", str(conf), "--lake", str(lake), "--env", env, "--json"]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([*arguments, *flags])
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Ended(code=code, answer=json.loads(out.getvalue() or "{}"), said=err.getvalue())
