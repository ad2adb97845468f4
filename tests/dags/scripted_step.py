#!/usr/bin/env python3
"""Stands where `wardlake` stands: writes down how it was called, and ends with the codes it was told to, one a call.

The lake's folder holds `SOURCE.json` ({step: [exit codes]}) and gains `SOURCE.calls`, one JSON list a line.
"""

import json
import sys
from pathlib import Path

words = sys.argv[1:]
flags = dict(zip(words[2::2], words[3::2], strict=True))
lake, source, step = Path(flags["--lake"]), flags["--source"], flags["--only"]
calls = lake / f"{source}.calls"
earlier = [json.loads(line) for line in calls.read_text().splitlines()] if calls.exists() else []
with calls.open("a") as log:
    log.write(json.dumps(words) + "\n")
codes = json.loads((lake / f"{source}.json").read_text()).get(step, [])
attempt = sum(call[-1] == step for call in earlier)
sys.exit(codes[attempt] if attempt < len(codes) else 0)
