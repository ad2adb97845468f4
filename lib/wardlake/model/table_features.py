"""What a table may ask of its readers, where the warehouse is one of them."""

from __future__ import annotations

from collections.abc import Collection

# Delta's reader features that Trino 476 was seen to read (tests/integration/test_trino_warehouse.py). What is not here is
# refused: `variantType` and `variantShredding` were seen to fail, widened types fail for some, what comes next nobody knows.
WAREHOUSE_READS = frozenset({"columnMapping", "deletionVectors", "timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"})
NEWEST_READER = 3  # Delta's reader version; from 3 on features are named one by one, 2 is column mapping


def unreadable_features(reader_version: int, features: Collection[str]) -> list[str]:
    """What of a table's protocol the warehouse does not read, sorted; empty where it reads the table."""
    beyond = [f"reader version {reader_version}"] if reader_version > NEWEST_READER else []
    return sorted([*(set(features) - WAREHOUSE_READS), *beyond])
