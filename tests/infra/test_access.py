"""Terraform's policies, enforced: each role does its work by them and nothing more. The tests follow one another."""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
import yaml
from botocore.exceptions import ClientError

from airflow_lakehouse_provider.s3_uri import split_s3_uri

from .grants import Grants, excuses
from .month import Month, lakehouse_yaml

pytestmark = [pytest.mark.slow, pytest.mark.infra, pytest.mark.spark]

ENFORCE_IAM = True
ARN = "arn:aws:iam::123456789012:role/"
MARTS = "nyc_taxi_marts"
ROLES = {
    "airflow": "nyc-taxi-airflow",
    "glue_job": "nyc-taxi-glue",
    "crawler": "nyc-taxi-crawler",
    "dbt": "nyc-taxi-dbt",
    "fence": "nyc-taxi-dbt-fence",
    "analyst": "nyc-taxi-analyst",
    "deployer": "nyc-taxi-deployer",
}


@pytest.fixture(scope="module")
def people(local):
    """The roles that the configuration trusts and does not make, as a company has them: whom each may become."""
    iam = local.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    for name in ("admin", "airflow-host", "ada"):
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=_document(trust))
        iam.put_role_policy(RoleName=name, PolicyName="become", PolicyDocument=_document(may))


@pytest.fixture(scope="module")
def policies():
    """Each role's statements, as they were when everything was made."""
    return {}


def statements_of(local, role):
    iam, found = local.client("iam"), []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        found += iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]["Statement"]
    for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=attached["PolicyArn"])["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=attached["PolicyArn"], VersionId=version)["PolicyVersion"]
        found += document["Document"]["Statement"]
    return found


def _document(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.fixture(scope="module")
def session(local, people):
    """Credentials of a role, by way of others: ``session("admin", "nyc-taxi-deployer")``."""

    def assume(*names):
        credentials = None
        for name in names:
            sts = local.client("sts", credentials)
            credentials = sts.assume_role(RoleArn=f"{ARN}{name}", RoleSessionName="test")["Credentials"]
        return credentials

    return assume


def environment_of(credentials):
    return {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
        "AWS_SESSION_TOKEN": credentials["SessionToken"],
    }


def judged(local):
    """Return the decisions so far."""
    lines = (local.root / ".state" / "iam-calls.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def denied(local):
    return [each for each in judged(local) if not each["allowed"]]


def test_the_deployer_applies_it(terraform, deployer, local, session, policies):
    """With everything that can be had: a key, access logs, an alarm, state in S3."""
    deployer.with_variables("apply", "-auto-approve")  # by an administrator
    s3 = local.client("s3")
    for bucket in ("acme-terraform-state", "acme-logs"):
        s3.create_bucket(Bucket=bucket)
    logging = {"Service": "logging.s3.amazonaws.com"}
    delivery = {
        "Effect": "Allow",
        "Principal": logging,
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::acme-logs/*",
    }
    s3.put_bucket_policy(Bucket="acme-logs", Policy=_document(delivery))
    terraform.environment |= environment_of(session("admin", "nyc-taxi-deployer"))
    terraform.keep_state_in("acme-terraform-state")
    variables = {"encryption": "SSE-KMS", "access_log_bucket": "acme-logs"}
    boundary = deployer.outputs()["permissions_boundary"]
    terraform.with_variables("apply", "-auto-approve", permissions_boundary=boundary, **variables)
    assert terraform.changes() == []
    assert s3.list_objects_v2(Bucket="acme-terraform-state", Prefix="lakehouse/")["KeyCount"] == 1
    policies.update({role: statements_of(local, name) for role, name in ROLES.items()})
    assert denied(local) == []


def test_the_deployer_uploads_the_code(terraform, local, tmp_path):
    bundle = tmp_path / "bundle"
    terraform.lakehouse("mwaa", "bundle", "--out", str(bundle))
    terraform.lakehouse("mwaa", "sync", str(bundle))
    extra = ("mwaa/dags/old.py", "glue_scripts/old.py")
    for key in extra:
        local.client("s3").put_object(Bucket="nyc-taxi-artifacts", Key=key, Body=b"# gone")
    terraform.lakehouse("mwaa", "sync", str(bundle), "--delete")
    there = {each["Key"] for each in local.client("s3").list_objects_v2(Bucket="nyc-taxi-artifacts")["Contents"]}
    assert "glue_scripts/clean_trips.py" in there
    assert not there & set(extra)
    assert denied(local) == []


@pytest.fixture
def month(terraform, local, session, monkeypatch):
    """By Airflow's role; dbt's own work by dbt's."""
    airflow = session("airflow-host", "nyc-taxi-airflow")
    for name, value in {**local.environment, **environment_of(airflow)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    role = json.dumps({"role_arn": f"{ARN}nyc-taxi-dbt"})
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DBT", json.dumps({"conn_type": "aws", "extra": role}))
    return Month(terraform, local)


def test_a_month_runs_by_these_policies_alone(month, terraform, local, tmp_path):
    month.upload_raw(tmp_path)
    month.find_raw()
    month.clean()
    month.crawl()
    month.dbt("build", aws_conn_id="aws_dbt")
    assert denied(local) == []


def test_dbt_in_glue_by_the_same(month, local):
    month.dbt_in_glue("build")
    assert denied(local) == []


def test_a_month_once_more_changes_and_replaces(month, local, terraform):
    """A rerun; a table whose columns are other than they were; rows that failed a test, kept; models with ha."""
    glue = local.client("glue")
    table = glue.get_table(DatabaseName="nyc_taxi_cleaned", Name="trips")["Table"]
    wanted = ("Name", "TableType", "Parameters", "PartitionKeys", "StorageDescriptor")
    before = {name: table[name] for name in wanted}
    before["StorageDescriptor"]["Columns"].pop()
    glue.update_table(DatabaseName="nyc_taxi_cleaned", TableInput=before)
    of_table = {"DatabaseName": "nyc_taxi_cleaned", "TableName": "trips"}
    partition = glue.get_partitions(**of_table)["Partitions"][0]
    other = {"Values": partition["Values"], "StorageDescriptor": before["StorageDescriptor"] | {
        "Location": partition["StorageDescriptor"]["Location"]}}  # fmt: skip
    glue.update_partition(**of_table, PartitionValueList=partition["Values"], PartitionInput=other)
    month.clean()
    month.crawl()
    month.dbt("build", aws_conn_id="aws_dbt")
    with other_project(terraform, "      +materialized: table\n", "      +materialized: table\n      +ha: true\n"):
        for _ in range(6):  # of a table's versions four are kept
            month.dbt("run", select="dim_vendor", aws_conn_id="aws_dbt")
    for _ in range(2):  # the second time in place of the first's tables
        month.dbt("test", select="dim_vendor dim_zone", flags=["--store-failures"], aws_conn_id="aws_dbt")
    # A second try that looks for what the first has left, and there is nothing.
    month.dbt("seed", try_number=2, run_id="another", aws_conn_id="aws_dbt")
    assert denied(local) == []


@contextmanager
def other_project(terraform, old, new):
    """The copy's dbt project with another text in its dbt_project.yml."""
    file = terraform.folder.parents[1] / "dbt_models" / "dbt_project.yml"
    kept = file.read_text()
    assert kept.count(old) == 1
    file.write_text(kept.replace(old, new))
    try:
        yield
    finally:
        file.write_text(kept)


def locations(local, table):
    pages = local.client("glue").get_paginator("get_partitions").paginate(DatabaseName=MARTS, TableName=table)
    return {each["StorageDescriptor"]["Location"] for page in pages for each in page["Partitions"]}


def test_a_month_is_built_beside_production_and_published(month, local):
    """Twice, in Glue and on a worker, then back to the first."""
    before = locations(local, "fct_trips")
    first = month.beside("in_glue", in_glue=True)
    assert locations(local, "fct_trips") == before
    assert month.publish(first)["generation"] == 1
    (location,) = locations(local, "fct_trips")
    assert location.startswith("s3://nyc-taxi-curated/generations/")
    assert month.publish(month.beside("on_a_worker", keep_failures=True))["generation"] == 2
    assert month.rollback()["restores"] == 1
    assert locations(local, "fct_trips") == {location}
    assert denied(local) == []


def test_what_moved_since_it_was_read_is_told(month, local, caplog):
    """Athena explains what was read, in dbt's role."""
    from airflow_lakehouse_provider._airflow.compat import AirflowException

    attempt = month.beside("moved")
    month.dbt("run", select="dim_vendor", aws_conn_id="aws_dbt")
    month.dbt("run", select="fct_trips", aws_conn_id="aws_dbt")
    with pytest.raises(AirflowException, match=r"fct_trips changed since .* nothing was published"):
        month.publish(attempt)
    assert "EXPLAIN of a query failed" not in caplog.text
    assert denied(local) == []


def test_what_nobody_needs_is_swept(month, local):
    """Also a temporary table of a run of dbt that was killed."""
    glue = local.client("glue")
    glue.create_table(DatabaseName=MARTS, TableInput={"Name": "fct_trips__dbt_tmp_1", "StorageDescriptor": {
        "Location": "s3://nyc-taxi-curated/nyc_taxi_marts/tmp", "Columns": []}})  # fmt: skip
    local.client("s3").put_object(Bucket="nyc-taxi-curated", Key="nyc_taxi_marts/tmp/1", Body=b"x")
    swept = month.sweep(hours_later=48)
    assert swept.databases
    assert swept.tables == [f"{MARTS}.fct_trips__dbt_tmp_1"]
    assert swept.files > 1
    assert not audit_schemas(local)
    month.dbt("test", select="fct_trips", aws_conn_id="aws_dbt")
    assert denied(local) == []


def audit_schemas(local):
    pages = local.client("glue").get_paginator("get_databases").paginate()
    names = [each["Name"] for page in pages for each in page["DatabaseList"]]
    return [name for name in names if name.startswith(f"{MARTS}__audit_")]


_MANY = ", ".join(f"UNNEST(sequence(1, 10000)) t{number}(x{number})" for number in range(4))
FOREVER = {"flags": ["--inline", f"SELECT count(*) FROM {_MANY}"]}


@pytest.mark.parametrize("place", ["clean", "dbt", "dbt_in_glue"])
def test_what_is_killed_or_out_of_time_is_stopped(month, local, place):
    from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowTaskTimeout

    athena, group = local.client("athena"), month.lakehouse.athena.work_group

    def states():
        ids = athena.list_query_executions(WorkGroup=group)["QueryExecutionIds"][:50]
        found = athena.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"]
        return {each["Status"]["State"] for each in found}

    def runs():
        return "RUNNING" in states()

    run = {
        "clean": lambda: month.clean(execution_timeout=timedelta(seconds=2)),
        "dbt": lambda: month.dbt("show", killed_when=runs, aws_conn_id="aws_dbt", **FOREVER),
        "dbt_in_glue": lambda: month.dbt_in_glue("show", killed_when=runs, deferrable=False, **FOREVER),
    }[place]
    with pytest.raises((AirflowException, AirflowTaskTimeout)):
        run()
    assert states() <= {"SUCCEEDED", "FAILED", "CANCELLED"}
    assert denied(local) == []


def test_queries_that_a_stopped_job_run_left_are_stopped(month, local):
    """By Airflow's role: the job run has ended, and with it whoever else could stop them."""
    from airflow_lakehouse_provider._airflow.compat import AirflowException

    athena, glue = local.client("athena"), local.client("glue")
    group, job, found, left = month.lakehouse.athena.work_group, month.lakehouse.dbt.glue_job, [], []

    def running():
        ids = athena.list_query_executions(WorkGroup=group)["QueryExecutionIds"][:50]
        queries = athena.batch_get_query_execution(QueryExecutionIds=ids)["QueryExecutions"]
        return [each for each in queries if each["Status"]["State"] == "RUNNING"]

    def stop():
        while not (queries := running()):
            time.sleep(0.2)
        found.append(queries[0]["Query"])  # with dbt's comment, by which it is found
        runs = [each["Id"] for each in glue.get_job_runs(JobName=job)["JobRuns"] if each["JobRunState"] == "RUNNING"]
        glue.batch_stop_job_run(JobName=job, JobRunIds=runs)

    def leave():
        left.append(athena.start_query_execution(QueryString=found[0], WorkGroup=group)["QueryExecutionId"])
        while left[0] not in [each["QueryExecutionId"] for each in running()]:
            time.sleep(0.2)

    stopping = threading.Thread(target=stop)
    stopping.start()
    with pytest.raises(AirflowException) as failed:
        month.dbt_in_glue("show", run_id="left", before_resuming=leave, **FOREVER)
    stopping.join()
    assert f"Athena queries stopped: {left[0]}" in str(failed.value)
    assert not running()
    assert denied(local) == []


def test_the_fence_is_taken_by_dbts_role_alone(session):
    airflow = ("airflow-host", "nyc-taxi-airflow")
    session(*airflow, "nyc-taxi-dbt", "nyc-taxi-dbt-fence")
    for others in (("admin",), ("ada",), airflow):
        with pytest.raises(ClientError, match="not authorized to perform: sts:AssumeRole"):
            session(*others, "nyc-taxi-dbt-fence")


def test_the_fence_writes_nowhere_but_beside_production(local, session):
    """The role alone, without the policy of the operator's session."""
    fence = session("airflow-host", "nyc-taxi-airflow", "nyc-taxi-dbt", "nyc-taxi-dbt-fence")
    s3, glue = local.client("s3", fence), local.client("glue", fence)
    (trips,) = locations(local, "fct_trips")
    keys = [each["Key"] for each in local.client("s3").list_objects_v2(Bucket="nyc-taxi-curated")["Contents"]]
    table = glue.get_table(DatabaseName=MARTS, Name="fct_trips")["Table"]
    changed = {name: table[name] for name in ("Name", "TableType", "PartitionKeys", "StorageDescriptor")}
    published = next(key for key in keys if key.startswith("publications/"))
    curated = {"Bucket": "nyc-taxi-curated"}
    for refused, lacks in (
        (lambda: s3.put_object(**curated, Key="nyc_taxi_marts/mine", Body=b"x"), "s3:PutObject"),
        (lambda: s3.put_object(**curated, Key="attempts/mine", Body=b"x"), "s3:PutObject"),
        (lambda: s3.put_object(**curated, Key=published, Body=b"x"), "s3:PutObject"),
        (lambda: s3.delete_object(**curated, Key=published), "s3:DeleteObject"),
        (lambda: s3.put_object(Bucket="nyc-taxi-cleaned", Key="trips/mine", Body=b"x"), "s3:PutObject"),
        (lambda: glue.update_table(DatabaseName=MARTS, TableInput=changed), "glue:UpdateTable"),
        (lambda: glue.delete_table(DatabaseName=MARTS, Name="fct_trips"), "glue:DeleteTable"),
        (lambda: glue.create_database(DatabaseInput={"Name": f"{MARTS}_mine"}), "glue:CreateDatabase"),
    ):
        with pytest.raises(ClientError, match=f"not authorized to perform: {lacks}"):
            refused()
    assert locations(local, "fct_trips") == {trips}


class Analyst:
    """Queries in the analysts' work group, by their role."""

    def __init__(self, local, credentials):
        self._athena = local.client("athena", credentials)
        self.s3 = local.client("s3", credentials)
        self.glue = local.client("glue", credentials)

    def query(self, sql):
        """State and reason."""
        started = self._athena.start_query_execution(QueryString=sql, WorkGroup="nyc-taxi-analysts")
        while True:
            found = self._athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
            if found["Status"]["State"] not in ("QUEUED", "RUNNING"):
                break
        if found["Status"]["State"] == "SUCCEEDED":
            self._athena.get_query_results(QueryExecutionId=started["QueryExecutionId"])
        return found["Status"]["State"], found["Status"].get("StateChangeReason", "")

    def look_and_stop(self):
        """Make the calls of a tool around a query: the work group's settings, the result file, stopping a query."""
        group = self._athena.get_work_group(WorkGroup="nyc-taxi-analysts")["WorkGroup"]["Configuration"]
        bucket, prefix = split_s3_uri(group["ResultConfiguration"]["OutputLocation"])
        kept = self.s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]
        self.s3.get_object(Bucket=bucket, Key=kept[0]["Key"])
        started = self._athena.start_query_execution(QueryString="SELECT 1", WorkGroup="nyc-taxi-analysts")
        self._athena.stop_query_execution(QueryExecutionId=started["QueryExecutionId"])


def test_analysts_read_the_marts_and_nothing_else(local, session):
    analyst = Analyst(local, session("ada", "nyc-taxi-analyst"))
    tables = analyst.glue.get_tables(DatabaseName="nyc_taxi_marts")["TableList"]
    facts = [table["Name"] for table in tables if table["Name"].startswith("fct_")]
    assert facts
    for table in facts:
        state, message = analyst.query(f"SELECT count(*) FROM nyc_taxi_marts.{table}")
        assert state == "SUCCEEDED", message
    analyst.look_and_stop()
    glue, audit = local.client("glue"), f"{MARTS}__audit_0123456789ab"
    glue.create_database(DatabaseInput={"Name": audit})
    dimension = glue.get_table(DatabaseName=MARTS, Name="dim_vendor")["Table"]
    copied = {name: dimension[name] for name in ("Name", "TableType", "Parameters", "StorageDescriptor")}
    glue.create_table(DatabaseName=audit, TableInput=copied)
    before = len(denied(local))
    for refused in (partial(analyst.glue.get_tables, DatabaseName=audit), analyst.glue.get_databases):
        with pytest.raises(ClientError, match="not authorized to perform: glue:Get"):
            refused()
    for forbidden, lacks in (
        (f"SELECT count(*) FROM {audit}.dim_vendor", "glue:GetTable"),
        ("SELECT count(*) FROM nyc_taxi_cleaned.trips", "glue:GetTable"),
        ("SELECT count(*) FROM nyc_taxi_cleaned.quarantine_trips", "glue:GetTable"),
        (f"DROP TABLE nyc_taxi_marts.{facts[0]}", "glue:DeleteTable"),
        (f"CREATE VIEW nyc_taxi_marts.mine AS SELECT 1 AS one FROM nyc_taxi_marts.{facts[0]}", "glue:CreateTable"),
        (f"INSERT INTO nyc_taxi_marts.{facts[0]} SELECT * FROM nyc_taxi_marts.{facts[0]}", "s3:PutObject"),
    ):
        state, message = analyst.query(forbidden)
        assert (state, lacks in message) == ("FAILED", True), (forbidden, message)
    s3 = local.client("s3")
    others = s3.list_objects_v2(Bucket="nyc-taxi-athena-results", Prefix="dbt/")["Contents"][0]["Key"]
    raw = s3.list_objects_v2(Bucket="nyc-taxi-raw")["Contents"][0]["Key"]
    for bucket, key in (("nyc-taxi-athena-results", others), ("nyc-taxi-raw", raw)):
        with pytest.raises(ClientError, match="not authorized to perform: s3:GetObject"):
            analyst.s3.get_object(Bucket=bucket, Key=key)
    with pytest.raises(ClientError, match="not authorized to perform: s3:PutObject"):
        analyst.s3.put_object(Bucket="nyc-taxi-curated", Key="mine", Body=b"x")
    assert len(denied(local)) > before


@pytest.fixture
def without(local):
    """``without(role, sid)``: the role less one statement, until the test's end."""
    iam, restored = local.client("iam"), []

    def less(role, sid):
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
            kept = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
            if statements := _less(kept, sid):
                own = {"RoleName": role, "PolicyName": name}
                restored.append(partial(iam.put_role_policy, **own, PolicyDocument=json.dumps(kept)))
                iam.put_role_policy(**own, PolicyDocument=_document(*statements))
                return
        for attached in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
            arn = attached["PolicyArn"]
            kept = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            document = iam.get_policy_version(PolicyArn=arn, VersionId=kept)["PolicyVersion"]["Document"]
            if statements := _less(document, sid):
                restored.append(partial(iam.set_default_policy_version, PolicyArn=arn, VersionId=kept))
                iam.create_policy_version(PolicyArn=arn, PolicyDocument=_document(*statements), SetAsDefault=True)
                return
        raise AssertionError(f"{role} has no statement {sid}")

    yield less
    for restore in restored:
        restore()


def _less(document, sid):
    """The statements without one; None where it is not among them."""
    left = [each for each in document["Statement"] if each["Sid"] != sid]
    return left if len(left) < len(document["Statement"]) else None


@pytest.mark.parametrize(
    ("role", "sid", "task", "lacked"),
    [
        ("airflow", "Jobs", "clean", r"glue:\w+ on resource: arn:aws:glue:\S+:job/clean-trips"),
        ("glue_job", "WriteCleaned", "clean", r"s3:\w+ on resource: \S*arn:aws:s3:::nyc-taxi-cleaned/"),
        ("crawler", "ReadFolders", "crawl", r"s3:GetObject on resource: \S*arn:aws:s3:::nyc-taxi-cleaned/"),
        ("dbt", "OwnCurated", "dbt", r"s3:\w+ on resource: \S*arn:aws:s3:::nyc-taxi-curated/"),
        ("dbt", "Fence", "beside", r"sts:AssumeRole on resource: arn:aws:iam::\d+:role/nyc-taxi-dbt-fence"),
        ("fence", "WriteGenerations", "beside", r"s3:\w+ on resource: \S*arn:aws:s3:::nyc-taxi-curated/generations/"),
    ],
)
def test_an_access_that_is_missing_is_told_by_the_operator(month, local, without, role, sid, task, lacked):
    """Return each denial: the role, the action and the resource."""
    from airflow_lakehouse_provider._airflow.compat import AirflowException

    def objects(bucket):
        pages = local.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = {each["Key"] for page in pages for each in page["Contents"]}
        # Documents of builds stay, also of those that failed.
        return {key for key in keys if not key.startswith("attempts/")}

    run = {
        "clean": month.clean,
        "crawl": month.crawl,
        "dbt": lambda: month.dbt("run", select="fct_trips", aws_conn_id="aws_dbt"),
        "beside": lambda: month.beside(f"without_{sid}", in_glue=False),
    }[task]
    before = objects("nyc-taxi-cleaned"), objects("nyc-taxi-curated")
    without(ROLES[role], sid)
    who = f"assumed-role/{ROLES[role]}/"
    with pytest.raises(AirflowException, match=rf"{who}\S+ is not authorized to perform: {lacked}"):
        run()
    assert (objects("nyc-taxi-cleaned"), objects("nyc-taxi-curated")) == before, "nothing lost, nothing half-written"


def test_a_missing_access_is_told_to_analyst_and_deployer(local, session, terraform, without):
    analyst = Analyst(local, session("ada", "nyc-taxi-analyst"))
    without(ROLES["analyst"], "ReadMarts")
    state, message = analyst.query("SELECT count(*) FROM nyc_taxi_marts.fct_trips")
    assert state == "FAILED"
    assert "assumed-role/nyc-taxi-analyst/" in message
    assert "not authorized to perform: s3:GetObject" in message
    without(ROLES["deployer"], "Jobs")
    planned = terraform.with_variables("plan", check=False)
    assert planned.returncode == 1
    assert "assumed-role/nyc-taxi-deployer/" in planned.stderr
    assert "glue:GetJob" in planned.stderr


def test_the_deployer_changes_and_destroys_it(terraform, local):
    before = denied(local)
    other = ["arn:aws:iam::123456789012:role/admin"]
    changes = {"tags": {"team": "data"}, "log_retention_days": 30, "airflow_principals": other}
    file = lakehouse_yaml(terraform)
    for old, new in (
        ("timeout_minutes: 60", "timeout_minutes: 90"),
        ("s3://nyc-taxi-cleaned ", "s3://nyc-taxi-cleaned/x "),
    ):
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
    terraform.with_variables("apply", "-auto-approve", dbt_bytes_scanned_cutoff=10**12, **changes)
    terraform.with_variables("apply", "-auto-approve", tags={}, analyst_principals=other, protect=False)
    terraform.with_variables("destroy", "-auto-approve")
    assert denied(local) == before
    left = {bucket["Name"] for bucket in local.client("s3").list_buckets()["Buckets"]}
    assert left == {"acme-terraform-state", "acme-logs"}


def test_each_grant_is_called_and_needed_or_aws_only(local, policies, repository):
    """Check each action on each resource of every role; docs/security.md explains the report."""
    entries = yaml.safe_load((repository / "infra" / "terraform" / "aws_only.yaml").read_text())
    used, wrong, counts = set(), [], {}
    for role, statements in policies.items():
        grants = Grants(role, f"{ARN}{ROLES[role]}", statements, judged(local))
        counts[role] = {"granted": 0, "called": 0, "aws_only": 0}
        for pair in grants.pairs():
            counts[role]["granted"] += 1
            entry = next((at for at, each in enumerate(entries) if excuses(each, pair)), None)
            if grants.is_needed(pair):
                counts[role]["called"] += 1
            elif entry is not None:
                used.add(entry)
                counts[role]["aws_only"] += 1
            else:
                wrong.append(f"{pair} is {'called but not needed' if grants.was_called(pair) else 'not called'}")
    print(json.dumps(counts))
    assert not wrong, "\n".join(wrong)
    stale = [each for at, each in enumerate(entries) if at not in used]
    assert not stale, f"aws_only.yaml has what is called, or granted no more: {stale}"
