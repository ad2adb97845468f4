"""A page as text and as JSON, the same in every pager."""

from __future__ import annotations

import json

from wardlake.ports.pager import Page


def page_text(page: Page) -> str:
    lines = "\n".join(f"  - {line}" for line in page.lines)
    return f"{page.title}\n{lines}\nRun: {page.run_id}\nRunbook: {page.runbook}\nIncident: {page.key}\n"


def page_json(page: Page) -> bytes:
    document = {
        "key": page.key,
        "title": page.title,
        "lines": list(page.lines),
        "runbook": page.runbook,
        "run_id": page.run_id,
    }
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
