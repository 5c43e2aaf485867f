"""The front of the local AWS: callers that it refuses, unknown calls, and the state after a restart."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

CREDENTIAL = (
    "AWS4-HMAC-SHA256 Credential=local/20240101/{region}/{service}/aws4_request, SignedHeaders=host, Signature=0"
)


def send(
    local: Any, method: str = "POST", path: str = "/", body: str = "{}", **headers: str
) -> tuple[int, dict[str, Any] | str]:
    """Send one plain HTTP request; underscores in keywords become hyphens of headers."""
    address = urlsplit(local.endpoint)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        sent = {"Content-Length": str(len(body)), **{name.replace("_", "-"): value for name, value in headers.items()}}
        for name, value in sent.items():
            connection.putheader(name, value)
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    try:
        return answer.status, json.loads(text)
    except ValueError:
        return answer.status, text


def signed(service: str, region: str = "us-east-1") -> str:
    return CREDENTIAL.format(service=service, region=region)


@pytest.mark.parametrize(
    "target", ["AWSGlue.GetTable2", "AmazonAthena.Nonsense", "AWSGlue.CreateMLTransform", "AWSGlue."]
)
def test_an_unknown_operation_is_a_client_error(local_aws: Any, target: str) -> None:
    status, answer = send(local_aws, X_Amz_Target=target, Authorization=signed(target.split(".")[0][3:].lower()))
    assert status == 400
    assert isinstance(answer, dict)
    assert answer["__type"] == "UnknownOperationException"
    assert target.rstrip(".").split(".")[-1] in answer["message"] or "X-Amz-Target" in answer["message"]


@pytest.mark.parametrize("service", ["glue", "athena"])
def test_glue_and_athena_never_reach_moto(local_aws: Any, service: str) -> None:
    status, answer = send(local_aws, Authorization=signed(service))
    assert status == 400
    assert isinstance(answer, dict)
    assert answer["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("body", "code", "part"),
    [
        ("{", "SerializationException", "JSON"),
        ("[]", "SerializationException", "object"),
        ('{"DatabaseName": 3, "Name": "t"}', "SerializationException", "databaseName must be of type string, not 3"),
        ('{"Name": "t"}', "ValidationException", "Value null at 'databaseName'"),
        ('{"DatabaseName": "", "Name": "t"}', "ValidationException", "length greater than or equal to 1"),
        ('{"DatabaseName": "no_such", "Name": "t"}', "EntityNotFoundException", "Database no_such not found."),
        ('{"DatabaseName": "d", "Name": "t", "CatalogId": "999999999999"}', "EntityNotFoundException", "999999999999"),
    ],
)
def test_malformed_calls(local_aws: Any, body: str, code: str, part: str) -> None:
    status, answer = send(local_aws, body=body, X_Amz_Target="AWSGlue.GetTable", Authorization=signed("glue"))
    assert status == 400
    assert isinstance(answer, dict)
    assert answer["__type"] == code
    assert part in answer["message"]


def test_members_that_aws_does_not_know_are_ignored(local_aws: Any) -> None:
    body = '{"MaxResults": 1, "FromTheFuture": true}'
    status, _ = send(local_aws, body=body, X_Amz_Target="AWSGlue.GetDatabases", Authorization=signed("glue"))
    assert status == 200


def test_the_one_region_answers_whatever_a_call_is_signed_for(local_aws: Any) -> None:
    status, _ = send(local_aws, X_Amz_Target="AWSGlue.GetDatabases", Authorization=signed("glue", "eu-west-1"))
    assert status == 200


@pytest.mark.parametrize(
    "host", ["evil.example:5000", "127.0.0.1.evil.example", "169.254.169.254", "local.aws", "[::1", ""]
)
def test_a_rebound_name_is_refused(local_aws: Any, host: str) -> None:
    status, answer = send(local_aws, "GET", "/", "", Host=host)
    assert status == 403
    assert "127.0.0.1" in answer


@pytest.mark.parametrize("host", ["localhost", "localhost:1234", "127.0.0.1:80", "[::1]:80"])
def test_loopback_names_are_answered(local_aws: Any, host: str) -> None:
    assert send(local_aws, "GET", "/", "", Host=host, Authorization=signed("s3"))[0] == 200


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("GET", "/some-bucket/key"), ("OPTIONS", "/"), ("POST", "/moto-api/reset")]
)
def test_web_pages_of_other_sites_are_refused(local_aws: Any, method: str, path: str) -> None:
    assert send(local_aws, method, path, "", Origin="https://evil.example")[0] == 403


def test_motos_own_api_is_not_served(local_aws: Any) -> None:
    assert send(local_aws, "POST", "/moto-api/reset", "")[0] == 404


def test_no_cors_headers_for_anybody(local_aws: Any) -> None:
    address = urlsplit(local_aws.endpoint)
    connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=20)
    connection.request("GET", "/", headers={"Authorization": signed("s3")})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.getheader("Access-Control-Allow-Origin") is None


def test_it_listens_on_loopback_alone(local_aws: Any) -> None:
    port = urlsplit(local_aws.endpoint).port
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, _, state = line.split()[:4]
        if state == "0A" and local.endswith(f":{port:04X}"):
            assert local.startswith("0100007F")


@pytest.mark.parametrize(
    ("service", "call"),
    [
        ("iam", lambda iam: iam.generate_organizations_access_report(EntityPath="o-a1b2c3d4e5/r-f6g7h8i9j0example")),
        ("cloudtrail", lambda cloudtrail: cloudtrail.list_public_keys()),
        ("datapipeline", lambda pipeline: pipeline.query_objects(pipelineId="p", sphere="s")),
    ],
)
def test_what_moto_does_not_know_is_a_client_error(
    boto: Callable[..., Any], service: str, call: Callable[[Any], Any]
) -> None:
    with pytest.raises(ClientError) as error:
        call(boto(service))
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error.value.response["Error"]["Code"] in ("InvalidAction", "UnknownOperationException")
    assert "not served" in error.value.response["Error"]["Message"]


def test_many_calls_at_once(boto: Callable[..., Any], database: str) -> None:
    glue, sts = boto("glue"), boto("sts")

    def make(number: int) -> None:
        glue.create_table(DatabaseName=database, TableInput={"Name": f"T{number}"})
        assert glue.get_table(DatabaseName=database, Name=f"t{number}")["Table"]["Name"] == f"t{number}"
        assert sts.get_caller_identity()["Account"] == "123456789012"

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(make, range(48)))
    assert len(glue.get_tables(DatabaseName=database)["TableList"]) == 48


class TestStart:
    def test_a_port_in_use(self, tmp_path: Path) -> None:
        from lakehouse_local import LocalAws
        from lakehouse_local.errors import PortInUse

        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            with pytest.raises(PortInUse, match=f"port {port} of 127.0.0.1 is in use: .*another port"):
                LocalAws(tmp_path / "root", port=port).start()
        assert not (tmp_path / "root").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"port": 70000}, r"port must be a number from 0 \(any free port\) to 65535, not 70000"),
            ({"port": -1}, "port"),
            ({"account_id": "12"}, "account_id must be twelve digits"),
            ({"region": "us-east-9"}, "region must be a region of AWS, not 'us-east-9'"),
        ],
    )
    def test_bad_arguments(self, tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
        from lakehouse_local.http.server import LocalAws

        with pytest.raises(ValueError, match=message):
            LocalAws(tmp_path, **arguments)

    def test_one_at_a_time_in_a_process(self, tmp_path: Path) -> None:
        from lakehouse_local import LocalAws
        from lakehouse_local.errors import AlreadyRunning

        with LocalAws(tmp_path / "one", empty=True) as local:
            with pytest.raises(AlreadyRunning, match="runs in this process already: stop it first"):
                LocalAws(tmp_path / "two").start()
            assert local.endpoint.startswith("http://127.0.0.1:")
        assert not (tmp_path / "two").exists()
        with pytest.raises(RuntimeError, match="not started"):
            _ = local.endpoint

    def test_a_process_that_cannot_start(self, local_aws: Any) -> None:
        from lakehouse_local.errors import ProcessError
        from lakehouse_local.process import LocalAwsProcess

        with pytest.raises(ProcessError, match=f"did not start: another local AWS .process {local_aws.process.pid}."):
            LocalAwsProcess(local_aws.root)

    def test_a_root_in_use(self, local_aws: Any) -> None:
        from lakehouse_local.errors import RootInUse
        from lakehouse_local.http.server import LocalAws

        with pytest.raises(RootInUse, match=f"process {local_aws.process.pid}"):
            LocalAws(local_aws.root).start()

    def test_state_that_cannot_be_read(self, tmp_path: Path) -> None:
        from lakehouse_local.errors import StateError
        from lakehouse_local.http.server import LocalAws

        kept = tmp_path / ".state" / "moto" / "iam.pickle"
        kept.parent.mkdir(parents=True)
        kept.write_bytes(b"not a pickle")
        (tmp_path / ".state" / "layout").write_text("1\n")
        with pytest.raises(StateError, match=r"iam\.pickle cannot be read .* another root"):
            LocalAws(tmp_path).start()
        kept.unlink()
        with LocalAws(tmp_path) as local:
            assert local.endpoint.startswith("http://127.0.0.1:")


def fill(local: Any) -> dict[str, Any]:
    """Create a resource of every service whose state is hard to save, and return the ids."""
    s3, iam, kms = local.client("s3"), local.client("iam"), local.client("kms")
    s3.create_bucket(Bucket="kept")
    s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    s3.put_bucket_tagging(Bucket="kept", Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})
    s3.put_object(Bucket="kept", Key="a/b", Body=b"first", Metadata={"n": "1"})
    second = s3.put_object(Bucket="kept", Key="a/b", Body=b"second")
    s3.put_object(Bucket="kept", Key="folder/", Body=b"")
    (local.root / "kept" / "spark").write_bytes(b"adopted")
    adopted = s3.head_object(Bucket="kept", Key="spark")["ETag"]
    upload = s3.create_multipart_upload(Bucket="kept", Key="big")["UploadId"]
    s3.upload_part(Bucket="kept", Key="big", UploadId=upload, PartNumber=1, Body=b"p" * 1000)
    iam.create_role(RoleName="kept", AssumeRolePolicyDocument="{}")
    logs = local.client("logs")
    logs.create_log_group(logGroupName="/kept")
    logs.create_log_stream(logGroupName="/kept", logStreamName="s")
    from lakehouse_local.http.wire import epoch

    logs.put_log_events(
        logGroupName="/kept", logStreamName="s", logEvents=[{"timestamp": int(epoch() * 1000), "message": "hello"}]
    )
    key = kms.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
    local.client("sqs").create_queue(QueueName="kept")
    local.client("ssm").put_parameter(Name="kept", Value="v", Type="String")
    local.client("secretsmanager").create_secret(Name="kept", SecretString="x")
    local.client("sns").create_topic(Name="kept")
    local.client("events").put_rule(Name="kept", ScheduleExpression="rate(1 day)")
    glue = local.client("glue")
    glue.create_database(DatabaseInput={"Name": "kept"}, Tags={"t": "1"})
    glue.create_table(DatabaseName="kept", TableInput={"Name": "t", "PartitionKeys": [{"Name": "y", "Type": "string"}]})
    glue.create_partition(DatabaseName="kept", TableName="t", PartitionInput={"Values": ["2024"]})
    return {"second": second["VersionId"], "upload": upload, "key": key, "adopted": adopted, "etag": second["ETag"]}


def check(local: Any, made: dict[str, Any]) -> None:
    s3 = local.client("s3")
    assert s3.get_bucket_versioning(Bucket="kept")["Status"] == "Enabled"
    assert s3.get_bucket_tagging(Bucket="kept")["TagSet"] == [{"Key": "a", "Value": "b"}]
    versions = s3.list_object_versions(Bucket="kept", Prefix="a/b")["Versions"]
    assert [version["IsLatest"] for version in versions] == [True, False]
    assert versions[0]["VersionId"] == made["second"]
    assert versions[0]["ETag"] == made["etag"]
    first = s3.get_object(Bucket="kept", Key="a/b", VersionId=versions[1]["VersionId"])
    assert (first["Body"].read(), first["Metadata"]) == (b"first", {"n": "1"})
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="kept")["Contents"]] == ["a/b", "folder/", "spark"]
    assert s3.head_object(Bucket="kept", Key="spark")["ETag"] == made["adopted"]
    part = s3.list_parts(Bucket="kept", Key="big", UploadId=made["upload"])["Parts"][0]
    s3.complete_multipart_upload(
        Bucket="kept",
        Key="big",
        UploadId=made["upload"],
        MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]},
    )
    assert s3.get_object(Bucket="kept", Key="big")["Body"].read() == b"p" * 1000
    assert local.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    events = local.client("logs").get_log_events(logGroupName="/kept", logStreamName="s")["events"]
    assert [event["message"] for event in events] == ["hello"]
    signed_ = local.client("kms").sign(KeyId=made["key"], Message=b"m", SigningAlgorithm="RSASSA_PSS_SHA_256")
    assert signed_["Signature"]
    assert local.client("sqs").get_queue_url(QueueName="kept")["QueueUrl"].endswith("/kept")
    assert local.client("ssm").get_parameter(Name="kept")["Parameter"]["Value"] == "v"
    assert local.client("secretsmanager").get_secret_value(SecretId="kept")["SecretString"] == "x"
    assert len(local.client("sns").list_topics()["Topics"]) == 1
    assert local.client("events").describe_rule(Name="kept")["ScheduleExpression"] == "rate(1 day)"
    glue = local.client("glue")
    assert glue.get_partitions(DatabaseName="kept", TableName="t")["Partitions"][0]["Values"] == ["2024"]
    assert glue.get_tags(ResourceArn="arn:aws:glue:us-east-1:123456789012:database/kept")["Tags"] == {"t": "1"}


def test_a_kill_loses_nothing_that_was_answered_a_moment_ago(start_local: Callable[..., Any]) -> None:
    first = start_local()
    s3 = first.client("s3")
    for name in ("kept", "gone"):
        s3.create_bucket(Bucket=name)
        etag = s3.put_object(Bucket=name, Key="k", Body=b"x", Metadata={"a": "b"})["ETag"]
    s3.delete_object(Bucket="gone", Key="k")
    s3.delete_bucket(Bucket="gone")
    first.client("glue").create_database(DatabaseInput={"Name": "kept"})
    first.client("iam").create_role(RoleName="kept", AssumeRolePolicyDocument="{}")
    wait_for((first.root / ".state" / "moto" / "iam.pickle").exists)  # what is not S3's or ours: a moment later
    first.kill()
    (first.root / ".s3" / "orphan").write_bytes(b"of an upload that the kill cut off")

    second = start_local()
    s3 = second.client("s3")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["kept"]
    head = s3.head_object(Bucket="kept", Key="k")
    assert (head["ETag"], head["Metadata"]) == (etag, {"a": "b"})
    assert second.client("glue").get_database(Name="kept")["Database"]["Name"] == "kept"
    assert second.client("iam").get_role(RoleName="kept")["Role"]["RoleName"] == "kept"
    assert not (first.root / ".s3" / "orphan").exists()


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    import time

    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


SLEEPS = """
import os, sys, time
with open(sys.argv[sys.argv.index("--pid_file") + 1] + ".new", "w") as file:
    file.write(str(os.getpid()))
os.rename(file.name, file.name.removesuffix(".new"))
time.sleep(600)
"""


@pytest.mark.slow
def test_stopping_ends_running_jobs_and_a_restart_finds_everything_again(
    start_local: Callable[..., Any], tmp_path: Path
) -> None:
    first = start_local()
    made = fill(first)
    first.client("s3").create_bucket(Bucket="scripts")
    first.store.write("s3://scripts/sleeps.py", SLEEPS.encode())
    glue = first.client("glue")
    glue.create_job(
        Name="sleeps",
        Role="arn:aws:iam::123456789012:role/r",
        Command={"Name": "pythonshell", "ScriptLocation": "s3://scripts/sleeps.py", "PythonVersion": "3.9"},
        Tags={"team": "data"},
    )
    pid_file = tmp_path / "pid"
    run = glue.start_job_run(JobName="sleeps", Arguments={"--pid_file": str(pid_file)})["JobRunId"]
    wait_for(pid_file.exists)
    pid = pid_file.read_text()
    assert first.stop() == 0
    wait_for(lambda: not Path(f"/proc/{pid}").exists())

    second = start_local()
    check(second, made)
    glue = second.client("glue")
    assert glue.get_job_run(JobName="sleeps", RunId=run)["JobRun"]["JobRunState"] == "STOPPED"
    tags = glue.get_tags(ResourceArn="arn:aws:glue:us-east-1:123456789012:job/sleeps")["Tags"]
    assert tags == {"team": "data"}
