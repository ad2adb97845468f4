"""Where data files are read from inside Spark's Python workers: local paths or an object store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from pyarrow import fs

from wardlake.model.errors import ConfigurationError, ContractBroken

_OBJECT_STORES = ("s3", "s3a", "s3n")


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageOptions:
    """How workers reach the object store. It travels in task descriptions, so it names credentials and never holds them.

    `credentials` is empty (the default chain: environment, profile, instance role) or `env:NAME`: the worker's environment
    variables `NAME_ACCESS_KEY` and `NAME_SECRET_KEY`, which `spark.executorEnv.*` sets on executors.
    """

    endpoint: str = ""  # with scheme, e.g. `https://minio.example:9000`; empty: the provider's own
    region: str = "us-east-1"
    credentials: str = ""


def open_filesystem(path: str, storage: StorageOptions) -> tuple[fs.FileSystem, str]:
    """The file system a data file lies on and the file's path in it."""
    parts = urlsplit(path)
    if parts.scheme in _OBJECT_STORES:
        return _object_store(storage), f"{parts.netloc}{parts.path}"
    if parts.scheme == "file":
        return fs.LocalFileSystem(), unquote(parts.path)
    if path.startswith("/"):
        return fs.LocalFileSystem(), path
    raise ContractBroken("A data file lies on a file system that cannot be scanned.", which=[parts.scheme])


def _object_store(storage: StorageOptions) -> fs.FileSystem:
    endpoint = urlsplit(storage.endpoint)
    known = dict(zip(("access_key", "secret_key"), _credentials(storage.credentials), strict=False))
    return fs.S3FileSystem(
        region=storage.region, endpoint_override=endpoint.netloc or None, scheme=endpoint.scheme or "https", **known
    )


def _credentials(reference: str) -> tuple[str, ...]:
    if not reference:
        return ()
    scheme, _, name = reference.partition(":")
    names = (f"{name}_ACCESS_KEY", f"{name}_SECRET_KEY")
    if scheme != "env" or any(n not in os.environ for n in names):
        raise ConfigurationError(
            what="The scan's workers have no credentials for the object store.",
            next_step=f"set {names[0]} and {names[1]} for the executors (spark.executorEnv.*)",
        )
    return tuple(os.environ[n] for n in names)
