"""What both object stores promise: a directory, and S3 with Object Lock (MinIO)."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError
from tests.servers.minio import MinioServer, bucket_policy

from wardlake.adapters.directory_objects import DirectoryObjects
from wardlake.adapters.s3_objects import S3Address, S3Objects
from wardlake.model.errors import NotAllowed
from wardlake.ports.objects import Lock, ObjectExists, ObjectMissing, Objects, StoreUnavailable

IMPLEMENTATIONS = ("directory_objects", "s3_objects")


def s3_address(server: MinioServer, *, prefix: str = "", object_lock: bool = True) -> S3Address:
    return S3Address(
        bucket=server.fresh_bucket(object_lock=object_lock),
        prefix=prefix,
        endpoint=server.endpoint,
        access_key=server.root.access_key,
        secret_key=server.root.secret_key,
    )


@pytest.fixture(params=[*IMPLEMENTATIONS, "s3_objects_below_a_prefix"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> Objects:
    match request.param:
        case "directory_objects":
            return DirectoryObjects(tmp_path / "objects")
        case "s3_objects":
            return S3Objects(s3_address(request.getfixturevalue("minio_server")))
        case "s3_objects_below_a_prefix":
            return S3Objects(s3_address(request.getfixturevalue("minio_server"), prefix="lake/audit/"))
        case other:
            raise ValueError(other)


def in_an_hour() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)


def keys_of(objects: Objects, prefix: str = "") -> list[str]:
    return [found.key for found in objects.list(prefix)]


def test_what_was_put_is_got(objects: Objects) -> None:
    objects.put("a/b/c.json", b"\x00body")
    assert objects.get("a/b/c.json") == b"\x00body"


def test_an_empty_object_is_an_object(objects: Objects) -> None:
    objects.put("empty", b"")
    assert objects.get("empty") == b""
    assert objects.info("empty").size == 0


def test_the_newest_version_is_got_and_listed_once(objects: Objects) -> None:
    objects.put("pointer", b"one")
    objects.put("pointer", b"second")
    assert objects.get("pointer") == b"second"
    assert [(found.key, found.size) for found in objects.list("pointer")] == [("pointer", 6)]


@pytest.mark.parametrize(
    "read",
    [
        lambda objects, path: objects.get("none"),
        lambda objects, path: objects.get_file("none", path),
        lambda objects, path: objects.info("none"),
        lambda objects, path: objects.set_hold("none", True),
    ],
)
def test_a_missing_object_is_missing(objects: Objects, tmp_path: Path, read: Callable[[Objects, Path], object]) -> None:
    with pytest.raises(ObjectMissing):
        read(objects, tmp_path / "got")
    assert not list(tmp_path.glob("got*"))


def test_create_only_refuses_a_taken_key_and_leaves_it(objects: Objects) -> None:
    objects.put("once", b"first", create_only=True)
    with pytest.raises(ObjectExists):
        objects.put("once", b"second", create_only=True)
    assert objects.get("once") == b"first"


def test_create_only_takes_a_key_again_after_its_removal(objects: Objects) -> None:
    objects.put("once", b"first", create_only=True)
    objects.delete("once")
    objects.put("once", b"second", create_only=True)
    assert objects.get("once") == b"second"


def test_files_go_in_and_out_whole_also_in_several_parts(objects: Objects, tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"0123456789abcdef" * (20 << 16))  # 20 MiB: above one part
    objects.put_file("big/file", source, lock=Lock(in_an_hour()))
    objects.get_file("big/file", target)
    assert target.read_bytes() == source.read_bytes()
    assert objects.info("big/file").locked_until is not None


def test_info_knows_lock_hold_and_storage_class(objects: Objects) -> None:
    until = in_an_hour()
    objects.put("locked", b"x", lock=Lock(until, hold=True), storage_class="REDUCED_REDUNDANCY")
    info = objects.info("locked")
    assert (info.key, info.size, info.locked_until, info.hold) == ("locked", 1, until, True)
    assert info.storage_class == "REDUCED_REDUNDANCY"


def test_the_standard_storage_class_has_no_name(objects: Objects) -> None:
    objects.put("standard", b"x", storage_class="STANDARD")
    assert objects.info("standard").storage_class == ""
    assert objects.info("standard").locked_until is None


def test_keys_are_listed_in_order_below_a_prefix(objects: Objects) -> None:
    for key in ("b/2", "b/10", "b-c", "a/x", "b/1/deep", "c@1 (ü)"):
        objects.put(key, b".")
    assert keys_of(objects) == sorted(["b/2", "b/10", "b-c", "a/x", "b/1/deep", "c@1 (ü)"])
    assert keys_of(objects, "b/") == ["b/1/deep", "b/10", "b/2"]
    assert keys_of(objects, "b/1") == ["b/1/deep", "b/10"]
    assert keys_of(objects, "none") == []


def test_more_keys_than_one_page_are_all_listed(objects: Objects) -> None:
    count = 20 if isinstance(objects, DirectoryObjects) else 1010
    for number in range(count):
        objects.put(f"many/{number:05d}", b"")
    assert len(keys_of(objects, "many/")) == count


def test_a_deleted_object_is_gone_with_all_its_versions(objects: Objects) -> None:
    objects.put("gone", b"one")
    objects.put("gone", b"two")
    objects.put("gone-not", b"three")
    objects.delete("gone")
    with pytest.raises(ObjectMissing):
        objects.get("gone")
    assert keys_of(objects) == ["gone-not"]
    objects.delete("gone")  # again: nothing happens


def test_a_locked_object_is_not_deleted(objects: Objects) -> None:
    objects.put("locked", b"kept", lock=Lock(in_an_hour()))
    with pytest.raises(NotAllowed):
        objects.delete("locked")
    assert objects.get("locked") == b"kept"


def test_a_locked_version_below_an_unlocked_one_keeps_both(objects: Objects) -> None:
    objects.put("mixed", b"locked", lock=Lock(in_an_hour()))
    objects.put("mixed", b"newer")
    with pytest.raises(NotAllowed):
        objects.delete("mixed")
    assert objects.get("mixed") == b"newer"


def test_an_object_past_its_lock_may_be_deleted(objects: Objects) -> None:
    until = datetime.now(UTC) + timedelta(seconds=30)
    objects.put("short", b"x", lock=Lock(until))
    with pytest.raises(NotAllowed):
        objects.delete("short")
    time.sleep(max(0.0, (until - datetime.now(UTC)).total_seconds()) + 1)
    objects.delete("short")
    assert keys_of(objects) == []


def test_a_held_object_is_not_deleted_until_the_hold_is_lifted(objects: Objects) -> None:
    objects.put("held", b"x")
    objects.set_hold("held", True)
    assert objects.info("held").hold
    with pytest.raises(NotAllowed):
        objects.delete("held")
    objects.set_hold("held", False)
    objects.delete("held")
    assert keys_of(objects) == []


def test_a_lock_that_has_ended_before_it_began_is_refused(objects: Objects) -> None:
    with pytest.raises(StoreUnavailable):
        objects.put("past", b"x", lock=Lock(datetime.now(UTC) - timedelta(hours=1)))
    assert keys_of(objects) == []


def test_a_reachable_store_says_so(objects: Objects) -> None:
    objects.reachable()


# --- many writers ------------------------------------------------------------------------------------------------------


def _put_once(make: Callable[..., Objects], argument: object, worker: int, barrier: object, won: object) -> None:
    objects = make(argument)
    barrier.wait(timeout=60)  # type: ignore[attr-defined]
    for number in range(10):
        try:
            objects.put(f"race/{number}", str(worker).encode(), create_only=True)
            won.put((number, worker))  # type: ignore[attr-defined]
        except ObjectExists:
            continue


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
def test_of_many_create_only_puts_one_wins(implementation: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    make: Callable[..., Objects]
    if implementation == "directory_objects":
        make, argument = DirectoryObjects, tmp_path / "objects"
    else:
        make, argument = S3Objects, s3_address(request.getfixturevalue("minio_server"))  # type: ignore[assignment]
    context = multiprocessing.get_context("spawn")
    barrier, won = context.Barrier(3), context.Queue()
    workers = [context.Process(target=_put_once, args=(make, argument, n, barrier, won)) for n in range(3)]
    for worker in workers:
        worker.start()
    winners = dict(won.get(timeout=60) for _ in range(10))
    for worker in workers:
        worker.join(timeout=60)
    assert won.empty()
    objects = make(argument)
    assert {number: int(objects.get(f"race/{number}")) for number in range(10)} == winners


# --- away or refusing --------------------------------------------------------------------------------------------------


def _attempts(objects: Objects, folder: Path) -> list[Callable[[], object]]:
    (folder / "file").write_bytes(b"x")
    return [
        lambda: objects.put("k", b"x"),
        lambda: objects.put("k", b"x", create_only=True),
        lambda: objects.put_file("k", folder / "file"),
        lambda: objects.get("k"),
        lambda: objects.get_file("k", folder / "got"),
        lambda: objects.info("k"),
        lambda: list(objects.list("")),
        lambda: objects.delete("k"),
        lambda: objects.set_hold("k", True),
        objects.reachable,
    ]


def test_a_stopped_store_is_unavailable_soon(own_minio: MinioServer, tmp_path: Path) -> None:
    objects = S3Objects(s3_address(own_minio))
    objects.put("k", b"x")
    own_minio.stop()
    quicker = 0.0  # of two times each: the machine itself may stand still once
    for attempt in _attempts(objects, tmp_path):
        took = []
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(StoreUnavailable):
                attempt()
            took.append(time.monotonic() - began)
        quicker += min(took)
    assert quicker < 30


def test_a_store_that_refuses_the_credentials_is_unavailable(minio_server: MinioServer, tmp_path: Path) -> None:
    user = minio_server.new_user(bucket_policy(["s3:ListBucket"], "another-bucket"))
    bucket = minio_server.fresh_bucket()
    objects = S3Objects(
        S3Address(bucket=bucket, endpoint=minio_server.endpoint, access_key=user.access_key, secret_key=user.secret_key)
    )
    for attempt in _attempts(objects, tmp_path):
        with pytest.raises(StoreUnavailable):
            attempt()


def test_a_bucket_without_object_lock_refuses_a_locked_put(minio_server: MinioServer) -> None:
    objects = S3Objects(s3_address(minio_server, object_lock=False))
    with pytest.raises(StoreUnavailable):
        objects.put("k", b"x", lock=Lock(in_an_hour()))


def test_an_unknown_storage_class_is_refused_by_the_store(minio_server: MinioServer) -> None:
    with pytest.raises(StoreUnavailable):
        S3Objects(s3_address(minio_server)).put("k", b"x", storage_class="CARDBOARD_BOX")


def test_the_directory_gone_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file where the folder should be")
    objects = DirectoryObjects(tmp_path / "objects")
    for attempt in (lambda: objects.put("k", b"x"), objects.reachable):
        with pytest.raises(StoreUnavailable):
            attempt()


def test_a_full_disk_is_unavailable_and_leaves_nothing(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path / "objects")
    objects.put("before", b"x")
    with pytest.raises(StoreUnavailable):
        objects.put_file("k", Path("/dev/full").parent)  # reading a folder fails midway, as writing to a full disk does
    assert keys_of(objects) == ["before"]
    assert list((tmp_path / "objects" / ".incoming").iterdir()) == []


@pytest.mark.parametrize("key", ["", "/", "a//b", "../up", "a/../../up", ".", "a/", ".incoming/x"])
def test_a_key_that_leaves_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    objects = DirectoryObjects(tmp_path / "objects")
    with pytest.raises(StoreUnavailable):
        objects.put(key, b"x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    process = multiprocessing.get_context("spawn").Process(target=int)
    process.start()
    process.join()
    left = tmp_path / "objects" / ".incoming" / f"{process.pid}-0000"
    left.mkdir(parents=True)
    (left / "body").write_bytes(b"half")
    DirectoryObjects(tmp_path / "objects").put("k", b"x")
    assert not left.exists()


def test_stored_files_are_read_only(tmp_path: Path) -> None:
    DirectoryObjects(tmp_path / "objects").put("k", b"x")
    assert [oct(path.stat().st_mode & 0o777) for path in sorted((tmp_path / "objects" / "k@000001").iterdir())] == [
        "0o444",
        "0o444",
    ]


# --- the lock against its own administrator ----------------------------------------------------------------------------


def test_not_even_the_stores_root_user_deletes_or_shortens_a_lock(minio_server: MinioServer) -> None:
    address = s3_address(minio_server)
    S3Objects(address).put("audit", b"kept", lock=Lock(in_an_hour()))
    root = boto3.client(
        "s3",
        endpoint_url=address.endpoint,
        region_name=address.region,
        aws_access_key_id=address.access_key,
        aws_secret_access_key=address.secret_key,
    )
    at = {"Bucket": address.bucket, "Key": "audit"}
    version = root.head_object(**at)["VersionId"]
    sooner = {"Mode": "COMPLIANCE", "RetainUntilDate": datetime.now(UTC) + timedelta(seconds=5)}
    weaker = {"Mode": "GOVERNANCE", "RetainUntilDate": in_an_hour() + timedelta(days=1)}
    attacks: list[Callable[[], object]] = [
        lambda: root.delete_object(**at, VersionId=version, BypassGovernanceRetention=True),
        lambda: root.put_object_retention(**at, VersionId=version, Retention=sooner, BypassGovernanceRetention=True),
        lambda: root.put_object_retention(**at, VersionId=version, Retention=weaker, BypassGovernanceRetention=True),
    ]
    for attack in attacks:
        with pytest.raises(ClientError):
            attack()
    root.delete_object(**at)  # only hides it behind a marker
    assert root.get_object(**at, VersionId=version)["Body"].read() == b"kept"
