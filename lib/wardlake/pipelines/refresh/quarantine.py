"""What happens to a dataset that a gate refused: set aside, recorded, on-call people told."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

from wardlake.model.audit import AuditEvent, AuditKind
from wardlake.model.errors import WardlakeError
from wardlake.pipelines.refresh.begin import REFUSALS
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.unseen import refuse_unseen
from wardlake.ports.pager import Page, PagerUnavailable
from wardlake.publish.staging import quarantine_dataset

_DIGEST_DIGITS = 16
RUNBOOKS = {
    11: "docs/runbooks/identifiers-found.md",
    12: "docs/runbooks/broken-references.md",
    20: "docs/runbooks/broken-contract.md",
}


def quarantine(job: RefreshJob, refusal: WardlakeError, details: Mapping[str, Any], *, columns: Iterable[str]) -> None:
    """Record the refusal, set the staged dataset aside, page with `columns`. The caller raises `refusal` after."""
    job.trail.append(
        AuditEvent(
            kind=AuditKind.DATASET_QUARANTINED,
            actor=job.actor.subject,
            at=job.clock.now().isoformat(),
            zone="staging",
            run_id=job.run_id,
            details={"exit_code": refusal.exit_code, "source": job.source.name, "reasons": len(refusal.which)},
        )
    )
    refuse_unseen(job, job.run_id, actor=job.actor.subject)
    job.registry.put(REFUSALS, job.run_id, dict(details))
    quarantine_dataset(job.tables, job.layout, job.run_id, list(refusal.which))
    page(job, refusal, columns=columns, runbook=RUNBOOKS[refusal.exit_code])


def page(job: RefreshJob, halt: WardlakeError, *, columns: Iterable[str], runbook: str) -> None:
    """Tell on-call people which tables, columns or keys stopped a run: names only, whatever else the error says of them.

    The same run stopped again by others is another incident. A page that nobody takes does not change how the run ends; the
    error says so to whoever reads it.
    """
    names = tuple(sorted(set(columns)))
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:_DIGEST_DIGITS]
    message = Page(
        key=f"{job.source.name}/{halt.exit_code}/{job.run_id}/{digest}",
        title=f"Refresh of {job.source.name} stopped: {type(halt).__name__}",
        lines=names,
        runbook=runbook,
        run_id=job.run_id,
    )
    try:
        job.pager.page(message)
    except PagerUnavailable:
        halt.which = (*halt.which, "on-call could not be paged: no pager took the page")
