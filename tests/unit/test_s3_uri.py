"""Addresses of S3 are split in one place."""

import pytest

from airflow_lakehouse_provider.s3_uri import split_s3_uri


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("s3://bucket/a/b.json", ("bucket", "a/b.json")),
        ("s3://bucket/prefix/", ("bucket", "prefix/")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket//key", ("bucket", "/key")),
    ],
)
def test_an_address_is_a_bucket_and_a_key(uri: str, parts: tuple[str, str]) -> None:
    assert split_s3_uri(uri) == parts


@pytest.mark.parametrize("uri", ["", "bucket/key", "s3:///key", "https://bucket/key", "s3a://bucket/key"])
def test_anything_else_is_refused_by_name(uri: str) -> None:
    with pytest.raises(ValueError, match=f"^{uri!r} is not an address in S3"):
        split_s3_uri(uri)
