"""The step that seals: both hashes of every table, the dataset's id, and its copy in the archive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, cast

from wardlake.audit.commitment import commit
from wardlake.model.plan import Outcome
from wardlake.model.snapshots import DatasetTable, TableHashes
from wardlake.model.zones import Zone
from wardlake.pipelines.refresh.job import DATASET, RefreshJob, secret
from wardlake.publish.archive import Copy, archive_dataset
from wardlake.publish.staging import dataset_id
from wardlake.runs.tables_at_once import for_each
from wardlake.snapshot.data_files import hash_data_files

AT_ONCE = 4


def seal(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> Outcome:
    """Hash the staged tables, name the dataset by a commitment to its columns and rows, archive every file of it."""
    tables = dataset_tables(job, outcomes)
    committed = secret(job.ring(outcomes), DATASET)
    schemas = {table.name: job.tables.read(table.path, table.version).schema for table in tables}
    name = dataset_id(committed, Zone.DEV, job.dataset, {table.name: table.hashes for table in tables}, schemas)
    started = datetime.fromisoformat(job.started_at)
    archived = archive_dataset(
        job.tables,
        job.objects,
        folder=job.layout.staged_dataset(job.run_id),
        copy=Copy(name, job.run_id),
        retain_until=started + timedelta(days=job.retention.dataset_days),
        storage_class=job.retention.dataset_storage_class,
    )
    return {"dataset_id": name, "archive": archived.sha256, "tables": [_document(t) for t in tables], "note": name}


def dataset_tables(job: RefreshJob, outcomes: Mapping[str, Outcome]) -> list[DatasetTable]:
    """Each staged table with its hashes and its commitment."""
    staged = cast(Mapping[str, Any], outcomes["deidentify"]["tables"])
    key = secret(job.ring(outcomes), DATASET)

    def hashed(name: str) -> DatasetTable:
        path, table = job.layout.staged_table(job.run_id, name), staged[name]
        files = hash_data_files(job.tables, path, int(table["version"]))
        hashes = TableHashes(files=files, rows=str(table["row_sum"]), row_count=int(table["rows_out"]))
        said = {"run": job.run_id, "table": name, "files": hashes.files, "rows": hashes.rows, "row_count": hashes.row_count}
        return DatasetTable(
            name=name,
            path=path,
            version=int(table["version"]),
            rows_in=int(table["rows_in"]),
            rows_out=int(table["rows_out"]),
            hashes=hashes,
            commitment=commit(key, said),
        )

    return for_each(list(staged), hashed, at_once=AT_ONCE)


def _document(table: DatasetTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "version": table.version,
        "rows_in": table.rows_in,
        "rows_out": table.rows_out,
        "hashes": {"files": table.hashes.files, "rows": table.hashes.rows, "row_count": table.hashes.row_count},
        "commitment": table.commitment,
    }
