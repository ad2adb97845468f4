#!/usr/bin/env python3
"""Stands where `wardlake` stands: writes down how it was called, and ends with the codes it was told to, one a call.

The lake's folder holds `SOURCE.json` ({step: [exit codes]}) and gains `SOURCE.calls`, one JSON list a line. Where it holds
`SOURCE.real` (the program and the flags that stand for `--lake` here), the real step is run instead.
"""

import json
import os
import sys
from pathlib import Path

words = sys.argv[1:]
flags = dict(zip(words[2::2], words[3::2], strict=True))
lake, source, step = Path(flags.pop("--lake")), flags["--source"], flags["--only"]
calls = lake / f"{source}.calls"
earlier = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
with calls.open("a") as log:
    log.write(json.dumps(words) + "\n")
real = lake / f"{source}.real"
if real.exists():
    program, *given = json.loads(real.read_text())
    os.execv(program, [program, *words[:2], *given, *(word for flag in flags.items() for word in flag)])
codes = json.loads((lake / f"{source}.json").read_text()).get(step, [])
attempt = sum(call[-1] == step for call in earlier)
sys.exit(codes[attempt] if attempt < len(codes) else 0)
