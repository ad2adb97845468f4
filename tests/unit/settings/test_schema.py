"""The published JSON Schemas say what the loader accepts."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
from ruamel.yaml import YAML

from wardlake.settings.schema import schemas

CONF = Path(__file__).parents[3] / "conf"


@pytest.mark.parametrize("folder", sorted(schemas()))
def test_the_published_schema_is_current(folder):
    published = json.loads((CONF / "schema" / f"{folder}.json").read_text())
    assert published == json.loads(json.dumps(schemas()[folder])), "run: wardlake conf schema"


@pytest.mark.parametrize("path", sorted(p for f in schemas() for p in (CONF / f).glob("*.yaml")), ids=lambda p: p.stem)
def test_the_shipped_files_keep_the_schema(path):
    document = json.loads(json.dumps(YAML(typ="safe").load(path.read_text()), default=str))
    jsonschema.validate(document, schemas()[path.parent.name])


def test_the_schema_refuses_an_unknown_key():
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"name": "x", "kyes": {}}, schemas()["environments"])
