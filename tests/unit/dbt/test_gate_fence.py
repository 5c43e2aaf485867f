"""The fence: the policy of dbt's session, its renewal, and that its keys are nowhere but in the answer to dbt."""

from __future__ import annotations

import datetime
import json
import subprocess
import tempfile
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from airflow_lakehouse_provider.dbt.attempt import Aws
from airflow_lakehouse_provider.dbt.gate.fence import LONGEST_POLICY, fenced, session_policy
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused

AUDIT = "nyc_taxi_marts__audit_0123456789ab"
FILES, RESULTS = f"s3://nyc-taxi-curated/generations/{AUDIT}", "s3://nyc-taxi-athena-results/dbt"
ROLE = "arn:aws:iam::123456789012:role/builder"


class Sts:
    """STS with sessions of some seconds each, whose keys are numbered."""

    def __init__(self, seconds=3600, error=None):
        self.seconds, self.error, self.calls = seconds, error, []

    def assume_role(self, **arguments):
        self.calls.append(arguments)
        if self.error:
            raise ClientError({"Error": {"Code": self.error, "Message": "not you"}}, "AssumeRole")
        number = len(self.calls)
        ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.seconds)
        keys = {"AccessKeyId": f"ASIA{number}", "SecretAccessKey": f"s3cr3t{number}", "SessionToken": f"t0ken{number}"}
        return {"Credentials": {**keys, "Expiration": ends}}


def access(sts, **variables):
    return Aws(lambda service: sts, {"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "AKIA", **variables}, ("AWS_X",))


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_the_policy_writes_into_the_audit_schema_alone(partition):
    policy = json.loads(session_policy(partition, [FILES, RESULTS], [f"{AUDIT}*"]))
    reads, objects, glue = policy["Statement"]
    assert not [action for action in reads["Action"] if action.startswith(("s3:Put", "s3:Delete", "glue:Create"))]
    assert objects["Resource"] == [
        f"arn:{partition}:s3:::nyc-taxi-athena-results/dbt/*",
        f"arn:{partition}:s3:::nyc-taxi-curated/generations/{AUDIT}/*",
    ]
    assert glue["Resource"] == [
        f"arn:{partition}:glue:*:*:{each}" for each in ("catalog", f"database/{AUDIT}*", f"table/{AUDIT}*/*")
    ]


def test_the_policy_has_room_for_long_names_and_none_of_tables():
    long = "a" * 60
    files = f"s3://{long}/{long}/{long}__audit_0123456789ab"
    assert len(session_policy("aws-us-gov", [files, f"s3://{long}/{long}"], [f"{long}__audit_0123456789ab*"])) < 1500
    with pytest.raises(GateRefused, match=rf"characters, and AWS takes {LONGEST_POLICY}: shorten s3_data_dir"):
        session_policy("aws", [f"s3://b/{'a' * 900}", RESULTS], ["b" * 400])


def test_a_prefix_that_would_open_more_is_refused():
    with pytest.raises(GateRefused, match=r"'s3://lake/a\*' holds '\*'"):
        session_policy("aws", ["s3://lake/a*"])


def test_a_bucket_of_results_alone_may_be_named_as_a_whole():
    (_, writes) = json.loads(session_policy("aws", ["s3://results/"]))["Statement"]
    assert writes["Resource"] == ["arn:aws:s3:::results/*"]


def test_a_test_that_keeps_no_failures_writes_results_alone():
    assert [len(each) for each in (json.loads(session_policy("aws", [RESULTS]))["Statement"],)] == [2]


def fetch(environment):
    """Ask for the credentials as dbt's AWS clients do."""
    config = Path(environment["AWS_CONFIG_FILE"]).read_text()
    command = config.partition("credential_process = ")[2].strip()
    ended = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    return json.loads(ended.stdout)


def test_dbt_gets_the_sessions_keys_by_request_and_nothing_else_has_them():
    sts, renewed = Sts(), []
    aws = fenced(access(sts), ROLE, "{}", "shop-run")
    assert sts.calls == [{"RoleArn": ROLE, "RoleSessionName": "shop-run", "Policy": "{}", "DurationSeconds": 3600}]
    assert aws.variables == {"AWS_REGION": "us-east-1"}
    assert {"AWS_X", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"} <= set(
        aws.dropped
    )
    with tempfile.TemporaryDirectory() as folder, aws.serve(Path(folder), renewed.append) as environment:
        keys = fetch(environment)
        assert (keys["AccessKeyId"], keys["SecretAccessKey"]) == ("ASIA1", "s3cr3t1")
        written = "".join(file.read_text() for file in Path(folder).iterdir() if file.is_file())
        assert "s3cr3t" not in written + str(environment) + repr(aws)
    assert renewed == [
        {"AWS_ACCESS_KEY_ID": "ASIA1", "AWS_SECRET_ACCESS_KEY": "s3cr3t1", "AWS_SESSION_TOKEN": "t0ken1"}
    ]


def test_the_session_is_renewed_before_it_ends():
    sts = Sts(seconds=300)  # botocore renews what ends within ten minutes
    aws = fenced(access(sts), ROLE, "{}", "shop-run")
    with tempfile.TemporaryDirectory() as folder, aws.serve(Path(folder), lambda keys: None) as environment:
        first, second = fetch(environment)["AccessKeyId"], fetch(environment)["AccessKeyId"]
    assert len({first, second, "ASIA1"}) == 3


def test_a_role_that_cannot_be_assumed_is_named():
    with pytest.raises(
        GateRefused, match=r"^fence is 'arn:aws:iam::123456789012:role/builder', which cannot be assumed"
    ):
        fenced(access(Sts(error="AccessDenied")), ROLE, "{}", "run")
    with pytest.raises(ClientError):
        fenced(access(Sts(error="Throttling")), ROLE, "{}", "run")
