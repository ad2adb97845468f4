"""`wardlake classify keys`: foreign keys that nobody declared, proposed from the newest snapshot for a person to review."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML

from wardlake.deidentify.discovery import ProposedReference, discover_references
from wardlake.model.errors import ContractBroken
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.snapshot.manifest import list_manifests


def propose_keys(job: RefreshJob) -> dict[str, Any]:
    """Undeclared references in the source's newest snapshot, likeliest first, with YAML to paste. Nothing is declared by it.

    Raises `ContractBroken` where the source has no snapshot.
    """
    manifests = list_manifests(job.tables, job.layout, job.source.name)
    if not manifests:
        raise ContractBroken(
            "The source has no snapshot to look for keys in.",
            which=[job.source.name],
            next_step=f"wardlake snapshot create --source {job.source.name}",
        )
    declared = [table for table in manifests[-1].tables if table.name in job.source.tables]
    found = discover_references({table.name: job.tables.read(table.path, table.version) for table in declared}, job.source)
    return {
        "source": job.source.name,
        "snapshot_id": manifests[-1].snapshot_id,
        "proposals": [_document(proposal) for proposal in found],
        "yaml": reference_yaml(found),
    }


def reference_yaml(proposals: Sequence[ProposedReference]) -> str:
    """Lines for `conf/sources/SOURCE.yaml`, the evidence as a comment beside each."""
    lines = ["tables:"] if proposals else []
    for table in dict.fromkeys(proposal.table for proposal in proposals):
        lines += [f"  {_flow(table)}:", "    references:"]
        lines += [f"      - {_reference(each)}  # {_evidence(each)}" for each in proposals if each.table == table]
    return "\n".join(lines)


def describe_keys(found: Mapping[str, Any]) -> str:
    """What the command says to people."""
    if not found["proposals"]:
        return "no undeclared key was found"
    head = f"# Proposed, not declared: review each, then add it to conf/sources/{found['source']}.yaml, beside what stands there."
    return f"{head}\n{found['yaml']}"


def _document(proposal: ProposedReference) -> dict[str, Any]:
    return {
        "table": proposal.table,
        "columns": list(proposal.reference.columns),
        "parent": proposal.reference.table,
        "to": list(proposal.reference.to),
        "looked_up": proposal.looked_up,
        "found": round(proposal.found, 4),
        "name_fits": proposal.name_fits,
    }


def _reference(proposal: ProposedReference) -> str:
    reference = proposal.reference
    return _flow({"columns": list(reference.columns), "table": reference.table, "to": list(reference.to)})


def _evidence(proposal: ProposedReference) -> str:
    name = "its name fits" if proposal.name_fits else "its name says nothing"
    return f"{proposal.found:.1%} of {proposal.looked_up:,} values are keys there; {name}"


def _flow(value: Any) -> str:
    """One value on one line, quoted where YAML needs it."""
    yaml, text = YAML(typ="safe", pure=True), io.StringIO()
    yaml.default_flow_style, yaml.width = True, 10_000
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.dump(value, text)
    return text.getvalue().removesuffix("...\n").strip()
