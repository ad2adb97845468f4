"""Data Docs as static pages that load nothing: the library's own rendering without its scripts, fonts and images."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_SCRIPTS = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
_LOADED = re.compile(r"<(?:link|img|iframe|base)\b[^>]*>", re.DOTALL | re.IGNORECASE)
_REMOTE_STYLE = re.compile(r"url\(\s*['\"]?https?:[^)]*\)", re.IGNORECASE)
_BODY = re.compile(r"<body\b[^>]*>(.*)</body\s*>", re.DOTALL | re.IGNORECASE)
_FOOTER = re.compile(r"<footer\b.*?</footer\s*>", re.DOTALL | re.IGNORECASE)
_HANDLERS = re.compile(r"\s+on\w+\s*=\s*(?:\"[^\"]*\"|'[^']*')", re.IGNORECASE)
_SAFE_NAME = re.compile(r"[^A-Za-z0-9_-]")

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; padding: .3rem .6rem; border-bottom: 1px solid #8884; vertical-align: top; }}
.fa-check-circle::before {{ content: "\\2714"; color: #15803d; }}
.fa-times::before {{ content: "\\2718"; color: #b91c1c; }}
nav, .modal, .popover, button, input {{ display: none; }}
</style></head><body>
"""


def page_name(table: str) -> str:
    """A file name for a table's page, whatever the table is called."""
    safe = _SAFE_NAME.sub("_", table)
    return f"{safe}.html" if safe == table else f"{safe}-{table.encode().hex()[:32]}.html"


def write_page(folder: Path, table: str, outcomes: Sequence[Any]) -> None:
    """One page a table with every expectation and whether it held."""
    content, view = _renderers()
    parts = [str(view.render(content.render(outcome))) for outcome in outcomes]
    body = "\n<hr>\n".join(_body(part) for part in parts)
    _write(folder / page_name(table), f"Contract of {table}", f"{body}\n</body></html>\n")


@functools.cache
def _renderers() -> tuple[Any, Any]:
    """The library's own, kept: a new view compiles every template again, longer than all else about a page takes."""
    from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
    from great_expectations.render.view.view import DefaultJinjaPageView

    return ValidationResultsPageRenderer(), DefaultJinjaPageView()


def write_index(folder: Path, suite: str, pages: Sequence[tuple[str, bool]], unexpected: Sequence[str]) -> None:
    """The page to open first: each table with its outcome; `unexpected` are tables missing or not in the suite."""
    rows = [
        f'<tr><td><a href="{html.escape(page_name(table))}">{html.escape(table)}</a></td><td>{_outcome(held)}</td></tr>'
        for table, held in pages
    ]
    rows += [f"<tr><td>{html.escape(t)}</td><td>&#x2718; missing, or not in the suite</td></tr>" for t in unexpected]
    table = f"<table><thead><tr><th>table</th><th>contract</th></tr></thead><tbody>{''.join(rows)}</tbody></table>"
    title = f"Contracts: {suite}"
    _write(folder / "index.html", title, f"<h1>{html.escape(title)}</h1>\n{table}\n</body></html>\n")


def _outcome(held: bool) -> str:
    return "&#x2714; kept" if held else "&#x2718; broken"


def _body(page: str) -> str:
    """The content of one rendered page, without anything that a browser would run or fetch."""
    found = _BODY.search(page)
    content = found.group(1) if found else page
    for unwanted in (_SCRIPTS, _LOADED, _FOOTER, _HANDLERS):
        content = unwanted.sub("", content)
    return _REMOTE_STYLE.sub("none", content)


def _write(path: Path, title: str, rest: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_HEAD.format(title=html.escape(title)) + rest, encoding="utf-8")
