"""Validation of parsed YAML into the model's frozen values; unknown keys are refused."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from wardlake.model.errors import Mistake
from wardlake.settings.yaml_lines import line_of, plain

T = TypeVar("T")


def refuse_unknown_keys(*types: Any) -> None:
    """Make pydantic refuse keys that a frozen dataclass, or one nested in it, does not declare."""
    for kind in types:
        if dataclasses.is_dataclass(kind):
            if "__pydantic_config__" in vars(kind):
                continue
            kind.__pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[union-attr]
            refuse_unknown_keys(*typing.get_type_hints(kind).values())
        else:
            refuse_unknown_keys(*typing.get_args(kind))


def adapter_for(kind: type[T]) -> TypeAdapter[T]:
    """A validator that refuses unknown keys at every depth."""
    refuse_unknown_keys(kind)
    return TypeAdapter(kind)


def validate(adapter: TypeAdapter[Any], document: Any, shown_as: str) -> tuple[Any, list[Mistake]]:
    """The value, or every mistake with its line. What a file holds is never quoted back: it may be a secret."""
    if not isinstance(document, Mapping):
        return None, [Mistake(shown_as, 0, "must hold a mapping of keys")]
    try:
        return adapter.validate_python(plain(document)), []
    except ValidationError as problem:
        return None, [_mistake(error, document, shown_as) for error in problem.errors(include_input=False)]


def _mistake(error: Any, document: Any, shown_as: str) -> Mistake:
    location = [part for part in error["loc"] if not str(part).startswith("tagged-")]
    dotted = ".".join(str(part) for part in location)
    return Mistake(shown_as, line_of(document, location), f"{dotted}: {_words(error)}")


def _words(error: Any) -> str:
    match error["type"]:
        case "unexpected_keyword_argument" | "extra_forbidden":
            return "no such key here"
        case "missing" | "missing_keyword_only_argument" | "missing_argument":
            return "this key is required"
        case _:
            return str(error["msg"])
