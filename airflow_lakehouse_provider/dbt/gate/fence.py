"""The fence: a session of an IAM role that can write nowhere but into one audit schema.

A cloned partition is a writable pointer at production's files. Not macros but AWS itself keeps dbt from them: by the
session policy of AssumeRole, which takes from the role's permissions all that it does not name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from airflow_lakehouse_provider.dbt.access import CREDENTIAL_VARIABLES, OTHER_CREDENTIALS, server
from airflow_lakehouse_provider.dbt.attempt import Aws
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.s3_uri import split_s3_uri

# AWS's limits: of a session policy's characters, and of a session of a role that a role's session assumes (seconds).
LONGEST_POLICY, SECONDS = 2048, 3600
# Credentials of dbt's own choice would not be the fence's.
PROFILE_CREDENTIALS = ("aws_profile_name", "assume_role_arn")
_READS = (
    *("s3:Get*", "s3:List*", "glue:Get*", "glue:BatchGet*", "glue:SearchTables", "athena:*"),
    *("sts:GetCallerIdentity", "lakeformation:GetDataAccess", "kms:Decrypt", "kms:GenerateDataKey"),
)
_S3_WRITES = ("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
_GLUE_WRITES = (
    *("glue:CreateDatabase", "glue:CreateTable", "glue:UpdateTable", "glue:DeleteTable*", "glue:BatchDeleteTable*"),
    *("glue:CreatePartition", "glue:UpdatePartition", "glue:DeletePartition"),
    *("glue:BatchCreatePartition", "glue:BatchUpdatePartition", "glue:BatchDeletePartition"),
)
# Characters that IAM does not read as themselves.
_WILD = re.compile(r"[*?$]")


def session_policy(partition: str, prefixes: Sequence[str], databases: Sequence[str] = ()) -> str:
    """Return a policy that allows all reads, and writes under some prefixes of S3 and in some databases of Glue's.

    :param partition: of ARNs
    :param prefixes: ``s3://bucket/prefix`` each
    :param databases: names, or the beginnings of names with ``*`` at their end
    :raises GateRefused: a prefix cannot stand in a policy, or the policy is too long
    """
    objects = []
    for prefix in prefixes:
        if _WILD.search(prefix):
            raise GateRefused(f"{prefix!r} holds '*', '?' or '$', which IAM would not read as themselves: rename it")
        bucket, key = split_s3_uri(prefix)
        folder = f"{key.strip('/')}/" if key.strip("/") else ""
        objects.append(f"arn:{partition}:s3:::{bucket}/{folder}*")
    statements = [
        {"Effect": "Allow", "Action": _READS, "Resource": "*"},
        {"Effect": "Allow", "Action": _S3_WRITES, "Resource": sorted(set(objects))},
    ]
    if databases:
        glue = f"arn:{partition}:glue:*:*:"
        resources = [f"{glue}catalog"]
        resources += [f"{glue}{kind}" for name in databases for kind in (f"database/{name}", f"table/{name}/*")]
        statements.append({"Effect": "Allow", "Action": _GLUE_WRITES, "Resource": resources})
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements}, separators=(",", ":"))
    if len(policy) > LONGEST_POLICY:
        raise GateRefused(
            f"the session policy of dbt's role has {len(policy)} characters, and AWS takes {LONGEST_POLICY}: shorten "
            f"s3_data_dir, s3_staging_dir and schema"
        )
    return policy


def fenced(aws: Aws, role: str, policy: str, session: str, seconds: int = SECONDS) -> Aws:
    """Return the access to AWS that a session of the role has; the session is renewed before it expires.

    :param aws: the access that may assume the role; the clients stay its own
    :raises GateRefused: it may not
    """
    from botocore.credentials import RefreshableCredentials
    from botocore.exceptions import ClientError

    sts = aws.client("sts")

    def assume() -> dict[str, Any]:
        found = sts.assume_role(RoleArn=role, RoleSessionName=session, Policy=policy, DurationSeconds=seconds)
        keys = found["Credentials"]
        names = {"access_key": "AccessKeyId", "secret_key": "SecretAccessKey", "token": "SessionToken"}
        return {**{ours: keys[name] for ours, name in names.items()}, "expiry_time": keys["Expiration"].isoformat()}

    try:
        first = assume()
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("AccessDenied", "ValidationError", "MalformedPolicyDocument"):
            raise
        reason = error.response["Error"]["Message"]
        raise GateRefused(
            f"fence is {role!r}, which cannot be assumed: {reason}. The role that Airflow's connection uses (in Glue: "
            "the job's) needs sts:AssumeRole on it, and it must trust that role"
        ) from error
    credentials = RefreshableCredentials.create_from_metadata(first, assume, "sts-assume-role")
    keys = {*CREDENTIAL_VARIABLES, *OTHER_CREDENTIALS}
    return replace(
        aws,
        variables={name: value for name, value in aws.variables.items() if name not in keys},
        dropped=tuple({*aws.dropped, *keys}),
        serve=server(credentials),
    )
