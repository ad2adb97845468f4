"""The folder that Trino reads rules and groups from: `rules.json`, `groups.txt`, and every version of both, packed, by hash."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wardlake.model.errors import ConfigurationError, StorageUnavailable
from wardlake.ports.policy_files import PolicyVersion

RULES, GROUPS, VERSIONS = "rules.json", "groups.txt", "versions"
_READ_BY_GROUP = 0o640  # the folder's group is Trino's
_FOLDER = 0o750


class TrinoPolicyFiles:
    """The port `PolicyFiles` over a folder that Trino's `security.config-file` and `file.group-file` point into."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> PolicyVersion:
        with self._explained():
            rules, groups = self._read(RULES), self._read(GROUPS)
            ours = all((self._folder / _kept_as(name, body)).is_file() for name, body in ((RULES, rules), (GROUPS, groups)))
            return PolicyVersion(rules=rules, groups=groups, ours=ours and bool(rules) and bool(groups))

    def write_rules(self, rules: bytes) -> None:
        self._write(RULES, rules)

    def write_groups(self, groups: bytes) -> None:
        self._write(GROUPS, groups)

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return b""

    def _write(self, name: str, body: bytes) -> None:
        with self._explained():
            self._require_ours()
            self._replace(self._folder / name, body)  # first: a full disk keeps nobody's rows open
            kept = self._folder / _kept_as(name, body)
            kept.parent.mkdir(mode=_FOLDER, exist_ok=True)
            if not kept.exists():
                self._replace(kept, gzip.compress(body, mtime=0))

    def _replace(self, path: Path, body: bytes) -> None:
        """Whole and on disk before it has the name, and the name on disk too. One writer at a time: the caller holds a lock."""
        new = path.with_name(f".{path.name}.new")
        new.unlink(missing_ok=True)
        opened = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _READ_BY_GROUP)
        with os.fdopen(opened, "wb") as file:
            os.fchmod(file.fileno(), _READ_BY_GROUP)
            os.fchown(file.fileno(), -1, self._folder.stat().st_gid)
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        new.rename(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _require_ours(self) -> None:
        """Whoever may write to the folder decides who sees what."""
        status = self._folder.stat()
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or status.st_uid != os.geteuid():
            raise ConfigurationError(
                what=f"The warehouse's policy folder can be written to by others, or is another user's: {self._folder}.",
                next_step="give it to the user who runs this, mode 0750, with Trino's group",
            )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            kind = errno.errorcode.get(problem.errno or 0, type(problem).__name__)
            raise StorageUnavailable(
                f"The warehouse's policy folder cannot be used: {kind}.",
                which=[str(self._folder)],
                next_step="see that the folder is there and this user's (mode 0750, Trino's group), then give the command again",
            ) from None


def _kept_as(name: str, body: bytes) -> str:
    stem, _, ending = name.partition(".")
    return f"{VERSIONS}/{stem}-{hashlib.sha256(body).hexdigest()}.{ending}.gz"
