"""S3 of the local AWS: moto's protocol over plain files that others write too."""

from __future__ import annotations

import hashlib
import io
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def s3(boto: Callable[..., Any]) -> Any:
    return boto("s3")


def keys(s3: Any, bucket: str, **arguments: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, **arguments)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


@pytest.mark.parametrize("content", [b"", b"trips\r\n", os.urandom(300_000)], ids=["empty", "text", "binary"])
def test_a_raw_file_stays_byte_for_byte(s3: Any, bucket: str, local_aws: Any, content: bytes) -> None:
    etag = s3.put_object(Bucket=bucket, Key="yellow/2024/x.parquet", Body=content)["ETag"]
    assert etag == s3.head_object(Bucket=bucket, Key="yellow/2024/x.parquet")["ETag"]
    assert etag.strip('"') == hashlib.md5(content).hexdigest()
    assert s3.get_object(Bucket=bucket, Key="yellow/2024/x.parquet")["Body"].read() == content
    assert (local_aws.root / bucket / "yellow/2024/x.parquet").read_bytes() == content
    stored = local_aws.store.objects(f"s3://{bucket}/yellow/")
    assert [(item.key, item.size, item.etag) for item in stored] == [
        ("yellow/2024/x.parquet", len(content), etag.strip('"'))
    ]


def test_metadata_and_tags_are_kept(s3: Any, bucket: str) -> None:
    s3.put_object(
        Bucket=bucket,
        Key="k",
        Body=b"x",
        Metadata={"run_id": "jr_1", "a-b": "c"},
        ContentType="text/csv",
        Tagging="t=1",
    )
    head = s3.head_object(Bucket=bucket, Key="k")
    assert head["Metadata"] == {"run_id": "jr_1", "a-b": "c"}
    assert head["ContentType"] == "text/csv"
    assert s3.get_object_tagging(Bucket=bucket, Key="k")["TagSet"] == [{"Key": "t", "Value": "1"}]


def test_files_written_past_the_api_are_objects(s3: Any, bucket: str, local_aws: Any) -> None:
    folder = local_aws.root / bucket / "trips" / "year=2024"
    (folder / "_temporary" / "0").mkdir(parents=True)
    (folder / "_temporary" / "0" / "part").write_bytes(b"unfinished")
    (folder / ".spark-staging-1").mkdir()
    (folder / ".spark-staging-1" / "part").write_bytes(b"unfinished")
    (folder / "part-0.parquet").write_bytes(b"PAR1")
    assert keys(s3, bucket) == ["trips/year=2024/part-0.parquet"]
    first = s3.head_object(Bucket=bucket, Key="trips/year=2024/part-0.parquet")
    assert first["ContentLength"] == 4
    assert first["ETag"].endswith('-1"')
    assert local_aws.store.objects(f"s3://{bucket}/")[0].etag == first["ETag"].strip('"')

    (folder / "part-0.parquet").write_bytes(b"PAR1 and more")
    assert s3.get_object(Bucket=bucket, Key="trips/year=2024/part-0.parquet")["Body"].read() == b"PAR1 and more"
    assert s3.head_object(Bucket=bucket, Key="trips/year=2024/part-0.parquet")["ETag"] != first["ETag"]

    (folder / "part-0.parquet").unlink()
    assert keys(s3, bucket) == []
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="trips/year=2024/part-0.parquet")
    assert code(error) == "NoSuchKey"


def test_an_object_of_the_api_replaced_past_it(s3: Any, bucket: str, local_aws: Any) -> None:
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"from boto3", Metadata={"who": "boto3"})
    local_aws.store.write(f"s3://{bucket}/a/b", b"from spark")
    answer = s3.get_object(Bucket=bucket, Key="a/b")
    assert answer["Body"].read() == b"from spark"
    assert answer["Metadata"] == {}


def test_delete_removes_file_and_empty_directories(s3: Any, bucket: str, local_aws: Any) -> None:
    for key in ("a/b/c/1", "a/b/c/2", "a/other"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "a/b/c/1"}, {"Key": "a/b/c/2"}, {"Key": "none"}]})
    assert keys(s3, bucket) == ["a/other"]
    assert not (local_aws.root / bucket / "a" / "b").exists()
    s3.delete_object(Bucket=bucket, Key="a/other")
    s3.delete_bucket(Bucket=bucket)
    assert not (local_aws.root / bucket).exists()


def test_a_bucket_with_a_file_that_moto_never_saw_is_not_empty(s3: Any, bucket: str, local_aws: Any) -> None:
    (local_aws.root / bucket / "x").write_bytes(b"x")
    with pytest.raises(ClientError) as error:
        s3.delete_bucket(Bucket=bucket)
    assert code(error) == "BucketNotEmpty"


def test_copy(s3: Any, bucket: str, local_aws: Any) -> None:
    (local_aws.root / bucket / "source").write_bytes(b"content")
    s3.copy_object(Bucket=bucket, Key="copies/1", CopySource={"Bucket": bucket, "Key": "source"})
    s3.copy_object(Bucket=bucket, Key="source", CopySource=f"{bucket}/source", MetadataDirective="REPLACE")
    assert local_aws.store.read(f"s3://{bucket}/copies/1") == b"content"
    assert local_aws.store.read(f"s3://{bucket}/source") == b"content"


def test_multipart(s3: Any, bucket: str, local_aws: Any) -> None:
    from boto3.s3.transfer import TransferConfig

    content = os.urandom(12 << 20)
    config = TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    s3.upload_fileobj(io.BytesIO(content), bucket, "big", Config=config)
    assert s3.head_object(Bucket=bucket, Key="big")["ETag"].endswith('-3"')
    assert (local_aws.root / bucket / "big").read_bytes() == content
    downloaded = io.BytesIO()
    s3.download_fileobj(bucket, "big", downloaded, Config=config)
    assert downloaded.getvalue() == content


def test_an_aborted_upload_leaves_nothing(s3: Any, bucket: str, local_aws: Any) -> None:
    before = set((local_aws.root / ".s3").iterdir())
    upload = s3.create_multipart_upload(Bucket=bucket, Key="k")["UploadId"]
    s3.upload_part(Bucket=bucket, Key="k", UploadId=upload, PartNumber=1, Body=b"x" * 1000)
    s3.abort_multipart_upload(Bucket=bucket, Key="k", UploadId=upload)
    assert keys(s3, bucket) == []
    assert set((local_aws.root / ".s3").iterdir()) <= before


@pytest.mark.parametrize(
    ("span", "expected"),
    [("bytes=0-3", b"0123"), ("bytes=8-", b"89"), ("bytes=-2", b"89"), ("bytes=5-500", b"56789"), ("bytes=9-9", b"9")],
)
def test_ranges(s3: Any, bucket: str, span: str, expected: bytes) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    answer = s3.get_object(Bucket=bucket, Key="digits", Range=span)
    assert answer["Body"].read() == expected
    assert answer["ContentLength"] == len(expected)
    assert answer["ContentRange"].endswith("/10")


@pytest.mark.parametrize("span", ["bytes=5-3", "bytes=abc", "bytes=0-1,3-4"])
def test_ranges_that_s3_ignores(s3: Any, bucket: str, span: str) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    assert s3.get_object(Bucket=bucket, Key="digits", Range=span)["Body"].read() == b"0123456789"


def test_a_range_beyond_the_end(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="digits", Body=b"0123456789")
    with pytest.raises(ClientError) as error:
        s3.get_object(Bucket=bucket, Key="digits", Range="bytes=10-")
    assert code(error) == "InvalidRange"


@pytest.mark.parametrize("key", ["folder/", "a//b", "x/../y", "_temporary/x", "a/./b"])
def test_keys_that_cannot_be_paths(s3: Any, bucket: str, local_aws: Any, key: str) -> None:
    s3.put_object(Bucket=bucket, Key=key, Body=b"odd")
    assert keys(s3, bucket) == [key]
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"odd"
    assert local_aws.store.objects(f"s3://{bucket}/") == []
    s3.delete_object(Bucket=bucket, Key=key)
    assert keys(s3, bucket) == []


def test_an_object_beside_a_folder_of_its_name(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"below")
    s3.put_object(Bucket=bucket, Key="a", Body=b"above")
    s3.put_object(Bucket=bucket, Key="c", Body=b"above")
    s3.put_object(Bucket=bucket, Key="c/d", Body=b"below")
    assert keys(s3, bucket) == ["a", "a/b", "c", "c/d"]
    for key in ("a", "c"):
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"above"


def test_listing_pages_prefixes_and_delimiters(s3: Any, bucket: str, local_aws: Any) -> None:
    folder = local_aws.root / bucket / "p"
    folder.mkdir()
    for number in range(25):
        (folder / f"{number:02}").write_bytes(b"x")
    s3.put_object(Bucket=bucket, Key="p2/other", Body=b"x")
    expected = [f"p/{number:02}" for number in range(25)]
    assert keys(s3, bucket, Prefix="p/", PaginationConfig={"PageSize": 10}) == expected
    assert keys(s3, bucket, Prefix="p/1") == expected[10:20]
    assert keys(s3, bucket, Prefix="none/") == []
    folders = s3.list_objects_v2(Bucket=bucket, Delimiter="/")["CommonPrefixes"]
    assert [item["Prefix"] for item in folders] == ["p/", "p2/"]
    first = s3.list_objects(Bucket=bucket, Prefix="p/", MaxKeys=20)
    assert first["IsTruncated"]
    second = s3.list_objects(Bucket=bucket, Prefix="p/", Marker=first["Contents"][-1]["Key"])
    assert [item["Key"] for item in second["Contents"]] == expected[20:]


class TestVersions:
    @pytest.fixture(autouse=True)
    def versioned(self, s3: Any, bucket: str) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"before versioning")
        s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def versions(self, s3: Any, bucket: str) -> dict[str, bytes]:
        listed = s3.list_object_versions(Bucket=bucket).get("Versions", [])
        return {
            item["VersionId"]: s3.get_object(Bucket=bucket, Key="k", VersionId=item["VersionId"])["Body"].read()
            for item in listed
        }

    def test_every_version_keeps_its_bytes(self, s3: Any, bucket: str, local_aws: Any) -> None:
        second = s3.put_object(Bucket=bucket, Key="k", Body=b"second")["VersionId"]
        local_aws.store.write(f"s3://{bucket}/k", b"past the API")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"past the API"
        found = self.versions(s3, bucket)
        assert found["null"] == b"before versioning"
        assert found[second] == b"second"
        assert sorted(found.values()) == [b"before versioning", b"past the API", b"second"]

    def test_a_delete_marker_hides_the_file_and_its_deletion_brings_it_back(
        self, s3: Any, bucket: str, local_aws: Any
    ) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"second")
        marker = s3.delete_object(Bucket=bucket, Key="k")["VersionId"]
        assert not local_aws.store.exists(f"s3://{bucket}/k")
        assert keys(s3, bucket) == []
        s3.delete_object(Bucket=bucket, Key="k", VersionId=marker)
        assert local_aws.store.read(f"s3://{bucket}/k") == b"second"
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"second"

    def test_a_file_deleted_past_the_api_becomes_a_delete_marker(self, s3: Any, bucket: str, local_aws: Any) -> None:
        s3.put_object(Bucket=bucket, Key="k", Body=b"second")
        local_aws.store.delete(f"s3://{bucket}/k")
        assert keys(s3, bucket) == []
        assert len(s3.list_object_versions(Bucket=bucket)["DeleteMarkers"]) == 1
        assert sorted(self.versions(s3, bucket).values()) == [b"before versioning", b"second"]

    def test_deleting_the_newest_version_uncovers_the_one_before(self, s3: Any, bucket: str, local_aws: Any) -> None:
        second = s3.put_object(Bucket=bucket, Key="k", Body=b"second")["VersionId"]
        s3.delete_object(Bucket=bucket, Key="k", VersionId=second)
        assert local_aws.store.read(f"s3://{bucket}/k") == b"before versioning"


def test_a_policy_that_asks_for_tls_does_not_lock_everybody_out(s3: Any, bucket: str) -> None:
    s3.put_bucket_policy(
        Bucket=bucket,
        Policy='{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":["*"],'
        '"Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}',
    )
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"x"


def test_if_none_match_refuses_a_second_commit(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="commit", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="commit", Body=b"2", IfNoneMatch="*")
    assert code(error) == "PreconditionFailed"


def test_if_match_refuses_what_somebody_else_changed(s3: Any, bucket: str) -> None:
    read = s3.put_object(Bucket=bucket, Key="lease", Body=b"1")["ETag"]
    mine = s3.put_object(Bucket=bucket, Key="lease", Body=b"2", IfMatch=read)["ETag"]
    for call in (s3.put_object, s3.delete_object):
        with pytest.raises(ClientError) as error:
            call(Bucket=bucket, Key="lease", IfMatch=read)
        assert (code(error), error.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("PreconditionFailed", 412)
    assert s3.get_object(Bucket=bucket, Key="lease")["Body"].read() == b"2"
    s3.delete_object(Bucket=bucket, Key="lease")
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket=bucket, Key="lease", Body=b"3", IfMatch=mine)
    assert (code(error), error.value.response["ResponseMetadata"]["HTTPStatusCode"]) == ("NoSuchKey", 404)
    assert keys(s3, bucket) == []


def test_a_copy_and_an_upload_in_parts_have_conditions_too(s3: Any, bucket: str) -> None:
    etag = s3.put_object(Bucket=bucket, Key="k", Body=b"1")["ETag"]
    source = {"Bucket": bucket, "Key": "k"}
    parts = {}
    for key in ("k", "gone"):
        upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        part = s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"2")
        made = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        parts[key] = {"Bucket": bucket, "Key": key, "UploadId": upload, "MultipartUpload": made}
    for call, expected in (
        (lambda: s3.copy_object(Bucket=bucket, Key="k", CopySource=source, IfNoneMatch="*"), "PreconditionFailed"),
        (lambda: s3.copy_object(Bucket=bucket, Key="k", CopySource=source, IfMatch='"x"'), "PreconditionFailed"),
        (lambda: s3.complete_multipart_upload(**parts["k"], IfMatch='"x"'), "PreconditionFailed"),
        (lambda: s3.complete_multipart_upload(**parts["k"], IfNoneMatch="*"), "PreconditionFailed"),
        (lambda: s3.complete_multipart_upload(**parts["gone"], IfMatch=etag), "NoSuchKey"),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == expected
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
    s3.complete_multipart_upload(**parts["k"], IfMatch=etag)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"2"


@pytest.mark.parametrize("condition", ["IfNoneMatch", "IfMatch"])
def test_one_of_many_writers_at_once_wins(s3: Any, bucket: str, condition: str) -> None:
    for number in range(5):
        key = f"commit-{number}"
        wanted = "*" if condition == "IfNoneMatch" else s3.put_object(Bucket=bucket, Key=key, Body=b"")["ETag"]
        begin = threading.Barrier(20)

        def write(writer: int, key: str = key, wanted: str = wanted, begin: Any = begin) -> int:
            begin.wait()
            try:
                s3.put_object(Bucket=bucket, Key=key, Body=b"%d" % writer, **{condition: wanted})
            except ClientError as error:
                return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
            return writer

        with ThreadPoolExecutor(20) as pool:
            (winner,) = [each for each in pool.map(write, range(20)) if each != 412]
        assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"%d" % winner


def test_a_reader_never_sees_half_of_a_replacement(s3: Any, bucket: str, local_aws: Any) -> None:
    contents = [bytes([65 + number]) * (50_000 + 10_000 * number) for number in range(3)]
    s3.put_object(Bucket=bucket, Key="k", Body=contents[0])
    done = threading.Event()

    def replace() -> None:
        for number in range(30):
            s3.put_object(Bucket=bucket, Key="k", Body=contents[number % 3])
            local_aws.store.write(f"s3://{bucket}/k", contents[(number + 1) % 3])
        done.set()

    def read() -> None:
        while not done.is_set():
            answer = s3.get_object(Bucket=bucket, Key="k")
            body = answer["Body"].read()
            assert body in contents
            assert answer["ContentLength"] == len(body)

    with ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(replace), *(pool.submit(read) for _ in range(3))]:
            future.result()


def test_many_writers_at_once(s3: Any, bucket: str, local_aws: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: s3.put_object(Bucket=bucket, Key=f"d/{n % 7}/{n}", Body=b"%d" % n), range(80)))
        list(pool.map(lambda n: s3.delete_object(Bucket=bucket, Key=f"d/{n % 7}/{n}"), range(0, 80, 2)))
    assert sorted(keys(s3, bucket)) == sorted(f"d/{n % 7}/{n}" for n in range(1, 80, 2))
    assert len(local_aws.store.objects(f"s3://{bucket}/")) == 40


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda s3, b: s3.get_object(Bucket=b, Key="none"), "NoSuchKey"),
        (lambda s3, b: s3.get_object(Bucket="no-such-bucket-here", Key="x"), "NoSuchBucket"),
        (lambda s3, b: s3.put_object(Bucket="no-such-bucket-here", Key="x", Body=b""), "NoSuchBucket"),
        (lambda s3, b: s3.head_object(Bucket=b, Key="none"), "404"),
    ],
)
def test_what_is_missing(s3: Any, bucket: str, call: Callable[[Any, str], Any], expected: str) -> None:
    with pytest.raises(ClientError) as error:
        call(s3, bucket)
    assert code(error) == expected


def test_an_injected_error_is_s3s_own(start_local: Callable[..., Any]) -> None:
    import urllib.request

    local = start_local()
    own = local.client("s3")
    own.create_bucket(Bucket="faulty")
    script = b'[{"fault": "error", "service": "s3", "method": "PUT", "after": 1, "code": "SlowDown"}]'
    urllib.request.urlopen(urllib.request.Request(f"{local.endpoint}/_lakehouse/faults", script, method="PUT"))
    own.put_object(Bucket="faulty", Key="first", Body=b"1")
    with pytest.raises(ClientError) as error:
        own.put_object(Bucket="faulty", Key="second", Body=b"1")
    assert (code(error), error.value.response["Error"]["Message"]) == ("SlowDown", "a fault on purpose")
    own.put_object(Bucket="faulty", Key="third", Body=b"1")
    assert keys(own, "faulty") == ["first", "third"]
