"""The ObjectStore: objects as plain files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

pytest.importorskip("moto", reason="needs the extra 'local'")
from hypothesis import given, settings
from hypothesis import strategies as st

from lakehouse_local.http.wire import AwsError
from lakehouse_local.s3 import store as s3
from lakehouse_local.s3.store import ObjectStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ObjectStore]:
    opened = ObjectStore(tmp_path / "root")
    (opened.root / "bucket").mkdir()
    yield opened
    opened.close()


def keys(store: ObjectStore, prefix: str = "") -> list[str]:
    return [item.key for item in store.objects(f"s3://bucket/{prefix}")]


def test_write_read_delete(store: ObjectStore, tmp_path: Path) -> None:
    stored = store.write("s3://bucket/a/b", b"one")
    assert (stored.uri, stored.key, stored.size, stored.path.read_bytes()) == ("s3://bucket/a/b", "a/b", 3, b"one")
    source = tmp_path / "file"
    source.write_bytes(b"from a file")
    again = store.write("s3a://bucket/a/b", source)
    assert store.read("s3://bucket/a/b") == b"from a file"
    assert again.etag != stored.etag
    assert source.exists()
    store.delete("s3://bucket/a/b")
    store.delete("s3://bucket/a/b")
    assert not store.exists("s3://bucket/a/b")
    assert list((store.root / "bucket").iterdir()) == []
    assert list((store.root / s3.SCRATCH).iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "code"),
    [("s3://bucket/none", "NoSuchKey"), ("s3://none/x", "NoSuchBucket"), ("s3://bucket/a", "NoSuchKey")],
)
def test_reading_what_is_missing(store: ObjectStore, uri: str, code: str) -> None:
    store.write("s3://bucket/a/b", b"")
    with pytest.raises(AwsError, match=code):
        store.read(uri)


def test_buckets_are_not_made_by_writing(store: ObjectStore) -> None:
    for call in (lambda: store.write("s3://none/x", b""), lambda: store.objects("s3://none/")):
        with pytest.raises(AwsError, match="NoSuchBucket"):
            call()
    assert not store.bucket_exists("none")
    assert not store.bucket_exists(".state")
    assert not store.bucket_exists("")


@pytest.mark.parametrize("uri", ["bucket/key", "http://b/k", "s3://", "s3:///key", "s3://.state/x", "s3://bucket/../x"])
def test_what_is_no_uri(store: ObjectStore, uri: str) -> None:
    with pytest.raises(ValueError, match="s3"):
        store.path(uri)


@pytest.mark.parametrize("key", ["", "a/", "a//b", "./a", "_temporary/x", "a/.spark-staging-1/x", "x" * 300, "nul\0"])
def test_keys_that_cannot_be_files(store: ObjectStore, key: str) -> None:
    with pytest.raises(ValueError, match="cannot be a file's path"):
        store.write(f"s3://bucket/{key}", b"")


def test_listing_is_by_prefix_in_order_and_without_scratch(store: ObjectStore) -> None:
    for key in ("t/b", "t/a/1", "t/a-1", "t2/x", "other"):
        store.write(f"s3://bucket/{key}", b"x")
    scratch = store.root / "bucket" / "t" / "_temporary" / "0"
    scratch.mkdir(parents=True)
    (scratch / "part").write_bytes(b"x")
    assert keys(store) == ["other", "t/a-1", "t/a/1", "t/b", "t2/x"]
    assert keys(store, "t/") == ["t/a-1", "t/a/1", "t/b"]
    assert keys(store, "t") == ["t/a-1", "t/a/1", "t/b", "t2/x"]
    assert keys(store, "t/a/") == ["t/a/1"]
    assert keys(store, "t/b/") == []
    assert keys(store, "none/") == []
    assert keys(store, "t//") == []


def test_etags_come_from_the_index_until_the_file_changes(store: ObjectStore) -> None:
    written = store.write("s3://bucket/k", b"x")
    stamp = s3.Stamp.from_stat(os.stat(written.path))
    store.index.save("bucket", [("k", "md5-of-it", stamp, b"")])
    assert store.objects("s3://bucket/")[0].etag == "md5-of-it"
    os.utime(written.path, ns=(0, 0))
    assert store.objects("s3://bucket/")[0].etag == s3.Stamp(0, 1).etag


def test_writers_and_deleters_at_once(store: ObjectStore) -> None:
    def work(number: int) -> None:
        store.write(f"s3://bucket/a/b/{number}", b"x")
        store.delete(f"s3://bucket/a/b/{number}")
        store.write(f"s3://bucket/a/b/{number}", b"y")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(200)))
    assert len(keys(store)) == 200


@settings(deadline=None)
@given(st.sets(st.text(st.sampled_from("ab/-._é"), min_size=1, max_size=8).filter(s3.is_path), max_size=8))
def test_whatever_the_keys(tmp_path_factory: pytest.TempPathFactory, names: set[str]) -> None:
    chosen = {name for name in names if not any(other.startswith(f"{name}/") for other in names)}
    opened = ObjectStore(tmp_path_factory.mktemp("store"))
    (opened.root / "bucket").mkdir()
    for name in chosen:
        opened.write(f"s3://bucket/{name}", name.encode())
    assert keys(opened) == sorted(chosen, key=str.encode)
    for name in chosen:
        assert opened.read(f"s3://bucket/{name}") == name.encode()
        assert name in keys(opened, name)
    opened.close()
