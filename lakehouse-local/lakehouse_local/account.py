"""An AWS account that has used Athena: the database ``default``, and a place for the results of ``primary``."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

DATABASE = "default"  # the database of a query that names none
RESULTS_BUCKET = "athena-results"
_EXISTS = ("AlreadyExistsException", "BucketAlreadyExists", "BucketAlreadyOwnedByYou")


def use_athena(endpoint: str, region: str) -> None:
    """Create the database ``default`` and the bucket, and let the work group ``primary`` write its results there.

    What exists already stays as it is.

    :param endpoint: of a local AWS
    """
    import boto3

    session = boto3.Session("local", "local", region_name=region)
    s3, glue, athena = (session.client(service, endpoint_url=endpoint) for service in ("s3", "glue", "athena"))
    # us-east-1 is the one region that must not be named.
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    _unless_exists(s3.create_bucket, Bucket=RESULTS_BUCKET, **place)
    _unless_exists(glue.create_database, DatabaseInput={"Name": DATABASE})
    primary = athena.get_work_group(WorkGroup="primary")["WorkGroup"]
    if not primary["Configuration"].get("ResultConfiguration", {}).get("OutputLocation"):
        update = {"ResultConfigurationUpdates": {"OutputLocation": f"s3://{RESULTS_BUCKET}/"}}
        athena.update_work_group(WorkGroup="primary", ConfigurationUpdates=update)


def _unless_exists(create: Any, **request: Any) -> None:
    try:
        create(**request)
    except ClientError as error:
        if error.response["Error"]["Code"] not in _EXISTS:
            raise
