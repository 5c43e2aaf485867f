"""Spark's file operations as the S3 calls that IAM judges."""

from __future__ import annotations

import pytest

from lakehouse_local.iam import judged_files
from lakehouse_local.s3.store import ObjectStore

ATTEMPT = "b/t/_temporary/0/_temporary/attempt_1"


@pytest.fixture
def judged_calls(tmp_path):
    store = ObjectStore(tmp_path / "root")
    (store.root / "b" / "t").mkdir(parents=True)
    (store.root / "b" / "t" / "part-0").write_bytes(b"1")

    def calls(operation, path, target=""):
        found = []

        def judge(service, call, parameters):
            found.append((call, parameters["Bucket"], parameters.get("Key", parameters.get("Prefix"))))

        judged_files.judge(judge, store, operation, path, target)
        return found

    yield calls
    store.close()


@pytest.mark.parametrize(
    ("operation", "path", "target", "calls"),
    [
        ("GetObject", "b/t/part-0", "", [("GetObject", "b", "t/part-0")]),
        ("PutObject", "b/t/part-1", "", [("PutObject", "b", "t/part-1")]),
        ("DeleteObject", "b/t/part-0", "", [("DeleteObject", "b", "t/part-0")]),
        ("HeadObject", "b/t/part-0", "", [("HeadObject", "b", "t/part-0")]),
        ("HeadObject", "b/t", "", [("ListObjectsV2", "b", "t/")]),
        ("HeadObject", "b", "", [("ListObjectsV2", "b", "")]),
        ("HeadObject", "b/nothing", "", [("ListObjectsV2", "b", "nothing/")]),
        ("ListObjectsV2", "b/t", "", [("ListObjectsV2", "b", "t/")]),
        ("MakeFolder", "b/t", "", [("PutObject", "b", "t/")]),
        (
            "Rename",
            "b/t/part-0",
            "b/u/part-0",
            [("GetObject", "b", "t/part-0"), ("DeleteObject", "b", "t/part-0"), ("PutObject", "b", "u/part-0")],
        ),
        # The scratch of committers is not on S3: what is written there is judged where it will be.
        ("PutObject", f"{ATTEMPT}/part-0", "", [("PutObject", "b", "t/part-0")]),
        ("PutObject", "b/t/.spark-staging-9/y=1/part-0", "", [("PutObject", "b", "t/y=1/part-0")]),
        ("MakeFolder", "b/t/_temporary/0", "", [("PutObject", "b", "t/")]),
        ("HeadObject", f"{ATTEMPT}/part-0", "", []),
        ("ListObjectsV2", "b/t/_temporary", "", []),
        ("DeleteObject", "b/t/_temporary", "", []),
        ("Rename", ATTEMPT, "b/t/_temporary/0/task_1", []),
        ("Rename", "b/t/_temporary/0/task_1/part-0", "b/t/part-0", [("PutObject", "b", "t/part-0")]),
        ("GetObject", "", "", []),
    ],
)
def test_a_file_operation_is_judged_as_calls_of_s3(judged_calls, operation, path, target, calls):
    assert judged_calls(operation, path, target) == calls
