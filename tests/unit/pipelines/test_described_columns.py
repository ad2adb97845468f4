"""Released columns that a contract describes, and those it does not."""

from __future__ import annotations

from wardlake.pipelines.refresh.contracts import split_described
from wardlake.ports.contracts import ColumnContract, Suite, TableContract


def test_a_released_column_that_no_contract_describes_is_told_and_the_others_are_held():
    suite = Suite(name="clinic/output", tables={"visits": TableContract(columns={"id": ColumnContract(type="string")})})
    held, undescribed = split_described(suite, {"visits": ["id", "ward"], "bills": ["sum"], "blocked": []})
    assert held == {"visits": ["id"]}
    assert undescribed == ["visits.ward", "bills.sum"]
