"""Change files that cannot be read: each waits alone, recorded in the registry, and what may only be told after it waits with it.

A file in a practice's own folder concerns that practice: it is set aside until the file is mended. Of any other nobody can know
whose changes it held: later files of its table wait, no day is whole for anybody, and all else goes on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict

from wardlake.model.audit import AuditKind
from wardlake.model.errors import ConfigurationError
from wardlake.pipelines.practices.acts import record_act
from wardlake.pipelines.practices.opening import Practices, Told
from wardlake.pipelines.practices.paging import page_damaged
from wardlake.ports.change_stream import Damaged
from wardlake.practices.row_places import Part

ONCE_ASIDE = "practice-files-once-aside"  # by source and place: whose they were, and the stamp with which people let them go
ASIDE = "practice-change-files"  # by source and place
DAMAGED = "a damaged change file"


def set_aside(practices: Practices) -> list[Damaged]:
    """The files that wait, by place."""
    return [Damaged(**document) for _, document in practices.ports.registry.find(ASIDE, f"{practices.spec.name}/")]


def holds_everybody(practices: Practices) -> bool:
    """Whether a declared table's file waits of which nobody knows whose it is: then nobody's day is whole."""
    return any(each.practice is None and each.table in practices.admission.captured for each in set_aside(practices))


def lost_parts(practices: Practices) -> set[Part]:
    """The parts of tables of which changes may have been lost: a file of theirs was damaged, whatever became of it."""
    every = practices.ports.registry.find(ONCE_ASIDE, f"{practices.spec.name}/")
    return {(document["table"], document["practice"]) for _, document in every}


def released_stamps(practices: Practices) -> dict[str, str]:
    """Which content of files people let go, by place."""
    prefix = f"{practices.spec.name}/"
    every = practices.ports.registry.find(ONCE_ASIDE, prefix)
    return {key.removeprefix(prefix): document["released"] for key, document in every if document["released"]}


def keep_aside(practices: Practices, damaged: Sequence[Damaged], mended: Sequence[str], told: Told) -> None:
    """Record what was found damaged, page for it once, and let go of practices whose files are told by now."""
    for each in damaged:
        _remember(practices, each, released="")
        practices.ports.registry.put(ASIDE, _key(practices, each.place), asdict(each))
        page_damaged(practices, each, told)
        told(f"{each.place} is set aside: {each.why}")
    before = set_aside(practices) if mended else []
    for place in mended:
        practices.ports.registry.delete(ASIDE, _key(practices, place))
        told(f"{place} is mended")
    _let_go(practices, [each for each in before if each.place in mended])
    for each in set_aside(practices):
        if each.practice is not None:
            practices.queue.hold([each.practice], reason=DAMAGED, tables=[each.table])


def release_files(practices: Practices, places: Sequence[str]) -> list[str]:
    """Have files tried again as they are; those that are gone are done without. Recorded before it happens.

    Raises `ConfigurationError` for a file that is not set aside.
    """
    known = {each.place: each for each in set_aside(practices)}
    unknown = sorted(set(places) - known.keys())
    if unknown:
        raise ConfigurationError(
            what=f"No such file is set aside: {', '.join(unknown)}.",
            next_step=f"set aside: {', '.join(sorted(known)) or 'none'}",
        )
    named = hashlib.sha256("\n".join(sorted(places)).encode()).hexdigest()
    whose = sorted({known[place].practice or "" for place in places} - {""})
    record_act(practices, AuditKind.PRACTICES_FILE_RELEASED, whose, files=len(set(places)), files_sha256=named)
    for place in places:
        _remember(practices, known[place], released=known[place].stamp)
        practices.ports.registry.delete(ASIDE, _key(practices, place))
    _let_go(practices, [known[place] for place in places])
    return sorted(set(places))


def _let_go(practices: Practices, files: Sequence[Damaged]) -> None:
    """Whose files these are is no longer held for them; who still has another that waits is held again."""
    whose = {each.practice for each in files if each.practice is not None}
    if whose:
        practices.queue.release(sorted(whose), reason=DAMAGED)
    for each in set_aside(practices):
        if each.practice in whose:
            practices.queue.hold([each.practice], reason=DAMAGED, tables=[each.table])


def _remember(practices: Practices, file: Damaged, *, released: str) -> None:
    document = {"table": file.table, "practice": file.practice, "released": released}
    practices.ports.registry.put(ONCE_ASIDE, _key(practices, file.place), document)


def _key(practices: Practices, place: str) -> str:
    return f"{practices.spec.name}/{place}"
