"""An AWS account that has used Athena: the database ``default``, and a bucket for the results of ``primary``."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

DATABASE = "default"  # the database of a query that names none
RESULTS_BUCKET = "athena-results"
_EXISTS = ("AlreadyExistsException", "BucketAlreadyExists", "BucketAlreadyOwnedByYou")


def use_athena(endpoint: str, region: str) -> None:
    """Create the database ``default`` and the bucket where the work group ``primary`` writes its results.

    Resources that exist stay as they are.

    :param endpoint: URL of the local AWS
    """
    import boto3

    session = boto3.Session("local", "local", region_name=region)
    s3, glue, athena = (session.client(service, endpoint_url=endpoint) for service in ("s3", "glue", "athena"))
    # us-east-1 is the one region that CreateBucket refuses as a location.
    location = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    _unless_exists(s3.create_bucket, Bucket=RESULTS_BUCKET, **location)
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
