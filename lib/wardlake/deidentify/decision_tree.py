"""The decisions of one table as a tree that has the shape of its columns."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from wardlake.model.treatments import Decision

ELEMENTS, DOCUMENT = "[]", "$"
_STEP = re.compile(r"\[\]|\$|[^.\[\]$]+")


@dataclass(slots=True)
class Node:
    """A column, field, element or JSON value: its decision where it has one, and the nodes below it."""

    path: str = ""
    decision: Decision | None = None
    below: dict[str, Node] = field(default_factory=dict)

    def at(self, step: str) -> Node | None:
        return self.below.get(step)


def grow_tree(decisions: Mapping[str, Decision]) -> Node:
    """One tree from decisions by path, e.g. `name`, `address.city`, `names[].family`, `payload$.contacts[].phone`."""
    root = Node()
    for path, decision in decisions.items():
        node, walked = root, ""
        for step in _STEP.findall(path):
            walked += step if step in (ELEMENTS, DOCUMENT) or not walked else f".{step}"
            node = node.below.setdefault(step, Node(walked))
        node.decision = decision
    return root
