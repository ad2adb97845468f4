"""Objects in S3 or MinIO, with Object Lock in compliance mode.

Every locked put names mode and date itself: a bucket's default can be weakened, and what it covered is then let go. The
lock is read back, because a store that does not know the header accepts the object and locks nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from wardlake.model.errors import NotAllowed
from wardlake.ports.objects import Lock, ObjectExists, ObjectInfo, ObjectMissing, StoreUnavailable

PART_BYTES = 16 << 20
FORBIDDEN = frozenset({"AccessDenied", "403", "InvalidRequest", "ObjectLocked"})
MISSING = frozenset({"NoSuchKey", "404", "NotFound"})
TAKEN = frozenset({"PreconditionFailed", "412"})


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Address:
    """A bucket and who speaks to it. Empty `endpoint`: AWS; empty keys: the machine's own role."""

    bucket: str
    prefix: str = ""
    endpoint: str = ""
    region: str = "us-east-1"
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    authority: str = ""  # file with the certificate's authority


class S3Objects:
    """The port `Objects` over one bucket. Connection failures are quick: two attempts."""

    def __init__(self, address: S3Address) -> None:
        self._bucket = address.bucket
        self._prefix = f"{address.prefix.strip('/')}/" if address.prefix.strip("/") else ""
        self._client = _client(address)
        self._transfer = TransferConfig(multipart_threshold=PART_BYTES, multipart_chunksize=PART_BYTES)

    def put(self, key: str, body: bytes, *, lock: Lock | None = None, storage_class: str = "", create_only: bool = False) -> None:
        condition = {"IfNoneMatch": "*"} if create_only else {}
        with _refusals(key):
            self._client.put_object(**self._at(key), Body=body, **_headers(lock, storage_class), **condition)
        self._confirm(key, lock)

    def put_file(self, key: str, path: Path, *, lock: Lock | None = None, storage_class: str = "") -> None:
        with _refusals(key):
            self._client.upload_file(
                str(path),
                self._bucket,
                self._prefix + key,
                ExtraArgs=_headers(lock, storage_class),
                Config=self._transfer,
            )
        self._confirm(key, lock)

    def get(self, key: str) -> bytes:
        with _refusals(key):
            return bytes(self._client.get_object(**self._at(key))["Body"].read())

    def get_file(self, key: str, path: Path) -> None:
        part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
        try:
            with _refusals(key):
                self._client.download_file(self._bucket, self._prefix + key, str(part), Config=self._transfer)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)

    def info(self, key: str) -> ObjectInfo:
        with _refusals(key):
            head = self._client.head_object(**self._at(key))
        return ObjectInfo(
            key,
            int(head["ContentLength"]),
            head.get("ObjectLockRetainUntilDate"),
            head.get("ObjectLockLegalHoldStatus") == "ON",
            head.get("StorageClass", ""),
        )

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        with _refusals(prefix):
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            for page in pages:
                for found in page.get("Contents", []):
                    yield ObjectInfo(found["Key"].removeprefix(self._prefix), int(found["Size"]))

    def delete(self, key: str) -> None:
        with _refusals(key):
            versions = list(self._versions(key))
            for version in versions:
                self._refuse_locked(key, version)
        with _refusals(key, forbidden=True):
            for version in versions:
                self._client.delete_object(**self._at(key), VersionId=version)

    def set_hold(self, key: str, held: bool) -> None:
        with _refusals(key):
            self._client.head_object(**self._at(key))
            self._client.put_object_legal_hold(**self._at(key), LegalHold={"Status": "ON" if held else "OFF"})

    def reachable(self) -> None:
        with _refusals(self._bucket):
            self._client.head_bucket(Bucket=self._bucket)

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _confirm(self, key: str, lock: Lock | None) -> None:
        """The store kept the lock it was told to."""
        if lock is None:
            return
        info = self.info(key)
        if info.locked_until is None or info.locked_until < lock.until.replace(microsecond=0):
            raise StoreUnavailable("the store took the object and not its lock")

    def _versions(self, key: str) -> Iterator[str]:
        """Version ids and delete markers of exactly this key."""
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=self._prefix + key)
        for page in pages:
            for found in (*page.get("Versions", []), *page.get("DeleteMarkers", [])):
                if found["Key"] == self._prefix + key:
                    yield found["VersionId"]

    def _refuse_locked(self, key: str, version: str) -> None:
        try:
            head = self._client.head_object(**self._at(key), VersionId=version)
        except ClientError as error:
            if _code(error) in MISSING | {"405", "MethodNotAllowed"}:  # a delete marker has no head
                return
            raise
        until = head.get("ObjectLockRetainUntilDate")
        if (until and until > datetime.now(UTC)) or head.get("ObjectLockLegalHoldStatus") == "ON":
            raise NotAllowed("The object is locked or held.", which=[key])


def _client(address: S3Address) -> Any:
    style = {"addressing_style": "path" if address.endpoint else "auto"}
    return boto3.client(
        "s3",
        endpoint_url=address.endpoint or None,
        region_name=address.region,
        aws_access_key_id=address.access_key or None,
        aws_secret_access_key=address.secret_key or None,
        verify=address.authority or None,
        config=Config(connect_timeout=10, read_timeout=60, retries={"mode": "standard", "total_max_attempts": 2}, s3=style),
    )


def _headers(lock: Lock | None, storage_class: str) -> dict[str, Any]:
    headers: dict[str, Any] = {"StorageClass": storage_class} if storage_class else {}
    if lock is not None:
        headers |= {"ObjectLockMode": "COMPLIANCE", "ObjectLockRetainUntilDate": lock.until}
    if lock is not None and lock.hold:
        headers |= {"ObjectLockLegalHoldStatus": "ON"}
    return headers


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def _refusals(key: str, *, forbidden: bool = False) -> Iterator[None]:
    """What the store refuses, as the port says it; the library's message is dropped but for its code.

    `forbidden`: a refusal means that the caller may not, not that the store is broken.
    """
    try:
        yield
    except ClientError as error:
        code = _code(error)
        if code in MISSING:
            raise ObjectMissing(key) from None
        if code in TAKEN:
            raise ObjectExists(key) from None
        if forbidden and code in FORBIDDEN:
            raise NotAllowed("The store refuses to remove the object.", which=[key]) from None
        raise StoreUnavailable(f"the object store refuses: {code}") from None
    except (BotoCoreError, Boto3Error):
        raise StoreUnavailable("the object store does not answer") from None
