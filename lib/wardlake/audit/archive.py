"""Reading the archive: all that a regulator needs is the object store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime

from wardlake.audit.records import PREFIX, BrokenRecord, decode_record
from wardlake.model.audit import AuditKind, AuditRecord
from wardlake.model.errors import AuditUnavailable, VerificationFailed
from wardlake.ports.objects import Objects, StoreUnavailable


def read_records(objects: Objects) -> Iterator[AuditRecord]:
    """Every record, oldest first; raises `VerificationFailed` at the first that is not intact."""
    try:
        for found in objects.list(PREFIX):
            yield decode_record(objects.get(found.key))
    except BrokenRecord:
        raise VerificationFailed("The audit archive is damaged.", which=[found.key], next_step="wardlake audit verify") from None
    except StoreUnavailable as error:
        raise AuditUnavailable(f"The audit archive cannot be read: {error}.") from None


def query_records(
    objects: Objects, *, zone: str = "", on: date | None = None, dataset_id: str = "", run_id: str = ""
) -> list[AuditRecord]:
    """Records that match everything given, oldest first; `on` is a day in UTC."""
    return [
        record
        for record in read_records(objects)
        if (not zone or record.event.zone == zone)
        and (on is None or day_of(record) == on)
        and (not dataset_id or record.event.dataset_id == dataset_id)
        and (not run_id or record.event.run_id == run_id)
    ]


def published_as_of(objects: Objects, *, on: date, zone: str = "") -> list[AuditRecord]:
    """For each source of the zone the record of the dataset that readers saw at the end of the day `on`.

    Without a zone of every zone, in order of zone and source. The source is the event's detail `source`; a record without one
    stands for the zone as a whole. A publication that a later record says nobody saw does not count.
    """
    newest: dict[tuple[str, str], AuditRecord] = {}
    for record in standing_publications(read_records(objects)):
        event = record.event
        if (not zone or event.zone == zone) and day_of(record) <= on:
            newest[event.zone, str(event.details.get("dataset", event.details.get("source", "")))] = record
    return [newest[place] for place in sorted(newest)]


def standing_publications(records: Iterable[AuditRecord]) -> list[AuditRecord]:
    """The records of published datasets, oldest first, without those that a later record of the same run says nobody saw."""
    standing: list[AuditRecord] = []
    for record in records:
        event = record.event
        if event.kind is AuditKind.DATASET_PUBLISHED:
            standing.append(record)
        elif event.kind is AuditKind.RUN_REFUSED:
            refused = (event.run_id, event.dataset_id)
            standing = [each for each in standing if (each.event.run_id, each.event.dataset_id) != refused]
    return standing


def day_of(record: AuditRecord) -> date:
    """The day in UTC that the event happened on."""
    return datetime.fromisoformat(record.event.at).astimezone(UTC).date()
