"""`wardlake dev refresh` from its flags to its answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from wardlake.audit.trail import AuditTrail
from wardlake.detect.storage import StorageOptions
from wardlake.model.errors import AuditUnavailable, ConfigurationError, RunLocked, WardlakeError
from wardlake.model.identity import Identity, Role
from wardlake.model.sources import SourceSpec
from wardlake.model.treatments import Classification
from wardlake.model.zones import Zone
from wardlake.pipelines.dev_refresh import PLAN
from wardlake.pipelines.fingerprints import code_version, fingerprint
from wardlake.pipelines.ports_in_hand import PortsInHand
from wardlake.pipelines.refresh.begin import choose_run, give_up_others, parse_sample, require_actor, require_name, require_role
from wardlake.pipelines.refresh.job import RefreshJob
from wardlake.pipelines.refresh.publish import rule_id
from wardlake.pipelines.refresh.report import write_halted_report
from wardlake.pipelines.refresh.work import refresh_work, snapshot_fingerprint
from wardlake.pipelines.unseen import note_all_seen, refuse_unseen
from wardlake.ports.audit_sink import SinkUnavailable
from wardlake.ports.objects import StoreUnavailable
from wardlake.ports.registry import RegistryUnavailable
from wardlake.publish.staging import recover
from wardlake.runs.engine import RUNS, Progress, load_run, run_plan
from wardlake.runs.states import Run, RunState
from wardlake.runs.storage_failures import storage_named
from wardlake.settings.knowledge import Knowledge, load_knowledge
from wardlake.settings.load import Settings


def run_refresh(
    settings: Settings,
    ports: PortsInHand,
    *,
    source: str,
    classification: str,
    sample: str,
    run_id: str,
    only: str,
    fresh: bool,
    progress: Progress,
    told: Callable[[Run], None],
) -> dict[str, Any]:
    """Run the plan, or one step of it; the answer names run, dataset, path, report and tables."""
    spec, decided, name = asked_for(settings, source, classification)
    settings.require_agreement(name)
    fraction = parse_sample(sample)
    actor = ports.identity.caller()
    require_role(actor, Role.PIPELINE, "A refresh")
    require_actor(actor)
    require_audit(ports.trail)
    arguments = {"dataset": name, "sample": fraction, "location": spec.location}
    run = choose_run(
        ports.registry,
        ports.clock,
        actor=actor,
        source=spec.name,
        arguments=arguments,
        run_id=run_id,
        fresh=fresh,
        snapshot_of=snapshot_fingerprint(spec),
        told=told,
    )
    knowledge = load_knowledge(settings.conf)
    with storage_named():
        job = refresh_job(settings, ports, run, spec, decided, name, knowledge, actor)
    try:
        with storage_named():
            done = run_plan(
                PLAN,
                run,
                refresh_work(job),
                registry=ports.registry,
                progress=progress,
                only=only,
                prepare=lambda: prepare(job, run, fresh=fresh),
            )
    except RunLocked:
        raise  # the report of the run that is at work is its own
    except WardlakeError as halted:
        tell_why(job, halted)
        raise
    return answer_of(done, only)


def require_audit(trail: AuditTrail) -> None:
    """An audit that cannot be written stops the run before it costs an hour: raises `AuditUnavailable`."""
    try:
        trail.reconcile()
    except (StoreUnavailable, SinkUnavailable) as problem:
        raise AuditUnavailable(f"The audit cannot be written: {problem}.", next_step="wardlake doctor") from None


def tell_why(job: RefreshJob, halted: WardlakeError) -> None:
    """Write the halted run's report; where that fails the error says so, and stays the error it is."""
    try:
        path = write_halted_report(job, load_run(job.registry, job.run_id), halted)
    except (OSError, RegistryUnavailable):
        halted.which = (*halted.which, "the report could not be written")
    else:
        halted.which = (*halted.which, f"report: {path}")


def asked_for(settings: Settings, source: str, classification: str) -> tuple[SourceSpec, Classification, str]:
    """The source, the decisions and the dataset's name."""
    spec = settings.source(source)
    name = classification or spec.name
    if classification and classification not in settings.classifications:
        known = ", ".join(sorted(settings.classifications))
        raise ConfigurationError(what=f"There is no classification {classification}. Known: {known}.")
    decided = settings.classification(name)
    if decided.source != spec.name:
        raise ConfigurationError(what=f"Classification {name} is of source {decided.source}, not of {spec.name}.")
    return spec, decided, name


def refresh_job(
    settings: Settings,
    ports: PortsInHand,
    run: Run,
    spec: SourceSpec,
    decided: Classification,
    name: str,
    knowledge: Knowledge,
    actor: Identity,
) -> RefreshJob:
    """The run's job over the environment's ports."""
    return RefreshJob(
        run_id=run.run_id,
        started_at=run.started_at,
        dataset=name,
        source=spec,
        classification=decided,
        fraction=float(run.arguments["sample"]),
        actor=actor,
        knowledge=knowledge,
        retention=settings.environment.retention,
        expectations=settings.root / "expectations",
        reports=reports_folder(ports),
        code_version=code_version(),
        rule_set=fingerprint(decided),
        tables=ports.tables,
        layout=ports.layout,
        keys=ports.keys,
        objects=ports.objects,
        registry=ports.registry,
        trail=ports.trail,
        audit_objects=ports.audit_objects,
        contracts=ports.contracts,
        sources=ports.sources,
        pager=ports.pager,
        clock=ports.clock,
        storage=storage_options(settings),
    )


def job_outside_a_run(settings: Settings, ports: PortsInHand, *, source: str, classification: str, run_id: str) -> RefreshJob:
    """A job for looking at a source or a dataset without refreshing it."""
    spec, decided, name = asked_for(settings, source, classification)
    actor = ports.identity.caller()
    require_role(actor, Role.PIPELINE, "Reading the source")
    now = ports.clock.now().isoformat()
    run = Run(run_id=run_id, plan="", source=spec.name, arguments={"sample": 1.0}, started_at=now, actor=actor.subject)
    return refresh_job(settings, ports, run, spec, decided, name, load_knowledge(settings.conf), actor)


def reports_folder(ports: PortsInHand) -> Path:
    """Where reports are written: beside the lake, on this machine."""
    root = ports.layout.root
    return Path(root) / "reports" if "://" not in root else Path(".lake") / "reports"


def storage_options(settings: Settings) -> StorageOptions | None:
    """How the scan's workers reach the lake, where it lies on an object store."""
    spark = settings.environment.spark
    if not spark.storage_endpoint and not spark.storage_credentials:
        return None
    return StorageOptions(endpoint=spark.storage_endpoint, region=spark.storage_region, credentials=spark.storage_credentials)


def prepare(job: RefreshJob, run: Run, *, fresh: bool) -> None:
    """What a run does first under its lock."""
    note_all_seen(job, run.source)
    if fresh:
        give_up_others(job.registry, run, record=lambda other: refuse_unseen(job, other.run_id, actor=job.actor.subject))
    clear_leftovers(job)


def clear_leftovers(job: RefreshJob) -> None:
    """Remove what dead runs left behind, under the run's lock; runs that can go on keep theirs, of whatever source."""
    open_runs = [
        document
        for _, document in job.registry.find(RUNS)
        if document["state"] in (RunState.RUNNING.value, RunState.HALTED.value)
    ]
    sealed = [document["steps"]["seal"]["outcome"] for document in open_runs if "seal" in document["steps"]]
    recover(
        job.tables,
        job.layout,
        zone=Zone.DEV,
        source=job.dataset,
        live_runs={job.run_id, *(document["run_id"] for document in open_runs)},
        keep={outcome["dataset_id"] for outcome in sealed},
    )


def answer_of(run: Run, only: str) -> dict[str, Any]:
    """What the command answers, as promised in the design."""
    if run.state is not RunState.DONE:
        return {"run_id": run.run_id, "step": only}
    published, sealed = run.steps["publish"].outcome, run.steps["seal"].outcome
    return {
        "run_id": run.run_id,
        "dataset_id": published["dataset_id"],
        "snapshot_id": run.steps["snapshot"].outcome["snapshot_id"],
        "path": published["path"],
        "report": run.steps["report"].outcome["report"],
        "audit_sequence": published["audit_sequence"],
        "undeclared_tables": run.steps["snapshot"].outcome.get("undeclared_tables", []),
        "tables": [{key: table[key] for key in ("name", "rows_in", "rows_out")} for table in sealed["tables"]],
    }


def describe_refresh(settings: Settings, source: str, classification: str, *, sample: str, run_id: str) -> dict[str, Any]:
    """What a refresh would do, from the configuration alone; flags that it would refuse are refused here as well."""
    spec, decided, name = asked_for(settings, source, classification)
    parse_sample(sample)
    require_name(run_id)
    rules = {
        table: {path: rule_id(decision) for path, decision in decisions.items()} for table, decisions in decided.tables.items()
    }
    undecided = sorted(set(spec.tables) - set(rules))
    lines = [f"{name}: profile {decided.profile.value}, {decided.token_mode.value} tokens, from {spec.location}"]
    lines += [f"  {number}. {step.title}" for number, step in enumerate(PLAN.steps, start=1)]
    lines += [f"{table}: " + ", ".join(f"{path} {rule}" for path, rule in columns.items()) for table, columns in rules.items()]
    lines += [f"{table}: no decisions: the run would halt" for table in undecided]
    lines += [f"{settings.expired[name]}: the run would not begin"] if name in settings.expired else []
    return {"source": spec.name, "dataset": name, "steps": [s.name for s in PLAN.steps], "rules": rules, "lines": lines}
