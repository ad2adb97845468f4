"""The plan of `wardlake dev refresh`: from a production snapshot to a published dev dataset.

Light on purpose: a scheduler imports it to map the steps and needs neither Spark nor the ports.
"""

from __future__ import annotations

from wardlake.model.plan import Plan, Step

PLAN = Plan(
    name="dev-refresh",
    lock="dev-refresh",
    steps=(
        Step(name="snapshot", title="Snapshot the source into raw tables", exit_codes=(2, 16, 17, 20)),
        Step(name="classify", title="Classify every column", needs=("snapshot",), exit_codes=(10,)),
        Step(
            name="source-contracts", title="Hold the source to its contracts", needs=("snapshot", "classify"), exit_codes=(2, 20)
        ),
        Step(
            name="deidentify",
            title="De-identify into staging",
            needs=("snapshot", "classify", "source-contracts"),
            exit_codes=(17, 20),
        ),
        Step(name="references", title="Prove the references", needs=("snapshot", "deidentify"), exit_codes=(12,)),
        Step(
            name="scan",
            title="Scan the output for residue",
            needs=("snapshot", "classify", "deidentify", "references"),
            exit_codes=(11, 17),
        ),
        Step(name="output-contracts", title="Hold the output to its contracts", needs=("deidentify",), exit_codes=(20,)),
        Step(
            name="seal",
            title="Hash and archive the dataset",
            needs=("deidentify", "scan", "references", "output-contracts"),
            exit_codes=(17,),
        ),
        Step(name="publish", title="Record, then publish", needs=("seal",), exit_codes=(16,)),
        Step(name="report", title="Write the report", needs=("publish",)),
    ),
)
