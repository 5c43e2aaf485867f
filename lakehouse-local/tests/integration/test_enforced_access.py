"""`lakehouse-local --enforce-iam` over HTTP: the calls that it refuses, with AWS's messages."""

from __future__ import annotations

import json
import time

import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
JOB = """
import sys
from pyspark.sql import SparkSession
spark = SparkSession.builder.getOrCreate()
read, written = sys.argv[sys.argv.index("--read") + 1], sys.argv[sys.argv.index("--write") + 1]
spark.read.parquet(read).write.mode("overwrite").parquet(written)
"""


@pytest.fixture(scope="module")
def aws(enforcing_aws):
    return enforcing_aws


@pytest.fixture(scope="module")
def lake(aws):
    """Buckets with a table's file in raw, and the databases."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    s3, glue = aws.client("s3"), aws.client("glue")
    for bucket in ("raw", "cleaned", "code", "results"):
        s3.create_bucket(Bucket=bucket)
    file = io.BytesIO()
    pq.write_table(pa.table({"id": [1, 2, 3], "name": ["a", "b", "c"]}), file)
    for key in ("trips/x.parquet", "secret/x.parquet"):
        s3.put_object(Bucket="raw", Key=key, Body=file.getvalue())
    s3.put_object(Bucket="code", Key="job.py", Body=JOB.encode())
    for database in ("default", "lake"):
        glue.create_database(DatabaseInput={"Name": database})
    return aws


def allow(actions, resources, **more):
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def make_role(aws, name, *statements, trusts=("glue.amazonaws.com",), **more):
    """Create a role with these rights, which the services and the account may assume; return its ARN."""
    iam = aws.client("iam")
    trust = document(
        *({"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"} for service in trusts),
        {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"},
    )
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **more)["Role"]["Arn"]
    if statements:
        iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return made


def taken(aws, arn, **more):
    return aws.client("sts").assume_role(RoleArn=arn, RoleSessionName="me", **more)["Credentials"]


def refused(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response
    return error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Message"]


def test_what_is_not_allowed_is_refused_in_each_services_words(lake):
    nothing = taken(lake, make_role(lake, "nothing"))
    me = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/nothing/me is not authorized to perform: "
    because = "because no identity-based policy allows the {} action"
    for service, operation, parameters, action, resource, code, status in (
        ("s3", "get_object", {"Bucket": "raw", "Key": "k"}, "s3:GetObject", '"arn:aws:s3:::raw/k"',
         "AccessDenied", 403),
        ("s3", "list_buckets", {}, "s3:ListAllMyBuckets", '"*"', "AccessDenied", 403),
        ("iam", "list_roles", {}, "iam:ListRoles", "*", "AccessDenied", 403),
        ("glue", "get_job", {"JobName": "j"}, "glue:GetJob", f"arn:aws:glue:us-east-1:{ACCOUNT}:job/j",
         "AccessDeniedException", 400),
        ("athena", "list_work_groups", {}, "athena:ListWorkGroups", "*", "AccessDeniedException", 400),
        ("logs", "describe_log_groups", {}, "logs:DescribeLogGroups", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:*",
         "AccessDeniedException", 400),
        ("ec2", "describe_vpcs", {}, "ec2:DescribeVpcs", "*", "AccessDenied", 403),
    ):  # fmt: skip
        message = refused(getattr(lake.client(service, nothing), operation), **parameters)
        assert message == (code, status, f"{me}{action} on resource: {resource} {because.format(action)}")
    assert lake.client("sts", nothing).get_caller_identity()["Arn"].endswith("assumed-role/nothing/me")


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("s3", "list_buckets", "InvalidAccessKeyId"),
        ("glue", "get_databases", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
    ],
)
def test_a_key_that_is_nobodys(lake, service, operation, code):
    stranger = {"AccessKeyId": "AKIASTRANGER", "SecretAccessKey": "x"}
    assert refused(getattr(lake.client(service, stranger), operation))[0] == code
    role = taken(lake, make_role(lake, f"somebody-of-{service}"))
    assert refused(getattr(lake.client(service, {**role, "SessionToken": "another"}), operation))[0] == code


def test_a_role_is_not_taken_against_its_trust(lake):
    only_glue = document(
        {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}, "Action": "sts:AssumeRole"}
    )
    lake.client("iam").create_role(RoleName="glues-own", AssumeRolePolicyDocument=only_glue)
    user = make_role(lake, "taker", allow("sts:*", "*"))
    arn = f"arn:aws:iam::{ACCOUNT}:role/glues-own"
    code, _, message = refused(lake.client("sts", taken(lake, user)).assume_role, RoleArn=arn, RoleSessionName="me")
    assert (code, "no role trust policy allows the sts:AssumeRole action" in message) == ("AccessDenied", True)


def test_a_policy_of_the_bucket_denies_even_the_root_user(lake):
    s3 = lake.client("s3")
    s3.create_bucket(Bucket="closed")
    closed = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::closed/*"}
    s3.put_bucket_policy(Bucket="closed", Policy=document(closed))
    code, _, message = refused(s3.put_object, Bucket="closed", Key="x", Body=b"1")
    assert (code, "with an explicit deny in a resource-based policy" in message) == ("AccessDenied", True)
    assert "Contents" not in s3.list_objects_v2(Bucket="closed")


def test_without_listing_s3_does_not_say_what_is_missing(lake):
    reader = lake.client("s3", taken(lake, make_role(lake, "reader", allow("s3:GetObject", "arn:aws:s3:::raw/*"))))
    assert reader.get_object(Bucket="raw", Key="trips/x.parquet")["ContentLength"] > 0
    code, status, message = refused(reader.get_object, Bucket="raw", Key="missing")
    assert (code, status, "s3:ListBucket" in message) == ("AccessDenied", 403, True)


def test_a_session_policy_and_a_boundary_bound(lake):
    boundary = lake.client("iam").create_policy(
        PolicyName="boundary", PolicyDocument=document(allow(["s3:ListBucket", "s3:GetObject"], "*"))
    )["Policy"]["Arn"]
    arn = make_role(lake, "bounded", allow("s3:*", "*"), PermissionsBoundary=boundary)
    s3 = lake.client("s3", taken(lake, arn))
    assert s3.list_objects_v2(Bucket="raw")["KeyCount"] == 2
    assert "no permissions boundary allows" in refused(s3.put_object, Bucket="raw", Key="x")[2]
    narrow = lake.client("s3", taken(lake, arn, Policy=document(allow("s3:GetObject", "*"))))
    assert "no session policy allows" in refused(narrow.list_objects_v2, Bucket="raw")[2]


def of_spark(aws, role, read, write):
    """Run the job as the role; return its state and error."""
    glue, name = aws.client("glue"), f"job-{role.rpartition('/')[2]}"
    glue.create_job(Name=name, Role=role, Command={"Name": "glueetl", "ScriptLocation": "s3://code/job.py"})
    run_id = glue.start_job_run(JobName=name, Arguments={"--read": read, "--write": write})["JobRunId"]
    while (run := glue.get_job_run(JobName=name, RunId=run_id)["JobRun"])["JobRunState"] in ("STARTING", "RUNNING"):
        time.sleep(0.2)
    return run["JobRunState"], run.get("ErrorMessage", "")


RUNS = [
    allow("s3:GetObject", "arn:aws:s3:::code/*"),
    allow("s3:ListBucket", "arn:aws:s3:::raw", Condition={"StringLike": {"s3:prefix": ["trips/*"]}}),
    allow("s3:GetObject", "arn:aws:s3:::raw/trips/*"),
]
WRITES = [
    allow("s3:ListBucket", "arn:aws:s3:::cleaned"),
    allow(["s3:GetObject", "s3:PutObject", "s3:DeleteObject"], "arn:aws:s3:::cleaned/*"),
]
WRITES_LOGS = [allow(["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"], "*")]


@pytest.mark.slow
@pytest.mark.spark
def test_a_job_does_what_its_role_may_and_no_more(lake):
    s3 = lake.client("s3")
    role = make_role(lake, "writer", *RUNS, *WRITES, *WRITES_LOGS)
    assert of_spark(lake, role, "s3://raw/trips/", "s3://cleaned/written/") == ("SUCCEEDED", "")
    assert s3.list_objects_v2(Bucket="cleaned", Prefix="written/")["KeyCount"] > 0

    reader = make_role(lake, "no-writer", *RUNS, WRITES[0], *WRITES_LOGS)
    state, error = of_spark(lake, reader, "s3://raw/trips/", "s3://cleaned/nothing/")
    assert state == "FAILED"
    assert "assumed-role/no-writer/GlueJobRunnerSession is not authorized to perform: s3:PutObject on" in error
    assert "Status Code: 403; Error Code: AccessDenied" in error
    assert "Contents" not in s3.list_objects_v2(Bucket="cleaned", Prefix="nothing/"), "and leaves nothing"

    curious = make_role(lake, "curious", *RUNS, *WRITES)
    state, error = of_spark(lake, curious, "s3://raw/secret/", "s3://cleaned/secret/")
    assert (state, "s3:ListBucket on resource" in error) == ("FAILED", True)
    assert "Contents" not in s3.list_objects_v2(Bucket="cleaned", Prefix="secret/")


def test_a_job_whose_role_glue_may_not_take(lake):
    role = make_role(lake, "of-lambda", trusts=("lambda.amazonaws.com",))
    state, error = of_spark(lake, role, "s3://raw/trips/", "s3://cleaned/x/")
    assert (state, "should be given assume role permissions for Glue Service" in error) == ("FAILED", True)


CATALOG = f"arn:aws:glue:us-east-1:{ACCOUNT}:"
QUERIES = [
    allow("athena:*", "*"),
    allow("s3:GetBucketLocation", "arn:aws:s3:::results"),
    allow("s3:PutObject", "arn:aws:s3:::results/mine/*"),
]
METADATA = allow("glue:Get*", [f"{CATALOG}catalog", f"{CATALOG}database/lake", f"{CATALOG}table/lake/*"])
DATA = [allow("s3:ListBucket", "arn:aws:s3:::raw"), allow("s3:GetObject", "arn:aws:s3:::raw/trips/*")]


def of_athena(aws, credentials, query):
    athena = aws.client("athena", credentials)
    started = athena.start_query_execution(
        QueryString=query,
        QueryExecutionContext={"Database": "lake"},
        ResultConfiguration={"OutputLocation": "s3://results/mine/"},
    )["QueryExecutionId"]
    while True:
        found = athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
        if found["State"] not in ("QUEUED", "RUNNING"):
            return found["State"], found.get("StateChangeReason", "")


@pytest.fixture(scope="module")
def table(lake):
    for name in ("trips", "secret"):
        state, message = of_athena(
            lake,
            None,
            f"CREATE EXTERNAL TABLE {name} (id bigint, name string) STORED AS PARQUET LOCATION 's3://raw/{name}/'",
        )
        assert state == "SUCCEEDED", message


@pytest.mark.parametrize(
    ("rights", "query", "missing"),
    [
        ([*QUERIES, METADATA, *DATA], "SELECT count(*) FROM trips", None),
        ([*QUERIES, *DATA], "SELECT count(*) FROM trips", "glue:GetTable on resource"),
        ([*QUERIES, METADATA, DATA[1]], "SELECT count(*) FROM trips", 's3:ListBucket on resource: "arn:aws:s3:::raw"'),
        ([*QUERIES, METADATA, *DATA], "SELECT count(*) FROM secret",
         's3:GetObject on resource: "arn:aws:s3:::raw/secret/x.parquet"'),
        ([*QUERIES[:2], METADATA, *DATA], "SELECT count(*) FROM trips", "s3:PutObject on resource"),
        ([*QUERIES, METADATA, *DATA], "CREATE VIEW v AS SELECT id FROM trips", "glue:CreateTable on resource"),
        ([*QUERIES, METADATA, *DATA],
         "CREATE TABLE copied WITH (external_location = 's3://cleaned/copied/') AS SELECT * FROM trips",
         's3:GetBucketLocation on resource: "arn:aws:s3:::cleaned"'),
        ([*QUERIES, METADATA, *DATA], "INSERT INTO trips SELECT * FROM trips",
         's3:PutObject on resource: "arn:aws:s3:::raw/'),
        ([*QUERIES, METADATA, *DATA], "DROP TABLE trips", "glue:DeleteTable on resource"),
    ],
)  # fmt: skip
def test_a_query_reads_and_writes_what_its_caller_may(lake, table, rights, query, missing, request):
    before = {each["Key"] for each in lake.client("s3").list_objects_v2(Bucket="raw")["Contents"]}
    role = make_role(lake, f"caller-{abs(hash(request.node.name)) % 10**9}", *rights)
    state, message = of_athena(lake, taken(lake, role), query)
    assert state == ("SUCCEEDED" if missing is None else "FAILED"), message
    if missing is not None:
        assert message.startswith(
            f"PERMISSION_DENIED: User: {role.replace('iam', 'sts').replace(':role/', ':assumed-role/')}/me"
        )
        assert missing in message
    assert {each["Key"] for each in lake.client("s3").list_objects_v2(Bucket="raw")["Contents"]} == before


def test_rows_are_read_with_the_callers_rights_to_the_results(lake, table):
    writer = make_role(lake, "asks", *QUERIES, METADATA, *DATA)
    credentials = taken(lake, writer)
    athena = lake.client("athena", credentials)
    assert of_athena(lake, credentials, "SELECT count(*) FROM trips")[0] == "SUCCEEDED"
    query = athena.list_query_executions()["QueryExecutionIds"][0]
    code, _, message = refused(athena.get_query_results, QueryExecutionId=query)
    assert (code, 's3:GetObject on resource: "arn:aws:s3:::results/mine/' in message) == ("AccessDeniedException", True)
    more = document(*QUERIES, METADATA, *DATA, allow("s3:GetObject", "arn:aws:s3:::results/mine/*"))
    lake.client("iam").put_role_policy(RoleName="asks", PolicyName="own", PolicyDocument=more)
    rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
    assert rows[1]["Data"] == [{"VarCharValue": "3"}]


def test_a_query_whose_output_may_not_be_looked_at(lake):
    role = make_role(lake, "no-output", allow("athena:*", "*"))
    with pytest.raises(ClientError, match=r"Unable to verify/create output bucket results.*s3:GetBucketLocation"):
        of_athena(lake, taken(lake, role), "SELECT 1")


def test_a_crawler_is_bound_by_its_role(lake):
    glue = lake.client("glue")
    rights = [*DATA, allow("glue:GetDatabase", "*"), allow(["glue:GetTable", "glue:GetTables"], "*")]
    role = make_role(lake, "crawls", *rights)
    target = {"S3Targets": [{"Path": "s3://raw/trips/"}]}
    glue.create_crawler(Name="bound", Role=role, DatabaseName="default", Targets=target)

    def crawl():
        glue.start_crawler(Name="bound")
        while (found := glue.get_crawler(Name="bound")["Crawler"])["State"] != "READY":
            time.sleep(0.1)
        return found["LastCrawl"]

    failed = crawl()
    assert failed["Status"] == "FAILED"
    assert "assumed-role/crawls/AWS-Crawler is not authorized to perform: glue:CreateTable" in failed["ErrorMessage"]
    assert glue.get_tables(DatabaseName="default")["TableList"] == []
    more = document(*rights, allow(["glue:CreateTable", "glue:GetPartitions"], "*"), *WRITES_LOGS)
    lake.client("iam").put_role_policy(RoleName="crawls", PolicyName="own", PolicyDocument=more)
    assert crawl()["Status"] == "SUCCEEDED"
    assert [table["Name"] for table in glue.get_tables(DatabaseName="default")["TableList"]] == ["trips"]


def test_a_ci_takes_its_role_by_its_token(lake):
    import base64

    host = "token.actions.githubusercontent.com"
    iam, sts = lake.client("iam"), lake.client("sts", {"AccessKeyId": "anybody", "SecretAccessKey": "x"})
    iam.create_open_id_connect_provider(Url=f"https://{host}", ClientIDList=["sts.amazonaws.com"])
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{host}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringLike": {f"{host}:sub": "repo:acme/lake:*"}},
    }
    iam.create_role(RoleName="ci", AssumeRolePolicyDocument=document(trust))

    def token(repository):
        claims = json.dumps({"iss": f"https://{host}", "sub": f"repo:{repository}:ref:main"}).encode()
        return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.x"

    take = {"RoleArn": f"arn:aws:iam::{ACCOUNT}:role/ci", "RoleSessionName": "ci"}
    made = sts.assume_role_with_web_identity(WebIdentityToken=token("acme/lake"), **take)["Credentials"]
    assert lake.client("sts", made).get_caller_identity()["Arn"].endswith("assumed-role/ci/ci")
    for other in (token("evil/lake"), "no.token"):
        with pytest.raises(ClientError, match=r"AccessDenied|InvalidIdentityToken"):
            sts.assume_role_with_web_identity(WebIdentityToken=other, **take)


def test_a_presigned_address_has_its_signers_rights(lake):
    import urllib.error
    import urllib.request

    signer = make_role(lake, "signs", allow("s3:GetObject", "arn:aws:s3:::raw/trips/*"))
    reader = lake.client("s3", taken(lake, signer), signature_version="s3v4")
    signed = {key: reader.generate_presigned_url("get_object", {"Bucket": "raw", "Key": key}) for key in
              ("trips/x.parquet", "secret/x.parquet")}  # fmt: skip
    assert urllib.request.urlopen(signed["trips/x.parquet"]).read(4) == b"PAR1"
    for url in (signed["secret/x.parquet"], f"{lake.endpoint}/raw/trips/x.parquet"):
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url)
