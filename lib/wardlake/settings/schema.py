"""JSON Schemas of the configuration files, for editors: `conf/schema/KIND.json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wardlake.model.practices import PracticesSpec
from wardlake.model.sources import SourceSpec
from wardlake.settings.classification import ClassificationFile
from wardlake.settings.environment import Environment
from wardlake.settings.load import Agreement
from wardlake.settings.validation import adapter_for

FILES: Mapping[str, tuple[Any, str]] = {
    "sources": (SourceSpec, "A source: where it is read from, its tables, keys and references"),
    "classification": (ClassificationFile, "What was decided of each column of a source"),
    "environments": (Environment, "Which adapter stands behind each port"),
    "practices": (PracticesSpec, "Practices that share a source: their column, how changes are captured, the lanes"),
    "agreements": (Agreement, "A data-use agreement on record"),
}


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of each kind of file, by the folder its files lie in."""
    return {
        folder: {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": title,
            **adapter_for(kind).json_schema(),
        }
        for folder, (kind, title) in FILES.items()
    }


def write_schemas(conf: Path) -> list[Path]:
    """Write every schema under `conf/schema/`; returns the files."""
    target = conf / "schema"
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for folder, schema in schemas().items():
        path = target / f"{folder}.json"
        path.write_text(json.dumps(schema, indent=2, sort_keys=True) + "\n", "utf-8")
        written.append(path)
    return written
