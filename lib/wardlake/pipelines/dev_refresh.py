"""The plan of `wardlake dev refresh`: from a production snapshot to a published dev dataset.

Light on purpose: a scheduler imports it to map the steps and needs neither Spark nor the ports.
"""

from __future__ import annotations

from wardlake.model.plan import Plan, Step

PLAN = Plan(
    name="dev-refresh",
    lock="dev-refresh",
    steps=(
        Step(name="snapshot", title="Snapshot the source into raw tables"),
        Step(name="classify", title="Classify every column", needs=("snapshot",)),
        Step(name="source-contracts", title="Hold the source to its contracts", needs=("snapshot", "classify")),
        Step(
            name="deidentify",
            title="De-identify into staging",
            needs=("snapshot", "classify", "source-contracts"),
        ),
        Step(name="references", title="Prove the references", needs=("snapshot", "deidentify")),
        Step(
            name="scan",
            title="Scan the output for residue",
            needs=("snapshot", "classify", "deidentify", "references"),
        ),
        Step(name="output-contracts", title="Hold the output to its contracts", needs=("deidentify",)),
        Step(
            name="seal",
            title="Hash and archive the dataset",
            needs=("deidentify", "scan", "references", "output-contracts"),
        ),
        Step(name="publish", title="Record, then publish", needs=("seal",)),
        Step(name="report", title="Write the report", needs=("publish",)),
    ),
)
