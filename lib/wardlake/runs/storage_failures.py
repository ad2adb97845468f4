"""Failures that are the storage's: told apart from bugs by what the engine's messages hold, which are shown to nobody."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from py4j.protocol import Py4JError, Py4JJavaError  # type: ignore[import-untyped]
from pyspark.errors import PySparkException

from wardlake.model.errors import AuditUnavailable, EngineLost, StorageUnavailable, WardlakeError
from wardlake.ports.audit_sink import SinkUnavailable
from wardlake.ports.objects import StoreUnavailable
from wardlake.ports.registry import RegistryUnavailable

FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "File too large",
    "ENOSPC",
    "XMinioStorageFull",
    "EntityTooLarge",
)
UNREACHABLE = (
    "UnknownHostException",
    "ConnectException",
    "Connection refused",
    "NoRouteToHost",
    "ConnectTimeout",
    "SdkClientException",
    "Service: S3, Status Code: 5",
    "AWSServiceIOException",
    # as Arrow's file system says it
    "AWS Error NETWORK_CONNECTION",
    "AWS Error REQUEST_TIMEOUT",
    "AWS Error SLOW_DOWN",
    "AWS Error SERVICE_UNAVAILABLE",
    "AWS Error INTERNAL_FAILURE",
    "AWS Error UNKNOWN (HTTP status 5",
)
REFUSED = (
    "AccessDenied",
    "AccessControlException",
    "Forbidden",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "AWS Error ACCESS_DENIED",
    "AWS Error INVALID_ACCESS_KEY_ID",
    "AWS Error SIGNATURE_DOES_NOT_MATCH",
    "AWS Error UNKNOWN (HTTP status 403)",
)
_DISK = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
AGAIN = "then give the same command again: the run goes on."


def storage_failure(error: Exception) -> tuple[str, str] | None:
    """What is wrong with the storage and what to do next, None where the error is about something else."""
    if isinstance(error, OSError) and error.errno in _DISK:
        return "the disk or store is full.", f"Free space there, {AGAIN}"
    text = str(error)
    if any(sign in text for sign in FULL):
        return "the disk or store is full.", f"Free space there, {AGAIN}"
    if any(sign in text for sign in UNREACHABLE):
        return "the store does not answer.", f"Check the store's address and that it is up, {AGAIN}"
    if any(sign in text for sign in REFUSED):
        return "the store refuses these credentials.", f"Check the credentials and the policy of this zone, {AGAIN}"
    return None


@contextmanager
def storage_named() -> Iterator[None]:
    """Turn failures of stores into errors with an exit code; everything else goes on as it is."""
    try:
        yield
    except StoreUnavailable as problem:
        raise StorageUnavailable(f"An object store cannot be used: {problem}.", next_step=f"wardlake doctor, {AGAIN}") from None
    except RegistryUnavailable as problem:
        raise StorageUnavailable(f"The registry cannot be used: {problem}.", next_step=f"wardlake doctor, {AGAIN}") from None
    except SinkUnavailable as problem:
        raise AuditUnavailable(f"The audit table cannot be used: {problem}.", next_step=f"wardlake doctor, {AGAIN}") from None
    except (PySparkException, Py4JError, OSError) as error:
        found = storage_failure(error)
        if found is None:
            raise
        raise StorageUnavailable(f"Storage failed in the midst of a step: {found[0]}", next_step=found[1]) from None


@contextmanager
def engine_errors_named(what: str, which: str) -> Iterator[None]:
    """Turn the engine's errors, whose messages may hold cells, into `StorageUnavailable` or one of ours that names their kind.

    `EngineLost` where it ended: nobody's data need be at fault.
    """
    try:
        yield
    except (PySparkException, Py4JError) as error:
        found = storage_failure(error)
        if found is not None:
            raise StorageUnavailable(f"{what}: {found[0]}", which=[which], next_step=found[1]) from None
        if is_lost(error):
            raise EngineLost(
                f"{what}: the engine ended.", which=[which], next_step="look for what killed it, memory first; then start again"
            ) from None
        kind = error.getCondition() if isinstance(error, PySparkException) else None
        raise WardlakeError(f"{what}: {kind or type(error).__name__} (details withheld).", which=[which]) from None


def is_lost(error: BaseException) -> bool:
    """Whether the engine's process is gone: it answers with no error of its own."""
    return isinstance(error, (EngineLost, ConnectionError)) or (
        isinstance(error, Py4JError) and not isinstance(error, Py4JJavaError)
    )
