"""Sessions that AssumeRole began with a policy: judged in every call, with and without `--enforce-iam`."""

from __future__ import annotations

import functools
import io
import json
import time
import uuid

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from botocore.exceptions import ClientError

ACCOUNT = "123456789012"
CATALOG = f"arn:aws:glue:us-east-1:{ACCOUNT}:"
TRUST = {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


def document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def allow(actions, *resources):
    return {"Effect": "Allow", "Action": actions, "Resource": list(resources)}


class Fenced:
    """A bucket, the database `<name>` of production and `<name>__audit`, and a session that writes into the audit's.

    Production's table `trips` is partitioned by month; the audit's is a clone of its pointers.
    """

    def __init__(self, aws):
        self.aws = aws
        self.name = f"marts_{uuid.uuid4().hex[:8]}"
        self.audit = f"{self.name}__audit"
        self.bucket = self.name.replace("_", "-")
        self.s3, self.glue = aws.client("s3"), aws.client("glue")
        self.s3.create_bucket(Bucket=self.bucket)
        for database in (self.name, self.audit):
            self.glue.create_database(DatabaseInput={"Name": database})
        self.role = make_role(aws, self.name, ANYTHING)
        self.put("trips/month=1/a.parquet")
        table = self.table("trips", f"s3://{self.bucket}/trips/")
        for database, root in ((self.name, "trips"), (self.audit, "generations/trips")):
            self.glue.create_table(DatabaseName=database, TableInput=self.table("trips", f"s3://{self.bucket}/{root}/"))
            self.glue.create_partition(
                DatabaseName=database,
                TableName="trips",
                PartitionInput={
                    "Values": ["1"],
                    "StorageDescriptor": {
                        **table["StorageDescriptor"],
                        "Location": f"s3://{self.bucket}/trips/month=1/",
                    },
                },
            )
        self.session = taken(aws, self.role, Policy=self.policy())
        self.client = functools.cache(lambda service: aws.client(service, self.session))

    def policy(self):
        bucket = f"arn:aws:s3:::{self.bucket}"
        audit = f"{CATALOG}database/{self.audit}", f"{CATALOG}table/{self.audit}/*"
        return document(
            allow(["s3:Get*", "s3:List*", "glue:Get*", "glue:BatchGet*", "athena:*"], "*"),
            allow(["s3:PutObject", "s3:DeleteObject"], f"{bucket}/generations/*", f"{bucket}/results/*"),
            allow(["glue:Create*", "glue:Update*", "glue:Delete*", "glue:Batch*"], f"{CATALOG}catalog", *audit),
        )

    def table(self, name, location):
        parquet = "org.apache.hadoop.hive.ql.io.parquet"
        return {
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": "month", "Type": "int"}],
            "Parameters": {"EXTERNAL": "TRUE"},
            "StorageDescriptor": {
                "Columns": [{"Name": "id", "Type": "bigint"}],
                "Location": location,
                "InputFormat": f"{parquet}.MapredParquetInputFormat",
                "OutputFormat": f"{parquet}.MapredParquetOutputFormat",
                "SerdeInfo": {"SerializationLibrary": f"{parquet}.serde.ParquetHiveSerDe"},
            },
        }

    def put(self, key):
        file = io.BytesIO()
        pq.write_table(pa.table({"id": pa.array([1, 2], pa.int64())}), file)
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=file.getvalue())

    def query(self, sql, *, database=None, credentials=None):
        """Run a statement in the session; return its rows, or the reason why it failed."""
        athena = self.aws.client("athena", credentials) if credentials else self.client("athena")
        query = athena.start_query_execution(
            QueryString=sql.format(bucket=self.bucket, prod=self.name, audit=self.audit),
            QueryExecutionContext={"Database": database or self.audit},
            ResultConfiguration={"OutputLocation": f"s3://{self.bucket}/results/"},
        )["QueryExecutionId"]
        while True:
            status = athena.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
            if status["State"] == "FAILED":
                return status["StateChangeReason"]
            if status["State"] == "SUCCEEDED":
                rows = athena.get_query_results(QueryExecutionId=query)["ResultSet"]["Rows"]
                return [tuple(cell.get("VarCharValue") for cell in row["Data"]) for row in rows[1:]]

    def state(self):
        """Return all objects but results, and all of both databases' tables and partitions."""
        objects = self.s3.list_objects_v2(Bucket=self.bucket).get("Contents", [])
        found = [(each["Key"], each["ETag"]) for each in objects if not each["Key"].startswith("results/")]
        tables = []
        for database in (self.name, self.audit):
            for table in self.glue.get_tables(DatabaseName=database)["TableList"]:
                partitions = self.glue.get_partitions(DatabaseName=database, TableName=table["Name"])["Partitions"]
                places = [(each["Values"], each["StorageDescriptor"]["Location"]) for each in partitions]
                tables.append((database, table["Name"], table["VersionId"], places))
        return found, tables


def make_role(aws, name, *statements, **more):
    iam = aws.client("iam")
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(TRUST), **more)["Role"]["Arn"]
    iam.put_role_policy(RoleName=name, PolicyName="own", PolicyDocument=document(*statements))
    return arn


def taken(aws, role, *, by=None, **more):
    return aws.client("sts", by).assume_role(RoleArn=role, RoleSessionName="me", **more)["Credentials"]


def refused(call, **parameters):
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture(scope="module")
def sts(aws):
    """STS without botocore's own checks."""
    return aws.client("sts", parameter_validation=False)


@pytest.fixture(scope="module", params=["roles may do anything", "enforced"])
def aws(request):
    return request.getfixturevalue("enforcing_aws" if request.param == "enforced" else "local_aws")


@pytest.fixture(scope="module")
def fenced(aws):
    return Fenced(aws)


def sentence(fenced, action, resource):
    me = f"arn:aws:sts::{ACCOUNT}:assumed-role/{fenced.name}/me"
    return (
        f"User: {me} is not authorized to perform: {action} on resource: {resource} "
        f"because no session policy allows the {action} action"
    )


def test_what_the_policy_allows_is_done(fenced):
    s3 = fenced.client("s3")
    s3.put_object(Bucket=fenced.bucket, Key="generations/x", Body=b"1")
    assert s3.get_object(Bucket=fenced.bucket, Key="trips/month=1/a.parquet")["ContentLength"] > 0
    s3.delete_object(Bucket=fenced.bucket, Key="generations/x")
    fenced.client("glue").update_table(
        DatabaseName=fenced.audit, TableInput=fenced.table("trips", f"s3://{fenced.bucket}/generations/moved/")
    )
    assert fenced.query("SELECT count(*) FROM {prod}.trips") == [("2",)]
    assert fenced.query("INSERT INTO trips SELECT id, 2 FROM {prod}.trips") == []
    assert fenced.query("SELECT count(*) FROM trips WHERE month = 2") == [("2",)]
    assert isinstance(fenced.query("ALTER TABLE {audit}.trips DROP PARTITION (month = 2)"), list)
    assert fenced.query("SELECT count(*) FROM trips WHERE month = 2") == [("0",)]
    assert isinstance(
        fenced.query("CREATE TABLE made WITH (external_location = 's3://{bucket}/generations/made/') AS SELECT 1 AS a"),
        list,
    )


def test_direct_calls_outside_the_fence_are_refused_in_awss_words(fenced):
    before = fenced.state()
    s3, glue, bucket = fenced.client("s3"), fenced.client("glue"), fenced.bucket
    key, body = "trips/month=1/a.parquet", {"Body": b"1"}
    here = {"Bucket": bucket, "Key": key}
    objects = f'"arn:aws:s3:::{bucket}/{key}"'
    copied = {"Bucket": bucket, "Key": key, "CopySource": f"{bucket}/{key}"}
    for call, action, parameters in (
        (s3.put_object, "s3:PutObject", {**here, **body}),
        (s3.delete_object, "s3:DeleteObject", here),
        (s3.copy_object, "s3:PutObject", copied),
        (s3.create_multipart_upload, "s3:PutObject", here),
    ):
        assert refused(call, **parameters) == ("AccessDenied", sentence(fenced, action, objects))
    prod = {"DatabaseName": fenced.name}
    entry = {"Values": ["1"], "StorageDescriptor": {"Location": f"s3://{bucket}/generations/"}}
    for call, action, parameters in (
        (glue.update_table, "UpdateTable", {**prod, "TableInput": fenced.table("trips", "s3://x/")}),
        (glue.delete_table, "DeleteTable", {**prod, "Name": "trips"}),
        (glue.create_table, "CreateTable", {**prod, "TableInput": fenced.table("new", "s3://x/")}),
        (glue.batch_delete_table, "BatchDeleteTable", {**prod, "TablesToDelete": ["trips"]}),
        (glue.create_partition, "CreatePartition", {**prod, "TableName": "trips", "PartitionInput": entry}),
        (glue.batch_create_partition, "BatchCreatePartition",
         {**prod, "TableName": "trips", "PartitionInputList": [entry]}),
        (glue.update_partition, "UpdatePartition",
         {**prod, "TableName": "trips", "PartitionValueList": ["1"], "PartitionInput": entry}),
        (glue.batch_update_partition, "BatchUpdatePartition",
         {**prod, "TableName": "trips", "Entries": [{"PartitionValueList": ["1"], "PartitionInput": entry}]}),
        (glue.batch_delete_partition, "BatchDeletePartition",
         {**prod, "TableName": "trips", "PartitionsToDelete": [{"Values": ["1"]}]}),
        (glue.delete_database, "DeleteDatabase", {"Name": fenced.name}),
    ):  # fmt: skip
        resource = f"{CATALOG}database/{fenced.name}"
        assert refused(call, **parameters) == (
            "AccessDeniedException",
            sentence(fenced, f"glue:{action}", resource),
        )
    assert refused(glue.start_job_run, JobName="any")[0] == "AccessDeniedException"
    assert refused(fenced.client("iam").create_user, UserName="out")[0] == "AccessDenied"
    assert refused(fenced.client("logs").describe_log_groups)[0] == "AccessDeniedException"
    assert fenced.state() == before


@pytest.mark.parametrize(
    ("sql", "missing"),
    [
        ("INSERT INTO trips SELECT id, 1 FROM {prod}.trips", 's3:PutObject on resource: "arn:aws:s3:::{bucket}/trips/'),
        # the new partition alone would be allowed
        ("INSERT INTO trips SELECT id, n FROM {prod}.trips, (VALUES 2, 3, 1, 4) AS t (n)",
         's3:PutObject on resource: "arn:aws:s3:::{bucket}/trips/'),
        ("INSERT INTO {prod}.trips SELECT id, 5 FROM {prod}.trips",
         's3:PutObject on resource: "arn:aws:s3:::{bucket}/trips/'),
        ("CREATE TABLE {prod}.copied WITH (external_location = 's3://{bucket}/generations/copied/') AS SELECT 1 AS a",
         "glue:CreateTable on resource: arn:aws:glue:us-east-1:123456789012:database/{prod}"),
        ("CREATE TABLE copied WITH (external_location = 's3://{bucket}/elsewhere/') AS SELECT 1 AS a",
         's3:PutObject on resource: "arn:aws:s3:::{bucket}/elsewhere/'),
        ("UNLOAD (SELECT 1 AS a) TO 's3://{bucket}/elsewhere/' WITH (format = 'PARQUET')",
         's3:PutObject on resource: "arn:aws:s3:::{bucket}/elsewhere/'),
        ("DROP TABLE {prod}.trips", "glue:DeleteTable on resource"),
        ("CREATE OR REPLACE VIEW {prod}.v AS SELECT 1 AS a", "glue:CreateTable on resource"),
        ("ALTER TABLE {prod}.trips DROP IF EXISTS PARTITION (month = 1)", "glue:BatchDeletePartition on resource"),
        ("ALTER TABLE {prod}.trips ADD PARTITION (month = 9)", "glue:BatchCreatePartition on resource"),
        ("ALTER TABLE {prod}.trips PARTITION (month = 1) SET LOCATION 's3://{bucket}/generations/'",
         "glue:UpdatePartition on resource"),
        ("ALTER TABLE {prod}.trips SET TBLPROPERTIES ('a' = 'b')", "glue:UpdateTable on resource"),
        ("DROP DATABASE {prod} CASCADE", "glue:DeleteDatabase on resource"),
        ("CREATE DATABASE {prod}x", "glue:CreateDatabase on resource"),
    ],
)  # fmt: skip
def test_a_query_that_leaves_the_fence_fails_as_a_whole(fenced, sql, missing):
    before = fenced.state()
    reason = fenced.query(sql)
    assert isinstance(reason, str), "it succeeded"
    assert reason.startswith(f"PERMISSION_DENIED: User: arn:aws:sts::{ACCOUNT}:assumed-role/{fenced.name}/me ")
    assert missing.format(bucket=fenced.bucket, prod=fenced.name) in reason
    assert reason.endswith("action"), reason
    assert fenced.state() == before


def test_athena_reads_with_the_sessions_rights(fenced):
    reads = allow(["glue:Get*", "athena:*", "s3:GetBucketLocation", "s3:List*"], "*")
    results = allow(["s3:PutObject", "s3:GetObject"], f"arn:aws:s3:::{fenced.bucket}/results/*")
    blind = taken(fenced.aws, fenced.role, Policy=document(reads, results))
    reason = fenced.query("SELECT count(*) FROM {prod}.trips", credentials=blind)
    assert f's3:GetObject on resource: "arn:aws:s3:::{fenced.bucket}/trips/month=1/a.parquet"' in reason


def test_an_explicit_deny_of_the_session_policy(fenced):
    deny = {"Effect": "Deny", "Action": "s3:Put*", "Resource": f"arn:aws:s3:::{fenced.bucket}/trips/*"}
    s3 = fenced.aws.client("s3", taken(fenced.aws, fenced.role, Policy=document(ANYTHING, deny)))
    s3.put_object(Bucket=fenced.bucket, Key="other", Body=b"1")
    code, message = refused(s3.put_object, Bucket=fenced.bucket, Key="trips/x", Body=b"1")
    assert (code, message.endswith("with an explicit deny in a session policy")) == ("AccessDenied", True)


def test_managed_policies_limit_a_session_too(fenced):
    iam, name = fenced.aws.client("iam"), f"{fenced.name}-reads"
    arn = iam.create_policy(PolicyName=name, PolicyDocument=document(allow("s3:GetObject", "*")))["Policy"]["Arn"]
    s3 = fenced.aws.client("s3", taken(fenced.aws, fenced.role, PolicyArns=[{"arn": arn}]))
    assert s3.get_object(Bucket=fenced.bucket, Key="trips/month=1/a.parquet")["ContentLength"] > 0
    assert "no session policy allows" in refused(s3.put_object, Bucket=fenced.bucket, Key="x", Body=b"1")[1]
    iam.delete_policy(PolicyArn=arn)
    assert "no session policy allows" in refused(s3.get_object, Bucket=fenced.bucket, Key="x")[1]


def test_a_session_without_a_policy_has_its_roles_rights(fenced):
    s3 = fenced.aws.client("s3", taken(fenced.aws, fenced.role))
    s3.put_object(Bucket=fenced.bucket, Key="anywhere", Body=b"1")


def test_a_session_of_a_session(aws, fenced):
    """The call is judged by the first session's policy, the new session is limited by its own."""
    next_role = make_role(aws, f"{fenced.name}-next", ANYTHING)
    code, message = refused(fenced.client("sts").assume_role, RoleArn=next_role, RoleSessionName="me")
    assert (code, message) == ("AccessDenied", sentence(fenced, "sts:AssumeRole", next_role))
    first = taken(aws, fenced.role, Policy=document(allow("sts:AssumeRole", next_role)))
    narrow = document(allow("s3:PutObject", f"arn:aws:s3:::{fenced.bucket}/narrow/*"))
    s3 = aws.client("s3", taken(aws, next_role, by=first, Policy=narrow))
    s3.put_object(Bucket=fenced.bucket, Key="narrow/x", Body=b"1")
    assert refused(s3.put_object, Bucket=fenced.bucket, Key="x", Body=b"1")[0] == "AccessDenied"
    wide = aws.client("s3", taken(aws, next_role, by=first))
    wide.put_object(Bucket=fenced.bucket, Key="x", Body=b"1")


def test_there_is_no_other_way_out_of_a_session(aws, fenced):
    wide = taken(aws, fenced.role, Policy=document(ANYTHING))
    sts = aws.client("sts", wide)
    for call, parameters in ((sts.get_session_token, {}), (sts.get_federation_token, {"Name": "me"})):
        code, message = refused(call, **parameters)
        assert (code, "session credentials" in message) == ("AccessDenied", True)
    code, message = refused(aws.client("sts").get_federation_token, Name="me", Policy=document(ANYTHING))
    assert "not supported by the local AWS" in message


def test_keys_of_a_session_need_its_token(fenced):
    stolen = {"AccessKeyId": fenced.session["AccessKeyId"], "SecretAccessKey": "x"}
    assert refused(fenced.aws.client("s3", stolen).list_buckets)[0] == "InvalidAccessKeyId"
    unknown = {**fenced.session, "AccessKeyId": "ASIAXXXXXXXXXXXXXXXX"}
    assert refused(fenced.aws.client("glue", unknown).get_databases)[0] == "UnrecognizedClientException"


def test_a_presigned_address_has_the_sessions_limits(fenced):
    import urllib.error
    import urllib.request

    s3 = fenced.aws.client("s3", fenced.session, signature_version="s3v4")
    inside, outside = (
        urllib.request.Request(
            s3.generate_presigned_url("put_object", {"Bucket": fenced.bucket, "Key": key}), data=b"1", method="PUT"
        )
        for key in ("generations/x", "trips/x")
    )
    assert urllib.request.urlopen(inside).status == 200
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(outside)


LONG = document(*(allow("s3:GetObject", f"arn:aws:s3:::bucket/{number}") for number in range(40)))


@pytest.mark.parametrize(
    ("policy", "code", "message"),
    [
        ('{"Version": "2012-10-17", "Statement": [', "MalformedPolicyDocument", "This policy contains invalid Json"),
        ("[]", "MalformedPolicyDocument", "Syntax errors in policy."),
        ('{"Version": "2012-10-17"}', "MalformedPolicyDocument", "Syntax errors in policy."),
        (document({"Effect": "Allow", "Actions": "s3:*", "Resource": "*"}), "MalformedPolicyDocument", "no Actions"),
        (document({"Effect": "Maybe", "Action": "s3:*", "Resource": "*"}), "MalformedPolicyDocument", "Effect"),
        (document({"Effect": "Allow", "Action": "s3:*"}), "MalformedPolicyDocument",
         "Policy statement must contain resources."),
        (document({**ANYTHING, "Principal": "*"}), "MalformedPolicyDocument",
         "Policy document should not specify a principal."),
        (document(allow("PutObject", "*")), "MalformedPolicyDocument",
         "Actions/Conditions must be prefaced by a vendor"),
        (document(allow("s3:PutObject", "s3://bucket/*")), "MalformedPolicyDocument",
         'Resource s3://bucket/* must be in ARN format or "*".'),
        (document({**ANYTHING, "Condition": {"Looks": {"s3:prefix": "a"}}}), "MalformedPolicyDocument",
         "Syntax errors in policy"),
        (LONG, "ValidationError", "at 'policy' failed to satisfy constraint: Member must have length less than or "
         "equal to 2048"),
        ("", "ValidationError", "at 'policy' failed to satisfy constraint: Member must have length greater than or "
         "equal to 1"),
        (document({**ANYTHING, "Sid": "Ж"}).encode().decode("unicode-escape"), "ValidationError",
         "at 'policy' failed to satisfy constraint: Member must satisfy regular expression pattern"),
    ],
    ids=range(13),
)  # fmt: skip
def test_a_policy_that_is_none_begins_no_session(sts, fenced, policy, code, message):
    found, text = refused(sts.assume_role, RoleArn=fenced.role, RoleSessionName="me", Policy=policy)
    assert (found, message in text) == (code, True), text


def test_a_managed_policy_that_does_not_exist(aws, fenced):
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"
    code, message = refused(
        aws.client("sts").assume_role, RoleArn=fenced.role, RoleSessionName="me", PolicyArns=[{"arn": arn}]
    )
    assert (code, message) == ("NoSuchEntity", f"ARN {arn} does not exist or is not attachable.")


def test_a_policy_of_2048_characters_is_taken(aws, fenced):
    text = document(ANYTHING)
    assert taken(aws, fenced.role, Policy=text + " " * (2048 - len(text)))


def test_how_long_a_session_may_last(aws, sts, fenced):
    long_role = make_role(aws, f"{fenced.name}-long", ANYTHING, MaxSessionDuration=7200)
    for role, by, seconds, message in (
        (fenced.role, sts, 899, "Value '899' at 'durationSeconds' failed to satisfy constraint: Member must have value "
         "greater than or equal to 900"),
        (fenced.role, sts, 43201, "Value '43201' at 'durationSeconds' failed to satisfy constraint: Member must have "
         "value less than or equal to 43200"),
        (fenced.role, sts, 3601, "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."),
        (long_role, aws.client("sts", taken(aws, fenced.role)), 3601,
         "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"),
    ):  # fmt: skip
        code, text = refused(by.assume_role, RoleArn=role, RoleSessionName="me", DurationSeconds=seconds)
        assert (code, message in text) == ("ValidationError", True), text
    assert taken(aws, long_role, DurationSeconds=7200)
    assert taken(aws, long_role, by=taken(aws, fenced.role), DurationSeconds=3600)


@pytest.mark.parametrize("name", ["a b", "x" * 65, "x"])
def test_a_session_has_a_name(sts, fenced, name):
    code, text = refused(sts.assume_role, RoleArn=fenced.role, RoleSessionName=name)
    assert (code, "'roleSessionName' failed to satisfy constraint" in text) == ("ValidationError", True)


def test_a_role_that_does_not_exist(aws):
    arn = f"arn:aws:iam::{ACCOUNT}:role/nobody"
    code, message = refused(aws.client("sts").assume_role, RoleArn=arn, RoleSessionName="me")
    assert code == "AccessDenied"
    assert message.startswith(f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: sts:AssumeRole on ")


def test_a_fence_outlives_a_kill(start_local):
    killed = start_local()
    killed.client("s3").create_bucket(Bucket="production")
    session = taken(killed, make_role(killed, "dbt", ANYTHING), Policy=document(allow("s3:Get*", "*")))
    killed.kill()
    again = start_local(killed.root)
    code, _ = refused(again.client("s3", session).put_object, Bucket="production", Key="x", Body=b"1")
    assert code == "AccessDenied"


def test_a_session_ends(start_local, monkeypatch):
    monkeypatch.setenv("LAKEHOUSE_SESSION_SECONDS", "1")
    short = start_local()
    session = taken(short, make_role(short, "dbt", ANYTHING))
    while time.time() <= session["Expiration"].timestamp():
        time.sleep(0.05)
    for service, call, code in (
        ("s3", "list_buckets", "ExpiredToken"),
        ("glue", "get_databases", "ExpiredTokenException"),
        ("athena", "list_work_groups", "ExpiredTokenException"),
        ("sts", "get_caller_identity", "ExpiredToken"),
    ):
        message = "The security token included in the request is expired"
        assert refused(getattr(short.client(service, session), call)) == (code, message)


def test_a_session_length_that_is_no_number(start_local, monkeypatch):
    from lakehouse_local.errors import ProcessError

    monkeypatch.setenv("LAKEHOUSE_SESSION_SECONDS", "soon")
    with pytest.raises(ProcessError, match="LAKEHOUSE_SESSION_SECONDS must be a whole number from 1 on, not 'soon'"):
        start_local()
