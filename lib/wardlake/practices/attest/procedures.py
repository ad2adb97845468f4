"""Procedures of the catalogue and of the engine, called with names that nothing has: who is let through changes nothing."""

from __future__ import annotations

from wardlake.ports.warehouse_door import Statement
from wardlake.practices.attest.detector import is_refused
from wardlake.practices.attest.probe import Attempt, Probe, Scope, broken, held
from wardlake.practices.attest.target import Target, quoted, text

HOLE = "a rule that grants the procedure"


def _calls(procedure: str, arguments: str) -> Probe:
    """Whatever it says but that one may not, it was let through."""

    def run(at: Target) -> Attempt:
        given = arguments.format(schema=text(at.schemas[0]), mark=text(at.mark))
        answer = yield Statement(sql=f"CALL {quoted(at.catalog)}.system.{procedure}({given})")
        if answer.error == "PROCEDURE_NOT_FOUND":
            return held("the catalogue has no such procedure")
        return held("refused") if is_refused(answer) else broken("it can be called")

    return Probe(name=f"call-{procedure}", tries=f"calls {procedure}", hole=HOLE, run=run, scope=Scope.DEPLOYMENT)


PROBES = (
    _calls("register_table", "{schema}, {mark}, 'local:///nothing/there'"),
    _calls("unregister_table", "{schema}, {mark}"),
    _calls("vacuum", "{schema}, {mark}, '1000000d'"),
    _calls("drop_extended_stats", "{schema}, {mark}"),
    _calls("flush_metadata_cache", "schema_name => {schema}, table_name => {mark}"),
)
