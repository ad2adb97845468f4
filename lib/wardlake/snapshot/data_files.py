"""SHA-256 of a table version's data files, and the Merkle root over them."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor

from wardlake.audit.merkle import merkle_root
from wardlake.ports.tables import DataFile, Tables

_READERS = 4


def hash_data_files(tables: Tables, path: str, version: int) -> str:
    """The Merkle root over the data files that the Delta log lists at that version; raises `FileNotFoundError` for a lost one."""

    def digest(file: DataFile) -> tuple[str, str]:
        with tables.local_copy(file.path) as local, local.open("rb") as stream:
            return file.path.removeprefix(f"{path}/"), hashlib.file_digest(stream, "sha256").hexdigest()

    with ThreadPoolExecutor(_READERS) as pool:
        return merkle_root(list(pool.map(digest, tables.data_files(path, version))))
