"""The actions and resources that IAM judges, of requests as boto3 writes them."""

from __future__ import annotations

import re
from io import BytesIO
from urllib.parse import unquote, urlsplit

import boto3
import pytest

from lakehouse_local.iam.access import ApiCall
from lakehouse_local.iam.account import Account
from lakehouse_local.iam.actions import accesses
from lakehouse_local.moto.requests import parse_request

pytest.importorskip("moto", reason="needs the extra 'local'")

NUMBER = "123456789012"
ACCOUNT = Account("us-east-1", NUMBER, work_group_of_query={"q1": "dbt"}.get)
GLUE, ROLE = f"arn:aws:glue:us-east-1:{NUMBER}:", f"arn:aws:iam::{NUMBER}:role/"
LOGS = f"arn:aws:logs:us-east-1:{NUMBER}:log-group:"
B = "arn:aws:s3:::b"


class _Sent(Exception):
    pass


def environ_of(service, operation, **parameters):
    """Return a WSGI environment with the request of boto3, and the service that it is signed for."""
    client = boto3.client(
        service, region_name="us-east-1", endpoint_url="http://127.0.0.1:1",
        aws_access_key_id="a", aws_secret_access_key="b",
    )  # fmt: skip
    sent = []

    def keep(request, **_):
        sent.append(request)
        raise _Sent

    client.meta.events.register("before-send", keep)
    with pytest.raises(_Sent):
        getattr(client, operation)(**parameters)
    (request,) = sent
    url, body = urlsplit(request.url), request.body or b""
    body = body.read() if hasattr(body, "read") else body.encode() if isinstance(body, str) else body
    headers = {
        name.lower(): value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()
    }
    environ = {
        "REQUEST_METHOD": request.method,
        "PATH_INFO": unquote(url.path),
        "RAW_URI": f"{url.path}?{url.query}",
        "QUERY_STRING": url.query,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "1",
        "HTTP_HOST": url.netloc,
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": headers.pop("content-type", ""),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
    }
    signed = re.search(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/", headers["authorization"])
    return environ, signed[1], body


def catalogue(*places):
    return [f"{GLUE}{place}" for place in ("catalog", *places)]


# (service, boto3's method, parameters) -> {action: resources}
NEEDED = [
    ("s3", "get_object", {"Bucket": "b", "Key": "x/é y+z"}, {"s3:GetObject": f"{B}/x/é y+z"}),
    ("s3", "get_object", {"Bucket": "b", "Key": "x", "VersionId": "v"}, {"s3:GetObjectVersion": f"{B}/x"}),
    ("s3", "head_object", {"Bucket": "b", "Key": "x"}, {"s3:GetObject": f"{B}/x"}),
    ("s3", "put_object", {"Bucket": "b", "Key": "dir/", "Body": b"1"}, {"s3:PutObject": f"{B}/dir/"}),
    ("s3", "put_object", {"Bucket": "b", "Key": "x", "Tagging": "a=b"},
     {"s3:PutObject": f"{B}/x", "s3:PutObjectTagging": f"{B}/x"}),
    ("s3", "create_multipart_upload", {"Bucket": "b", "Key": "x"}, {"s3:PutObject": f"{B}/x"}),
    ("s3", "upload_part", {"Bucket": "b", "Key": "x", "UploadId": "u", "PartNumber": 1}, {"s3:PutObject": f"{B}/x"}),
    ("s3", "complete_multipart_upload", {"Bucket": "b", "Key": "x", "UploadId": "u"}, {"s3:PutObject": f"{B}/x"}),
    ("s3", "abort_multipart_upload", {"Bucket": "b", "Key": "x", "UploadId": "u"},
     {"s3:AbortMultipartUpload": f"{B}/x"}),
    ("s3", "list_parts", {"Bucket": "b", "Key": "x", "UploadId": "u"}, {"s3:ListMultipartUploadParts": f"{B}/x"}),
    ("s3", "list_multipart_uploads", {"Bucket": "b"}, {"s3:ListBucketMultipartUploads": B}),
    ("s3", "copy_object", {"Bucket": "b", "Key": "x", "CopySource": {"Bucket": "c", "Key": "y z"}},
     {"s3:PutObject": f"{B}/x", "s3:GetObject": "arn:aws:s3:::c/y z"}),
    ("s3", "copy_object", {"Bucket": "b", "Key": "x", "CopySource": "c/y?versionId=v"},
     {"s3:PutObject": f"{B}/x", "s3:GetObjectVersion": "arn:aws:s3:::c/y"}),
    ("s3", "delete_object", {"Bucket": "b", "Key": "x", "VersionId": "v"}, {"s3:DeleteObjectVersion": f"{B}/x"}),
    ("s3", "delete_objects", {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y/z"}]}},
     {"s3:DeleteObject": [f"{B}/x", f"{B}/y/z"]}),
    ("s3", "list_objects_v2", {"Bucket": "b"}, {"s3:ListBucket": B}),
    ("s3", "list_object_versions", {"Bucket": "b"}, {"s3:ListBucketVersions": B}),
    ("s3", "head_bucket", {"Bucket": "b"}, {"s3:ListBucket": B}),
    ("s3", "list_buckets", {}, {"s3:ListAllMyBuckets": "*"}),
    ("s3", "get_bucket_encryption", {"Bucket": "b"}, {"s3:GetEncryptionConfiguration": B}),
    ("s3", "get_public_access_block", {"Bucket": "b"}, {"s3:GetBucketPublicAccessBlock": B}),
    ("s3", "get_bucket_lifecycle_configuration", {"Bucket": "b"}, {"s3:GetLifecycleConfiguration": B}),
    ("s3", "get_object_lock_configuration", {"Bucket": "b"}, {"s3:GetBucketObjectLockConfiguration": B}),
    ("s3", "put_bucket_policy", {"Bucket": "b", "Policy": "{}"}, {"s3:PutBucketPolicy": B}),
    ("s3", "delete_bucket_lifecycle", {"Bucket": "b"}, {"s3:PutLifecycleConfiguration": B}),
    ("glue", "start_job_run", {"JobName": "j"}, {"glue:StartJobRun": f"{GLUE}job/j"}),
    ("glue", "batch_stop_job_run", {"JobName": "j", "JobRunIds": ["r"]}, {"glue:BatchStopJobRun": f"{GLUE}job/j"}),
    ("glue", "create_job", {"Name": "j", "Role": "r", "Command": {}},
     {"glue:CreateJob": f"{GLUE}job/j", "iam:PassRole": f"{ROLE}r"}),
    ("glue", "update_job", {"JobName": "j", "JobUpdate": {"Role": f"{ROLE}p/r"}},
     {"glue:UpdateJob": f"{GLUE}job/j", "iam:PassRole": f"{ROLE}p/r"}),
    ("glue", "get_jobs", {}, {"glue:GetJobs": "*"}),
    ("glue", "list_crawls", {"CrawlerName": "c"}, {"glue:ListCrawls": f"{GLUE}crawler/c"}),
    ("glue", "get_crawler_metrics", {}, {"glue:GetCrawlerMetrics": "*"}),
    ("glue", "create_crawler", {"Name": "c", "Role": "r", "Targets": {}},
     {"glue:CreateCrawler": f"{GLUE}crawler/c", "iam:PassRole": f"{ROLE}r"}),
    ("glue", "get_tags", {"ResourceArn": f"{GLUE}job/j"}, {"glue:GetTags": f"{GLUE}job/j"}),
    ("glue", "get_database", {"Name": "d"}, {"glue:GetDatabase": catalogue("database/d")}),
    ("glue", "create_database", {"DatabaseInput": {"Name": "d"}}, {"glue:CreateDatabase": catalogue("database/d")}),
    ("glue", "delete_database", {"Name": "d"}, {"glue:DeleteDatabase": catalogue("database/d", "table/d/*")}),
    ("glue", "get_table", {"DatabaseName": "d", "Name": "t"}, {"glue:GetTable": catalogue("database/d", "table/d/t")}),
    ("glue", "get_tables", {"DatabaseName": "d"}, {"glue:GetTables": catalogue("database/d", "table/d/*")}),
    ("glue", "create_table", {"DatabaseName": "d", "TableInput": {"Name": "t"}},
     {"glue:CreateTable": catalogue("database/d", "table/d/t")}),
    ("glue", "get_partitions", {"DatabaseName": "d", "TableName": "t"},
     {"glue:GetPartitions": catalogue("database/d", "table/d/t")}),
    ("glue", "batch_delete_table", {"DatabaseName": "d", "TablesToDelete": ["t", "u"]},
     {"glue:BatchDeleteTable": catalogue("database/d", "table/d/t", "table/d/u")}),
    ("athena", "start_query_execution", {"QueryString": "SELECT 1"},
     {"athena:StartQueryExecution": f"arn:aws:athena:us-east-1:{NUMBER}:workgroup/primary"}),
    ("athena", "get_query_results", {"QueryExecutionId": "q1"},
     {"athena:GetQueryResults": f"arn:aws:athena:us-east-1:{NUMBER}:workgroup/dbt"}),
    ("athena", "get_query_execution", {"QueryExecutionId": "unknown"},
     {"athena:GetQueryExecution": f"arn:aws:athena:us-east-1:{NUMBER}:workgroup/*"}),
    ("athena", "get_data_catalog", {"Name": "AwsDataCatalog"},
     {"athena:GetDataCatalog": f"arn:aws:athena:us-east-1:{NUMBER}:datacatalog/AwsDataCatalog"}),
    ("athena", "list_work_groups", {}, {"athena:ListWorkGroups": "*"}),
    ("sts", "get_caller_identity", {}, {}),
    ("sts", "assume_role", {"RoleArn": f"{ROLE}rolename", "RoleSessionName": "me"},
     {"sts:AssumeRole": f"{ROLE}rolename"}),
    ("iam", "get_role", {"RoleName": "r"}, {"iam:GetRole": f"{ROLE}r"}),
    ("iam", "create_role", {"RoleName": "r", "Path": "/p/", "AssumeRolePolicyDocument": "{}"},
     {"iam:CreateRole": f"{ROLE}p/r"}),
    ("iam", "list_roles", {}, {"iam:ListRoles": "*"}),
    ("logs", "put_log_events",
     {"logGroupName": "/g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
     {"logs:PutLogEvents": f"{LOGS}/g:log-stream:s"}),
    ("logs", "create_log_group", {"logGroupName": "/g"}, {"logs:CreateLogGroup": f"{LOGS}/g"}),
    ("events", "put_rule", {"Name": "r"}, {"events:PutRule": f"arn:aws:events:us-east-1:{NUMBER}:rule/r"}),
    ("events", "list_targets_by_rule", {"Rule": "r"},
     {"events:ListTargetsByRule": f"arn:aws:events:us-east-1:{NUMBER}:rule/r"}),
    ("sns", "create_topic", {"Name": "t"}, {"sns:CreateTopic": f"arn:aws:sns:us-east-1:{NUMBER}:t"}),
    ("sns", "unsubscribe", {"SubscriptionArn": "arn"}, {"sns:Unsubscribe": "*"}),
    ("cloudwatch", "describe_alarms", {"AlarmNames": ["a"]},
     {"cloudwatch:DescribeAlarms": f"arn:aws:cloudwatch:us-east-1:{NUMBER}:alarm:a"}),
    ("budgets", "describe_budget", {"AccountId": NUMBER, "BudgetName": "m"},
     {"budgets:ViewBudget": f"arn:aws:budgets::{NUMBER}:budget/m"}),
    ("budgets", "create_budget",
     {"AccountId": NUMBER, "Budget": {"BudgetName": "m", "TimeUnit": "MONTHLY", "BudgetType": "COST"}},
     {"budgets:ModifyBudget": f"arn:aws:budgets::{NUMBER}:budget/m"}),
    ("kms", "describe_key", {"KeyId": "k"}, {"kms:DescribeKey": f"arn:aws:kms:us-east-1:{NUMBER}:key/k"}),
    ("kms", "create_key", {}, {"kms:CreateKey": "*"}),
    ("ec2", "describe_vpcs", {}, {"ec2:DescribeVpcs": "*"}),
    ("ec2", "create_tags", {"Resources": ["sg-1"], "Tags": []},
     {"ec2:CreateTags": f"arn:aws:ec2:us-east-1:{NUMBER}:security-group/sg-1"}),
    ("mwaa", "get_environment", {"Name": "lake"},
     {"airflow:GetEnvironment": f"arn:aws:airflow:us-east-1:{NUMBER}:environment/lake"}),
    ("sqs", "list_queues", {}, {"sqs:ListQueues": "*"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("service", "method", "parameters", "expected"), NEEDED, ids=[f"{n[0]}-{n[1]}" for n in NEEDED]
)
def test_what_a_request_needs(service, method, parameters, expected):
    environ, signed, body = environ_of(service, method, **parameters)
    call = parse_request(environ, signed)
    assert call is not None
    assert environ["wsgi.input"].read() == body, "the request is whole for whoever answers it"
    found: dict[str, list[str]] = {}
    for access in accesses(call, ACCOUNT):
        found.setdefault(access.action, []).append(access.resource)
    assert found == {action: each if isinstance(each, list) else [each] for action, each in expected.items()}


# (call, the condition keys of its first access)
KEYS = [
    (ApiCall("s3", "ListObjectsV2", {"Bucket": "b", "Prefix": "p/", "MaxKeys": 5}),
     {"s3:prefix": ("p/",), "s3:max-keys": ("5",)}),
    (ApiCall("sts", "AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "s", "ExternalId": "e"}),
     {"sts:rolesessionname": ("s",), "sts:externalid": ("e",)}),
    (ApiCall("iam", "CreateRole",
          {"RoleName": "r", "PermissionsBoundary": "arn:b", "Tags": [{"Key": "Team", "Value": "x"}]}),
     {"iam:permissionsboundary": ("arn:b",), "aws:requesttag/team": ("x",), "aws:tagkeys": ("Team",)}),
    (ApiCall("iam", "CreateServiceLinkedRole", {"AWSServiceName": "airflow.amazonaws.com"}),
     {"iam:awsservicename": ("airflow.amazonaws.com",)}),
    (ApiCall("cloudwatch", "PutMetricData", {"Namespace": "AmazonMWAA"}), {"cloudwatch:namespace": ("AmazonMWAA",)}),
    (ApiCall("kms", "CreateKey", {"Tags": [{"TagKey": "lakehouse", "TagValue": "x"}]}),
     {"aws:requesttag/lakehouse": ("x",), "aws:tagkeys": ("lakehouse",)}),
]  # fmt: skip


@pytest.mark.parametrize(("call", "keys"), KEYS, ids=[f"{call.operation}" for call, _ in KEYS])
def test_condition_keys_of_a_call(call, keys):
    assert accesses(call, ACCOUNT)[0].context == keys


def test_a_role_is_passed_to_a_service():
    *_, passed = accesses(ApiCall("glue", "CreateJob", {"Name": "j", "Role": "r"}), ACCOUNT)
    assert passed.context == {"iam:passedtoservice": ("glue.amazonaws.com",)}
    *_, passed = accesses(ApiCall("mwaa", "CreateEnvironment", {"Name": "e", "ExecutionRoleArn": f"{ROLE}r"}), ACCOUNT)
    assert passed.context == {"iam:passedtoservice": ("airflow.amazonaws.com",)}


@pytest.mark.parametrize(
    ("path", "target", "service"), [("/", "", "no-such-service"), ("/", "AWSGlue.NoSuch", "glue"), ("/x", "", "iam")]
)
def test_a_request_that_is_no_call(path, target, service):
    environ = {
        "REQUEST_METHOD": "POST", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "x", "SERVER_PORT": "1",
        "wsgi.url_scheme": "http", "wsgi.input": BytesIO(b"{}"), "CONTENT_LENGTH": "2", "HTTP_X_AMZ_TARGET": target,
    }  # fmt: skip
    assert parse_request(environ, service) is None
