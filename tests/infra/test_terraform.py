"""infra/terraform applied to the local AWS, as a user applies it: the tests of this module follow one another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from airflow_lakehouse_provider.s3_uri import split_s3_uri

from .month import Month, lakehouse_yaml

pytestmark = [pytest.mark.slow, pytest.mark.infra]


def resources(module):
    """Yield the resources of a state's or plan's values, with the modules below."""
    yield from module.get("resources", ())
    for child in module.get("child_modules", ()):
        yield from resources(child)


def test_the_files_are_formatted_and_valid(terraform, deployer):
    assert terraform("fmt", "-check", "-recursive", check=False).stdout == ""
    for configuration in (terraform, deployer):
        assert json.loads(configuration("validate", "-json").stdout)["error_count"] == 0


@pytest.mark.parametrize(
    ("variables", "parts"),
    [
        ({"encryption": "none"}, ["SSE-S3 or SSE-KMS"]),
        ({"existing_zones": ["bronze"]}, ["existing_zones may hold"]),
        ({"analyst_principals": ["*"]}, ["analyst_principals", "open the role to everyone"]),
        ({"analyst_bytes_scanned_cutoff": 1}, ["10485760"]),
        ({"log_retention_days": 31}, ["one of CloudWatch's"]),
        ({"attempts_expire_after_days": 1}, ["attempts_expire_after_days must be at least 2", "24 hours"]),
        ({"success_by_day": 20}, ["success_by_day is 20", "schedule's day (5)"]),
        ({"mwaa": {"name": "m", "subnet_ids": ["subnet-1"]}}, ["two private subnets"]),
        ({"mwaa": {"name": "m", "subnet_ids": ["a", "b"], "airflow_version": "2.9.2"}}, ["3.0.6"]),
        ({"mwaa": {"name": "m", "subnet_ids": ["a", "b"], "maintenance_window": "SUN:3"}}, ["SUN:03:30"]),
    ],
)
def test_bad_variables_are_refused_in_a_sentence(terraform, variables, parts):
    kept = dict(terraform.variables)
    refused = terraform.with_variables("plan", check=False, **variables)
    terraform.variables = kept
    output = " ".join(refused.stderr.replace("│", " ").split())
    assert refused.returncode == 1
    assert all(part in output for part in parts), output


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (("s3://nyc-taxi-curated ", "s3://nyc-taxi-athena-results/marts "), "zones.curated lies under zones.results"),
        (("s3://nyc-taxi-curated ", "s3://nyc-taxi-cleaned/marts "), "no zone may lie inside another"),
        (("iam::123456789012", "iam::210987654321"), "the credentials are of account 123456789012"),
        (('version: "5.1"', 'version: "4.0"'), "must be 5.0 or 5.1"),
        (("project: ../dbt_models", "project: s3://code/dbt"), "dbt_requirements_file"),
        (("timeout_minutes: 60", "timeout_minutes: 20000"), "from 1 to 10080"),
        (
            ("123456789012:role/nyc-taxi-dbt-fence", "210987654321:role/nyc-taxi-dbt-fence"),
            "must be the ARN of an IAM role of account 123456789012",
        ),
        (("role/nyc-taxi-dbt-fence", "role/nyc-taxi-dbt "), "is the role of a job or of dbt itself"),
    ],
)
def test_a_yaml_that_cannot_be_is_refused_in_a_sentence(terraform, change, part):
    file = lakehouse_yaml(terraform)
    other = file.with_name("other.yaml")
    assert change[0] in file.read_text()
    other.write_text(file.read_text().replace(*change))
    kept = dict(terraform.variables)
    refused = terraform.with_variables("plan", check=False, lakehouse_file=str(other))
    terraform.variables = kept
    assert refused.returncode == 1
    assert part in " ".join(refused.stderr.replace("│", " ").split()), refused.stderr


def test_another_environment_is_one_more_file(terraform, local):
    """Prefixes in shared buckets, a raw bucket that is there, a key, access logs, dbt in Glue, an MWAA environment."""
    local.client("s3").create_bucket(Bucket="shared-raw")
    subnets = local.client("ec2").describe_subnets()["Subnets"]
    zones = {each["AvailabilityZone"]: each["SubnetId"] for each in subnets}
    content = yaml.safe_load(lakehouse_yaml(terraform).read_text())
    content["zones"] = {
        "raw": "s3://shared-raw/taxi",
        "cleaned": "s3://lake/cleaned",
        "curated": "s3://lake/curated",
        "results": "s3://lake/results",
        "artifacts": "s3://lake-code/x",
    }
    content["glue"]["role"] = "arn:aws:iam::123456789012:role/team/lake-glue"
    content["dbt"]["fence_role"] = "arn:aws:iam::123456789012:role/fences/lake"
    content["dbt"]["glue_job"] = "lake-dbt"
    other = lakehouse_yaml(terraform).with_name("prod.yaml")
    other.write_text(yaml.safe_dump(content))
    kept = dict(terraform.variables)
    terraform.with_variables(
        "plan",
        "-out=other.tfplan",
        lakehouse_file=str(other),
        existing_zones=["raw"],
        encryption="SSE-KMS",
        access_log_bucket="logs",
        mwaa={"name": "lake", "subnet_ids": list(zones.values())[:2]},
    )
    terraform.variables = kept
    planned = resources(terraform.show("other.tfplan")["planned_values"]["root_module"])
    made = {each["address"]: each.get("values", {}) for each in planned}
    buckets = {each["bucket"] for address, each in made.items() if ".aws_s3_bucket.zone" in address}
    assert buckets == {"lake", "lake-code"}
    assert made["module.mwaa[0].aws_mwaa_environment.airflow"]["dag_s3_path"] == "x/mwaa/dags"
    assert made['module.access.aws_iam_role.role["dbt"]']["path"] == "/team/"
    assert made['module.access.aws_iam_role.fence["fence"]']["path"] == "/fences/"
    arguments = made["module.glue.aws_glue_job.dbt[0]"]["default_arguments"]
    assert arguments["--additional-python-modules"].startswith("dbt-core==")
    expiring = [
        rule["filter"][0]["prefix"]
        for rule in made['module.storage.aws_s3_bucket_lifecycle_configuration.zone["lake"]']["rule"]
        if rule["expiration"] and rule["expiration"][0].get("days")
    ]
    # Neither publications/ nor generations/ nor roots/ of the curated zone.
    assert sorted(expiring) == ["cleaned/_staging/", "curated/attempts/", "results/"]
    local.client("s3").delete_bucket(Bucket="shared-raw")


def test_without_a_fence_there_is_no_gate(terraform):
    content = yaml.safe_load(lakehouse_yaml(terraform).read_text())
    del content["dbt"]["fence_role"]
    other = lakehouse_yaml(terraform).with_name("unfenced.yaml")
    other.write_text(yaml.safe_dump(content))
    kept = dict(terraform.variables)
    terraform.with_variables("plan", "-out=unfenced.tfplan", lakehouse_file=str(other))
    terraform.variables = kept
    planned = resources(terraform.show("unfenced.tfplan")["planned_values"]["root_module"])
    policies = {each["index"]: each["values"]["policy"] for each in planned if each["type"] == "aws_iam_role_policy"}
    assert set(policies) == {"airflow", "glue_job", "crawler", "dbt", "analyst"}
    assert "__audit_*" not in "".join(policies.values())
    assert "sts:AssumeRole" not in policies["dbt"]


def test_the_deployer_and_the_boundary_come_first(terraform, deployer):
    deployer.with_variables("apply", "-auto-approve")
    assert deployer.changes() == []
    terraform.variables["permissions_boundary"] = deployer.outputs()["permissions_boundary"]
    made = resources(deployer.show()["values"]["root_module"])
    policies = [each["values"] for each in made if each["type"] == "aws_iam_policy"]
    assert len(policies) == 4
    assert all(len(each["policy"]) <= 6144 for each in policies)  # IAM's limit


def test_the_docs_tables_are_of_these_policies(terraform, local, repository):
    subnets = [each["SubnetId"] for each in local.client("ec2").describe_subnets()["Subnets"]][:2]
    kept = dict(terraform.variables)
    mwaa = {"name": "nyc-taxi", "subnet_ids": subnets}
    terraform.with_variables("plan", "-out=docs.tfplan", mwaa=mwaa)
    terraform.variables = kept
    shown = json.dumps(terraform.show("docs.tfplan"))
    script = repository / "infra" / "terraform" / "policy_table.py"
    made = subprocess.run([sys.executable, str(script)], input=shown, capture_output=True, text=True, check=True).stdout
    page = repository / "docs" / "security.md"
    before, begin, rest = page.read_text().partition("<!-- policies: infra/terraform/policy_table.py -->\n")
    written, end, after = rest.partition("<!-- end of policies -->")
    assert begin
    assert end
    if os.environ.get("LAKEHOUSE_WRITE_DOCS"):
        page.write_text(f"{before}{begin}\n{made.strip()}\n\n{end}{after}")
    else:
        assert written.strip() == made.strip(), "LAKEHOUSE_WRITE_DOCS=1 make infra-test writes them anew"


def test_apply_then_the_plan_is_empty(terraform, record_property):
    terraform.with_variables("apply", "-auto-approve")
    record_property("apply_seconds", terraform.seconds["apply"])
    assert terraform.changes() == []
    record_property("plan_seconds", terraform.seconds["plan"])


def test_what_was_made_is_what_the_yaml_names(terraform, local):
    named = yaml.safe_load(lakehouse_yaml(terraform).read_text())
    glue, athena = local.client("glue"), local.client("athena")
    job = glue.get_job(JobName=named["glue"]["job"])["Job"]
    assert (job["Role"], job["MaxRetries"]) == (named["glue"]["role"], 0)
    assert job["DefaultArguments"]["--job-bookmark-option"] == "job-bookmark-disable"
    crawler = glue.get_crawler(Name=named["glue"]["crawler"])["Crawler"]
    assert "InheritFromTable" in crawler["Configuration"]
    assert "Schedule" not in crawler
    enforced = {
        name: athena.get_work_group(WorkGroup=name)["WorkGroup"]["Configuration"]["EnforceWorkGroupConfiguration"]
        for name in terraform.outputs()["work_groups"].values()
    }
    assert enforced == {named["athena"]["work_group"]: False, "nyc-taxi-analysts": True}
    s3 = local.client("s3")
    for uri in named["zones"].values():
        bucket, _ = split_s3_uri(uri)
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"
        assert all(s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"].values())
        assert "SecureTransport" in s3.get_bucket_policy(Bucket=bucket)["Policy"]


def test_job_and_crawler_are_those_of_lakehouse_local(terraform, local):
    """`lakehouse local` makes by API what Terraform makes: the two must not drift apart."""
    from airflow_lakehouse_provider import provision
    from airflow_lakehouse_provider.config import Lakehouse

    lakehouse = Lakehouse.load(lakehouse_yaml(terraform))
    requests = {}

    class Recorder:
        def __getattr__(self, operation):
            return lambda **arguments: requests.setdefault((operation, arguments["Name"]), arguments)

    provision._job(Recorder(), lakehouse)
    provision._dbt_job(Recorder(), lakehouse)
    provision._crawler(Recorder(), lakehouse)
    glue = local.client("glue")
    same = ("Command", "GlueVersion", "WorkerType", "NumberOfWorkers", "Timeout", "MaxRetries", "ExecutionProperty")
    for name in (lakehouse.glue.job, lakehouse.dbt.glue_job):
        job, wanted = glue.get_job(JobName=name)["Job"], requests["create_job", name]
        assert {key: job[key] for key in same} == {key: wanted[key] for key in same}
        assert wanted["DefaultArguments"].items() <= job["DefaultArguments"].items()
    crawler = glue.get_crawler(Name=lakehouse.glue.crawler)["Crawler"]
    wanted = requests["create_crawler", lakehouse.glue.crawler]
    assert {each["Path"] for each in crawler["Targets"]["S3Targets"]} == {
        each["Path"] for each in wanted["Targets"]["S3Targets"]
    }
    assert json.loads(crawler["Configuration"]) == json.loads(wanted["Configuration"])
    for key in ("DatabaseName", "SchemaChangePolicy", "RecrawlPolicy"):
        assert crawler[key] == wanted[key], key


def test_the_fence_is_that_of_lakehouse_local(terraform):
    """The same accesses, though `lakehouse local` trusts the account: whoever runs dbt there may do anything."""
    from airflow_lakehouse_provider.config import Lakehouse
    from airflow_lakehouse_provider.provision import fence_policy

    def accesses(policy):
        return {
            (action, resource, json.dumps(statement.get("Condition", {}), sort_keys=True))
            for statement in policy["Statement"]
            for action in _list(statement["Action"])
            for resource in _list(statement["Resource"])
        }

    made = resources(terraform.show()["values"]["root_module"])
    address = 'module.access.aws_iam_role_policy.role["fence"]'
    (policy,) = (json.loads(each["values"]["policy"]) for each in made if each["address"] == address)
    assert accesses(policy) == accesses(fence_policy(Lakehouse.load(lakehouse_yaml(terraform))))


def _list(value):
    return [value] if isinstance(value, str) else value


def test_no_role_may_do_everything(terraform, deployer):
    """No action with a star, and a star for a resource only where AWS has nothing else; every role in its boundary."""
    # Of AWS's service authorization reference: actions that take no resource.
    of_no_resource = {
        *("s3:GetAccountPublicAccessBlock", "logs:DescribeLogGroups", "cloudwatch:PutMetricData", "kms:CreateKey"),
        *("kms:ListAliases", "sns:GetSubscriptionAttributes", "sns:Unsubscribe"),
    }
    found = [
        each
        for configuration in (terraform, deployer)
        for each in resources(configuration.show()["values"]["root_module"])
    ]
    kinds = ("aws_iam_role_policy", "aws_iam_policy")
    policies = {each["address"]: json.loads(each["values"]["policy"]) for each in found if each["type"] in kinds}
    assert len(policies) == 10
    for address, policy in policies.items():
        for statement in policy["Statement"]:
            actions, places = (_list(value) for value in (statement["Action"], statement.get("Resource", ())))
            assert not [action for action in actions if "*" in action], (address, statement)
            if "*" in places:
                harmless = [action for action in actions if action.startswith("ec2:Describe")]
                assert set(actions) <= {*of_no_resource, *harmless}, (address, statement)
    roles = [each["values"] for each in found if each["type"] == "aws_iam_role" and "deployer" not in each["address"]]
    bounded = {role["name"] for role in roles if role["permissions_boundary"]}
    assert bounded == {role["name"] for role in roles} - {"nyc-taxi-deployer"}


def test_checkov_finds_nothing(terraform, deployer):
    checkov = os.environ.get("LAKEHOUSE_CHECKOV") or shutil.which("checkov")
    if checkov is None:
        pytest.skip("checkov is not installed (LAKEHOUSE_CHECKOV may name it)")
    environment = {**os.environ, "LOG_LEVEL": "ERROR"}

    def scan(*arguments):
        ended = subprocess.run(
            [checkov, "--quiet", "--compact", *arguments], capture_output=True, text=True, env=environment
        )
        assert ended.returncode == 0, ended.stdout
        return ended.stdout

    output = [scan("--directory", str(terraform.folder), "--framework", "terraform")]
    for configuration in (terraform, deployer):
        # Everything anew: only what a plan makes is looked at.
        configuration("plan", "-input=false", "-state=none.tfstate", "-out=all.tfplan")
        plan = configuration.folder / "all.json"
        plan.write_text(json.dumps(configuration.show("all.tfplan")))
        enriched = ("--repo-root-for-plan-enrichment", str(configuration.folder))
        output.append(scan("--file", str(plan), "--framework", "terraform_plan", *enriched))
    print("".join(output))


def test_an_update_then_the_plan_is_empty_again(terraform, local):
    changes = {"log_retention_days": 30, "analyst_bytes_scanned_cutoff": 10485760, "monthly_budget_usd": 50}
    expected = {"aws_cloudwatch_log_group.job", "aws_athena_workgroup.analysts", "aws_budgets_budget.month"}
    planned = terraform.changes(**changes)
    assert {each.partition(".")[2].partition(".")[2].partition("[")[0] for each in planned} == expected, planned
    assert all(each.startswith("update ") for each in planned)
    # Of lakehouse.yaml too: more workers.
    file = lakehouse_yaml(terraform)
    file.write_text(file.read_text().replace("workers: 4", "workers: 6"))
    terraform.with_variables("apply", "-auto-approve")
    assert local.client("glue").get_job(JobName="clean-trips")["Job"]["NumberOfWorkers"] == 6
    assert terraform.changes() == []


def test_the_code_is_uploaded_by_sync(terraform, tmp_path):
    bundle, tfvars = str(tmp_path / "bundle"), terraform.folder / "mwaa.auto.tfvars.json"
    terraform.lakehouse("mwaa", "bundle", "--out", bundle)
    assert "+ glue_scripts/clean_trips.py" in terraform.lakehouse("mwaa", "sync", bundle, "--dry-run")
    terraform.lakehouse("mwaa", "sync", bundle, "--tfvars", str(tfvars))
    assert "0 new and 0 changed" in terraform.lakehouse("mwaa", "sync", bundle, "--dry-run")
    versions = json.loads(tfvars.read_text())["mwaa_object_versions"]
    assert set(versions) == {"plugins", "requirements", "startup_script"}
    assert all(versions.values())
    assert terraform.changes() == []  # there is no environment that they could change


@pytest.mark.spark
def test_a_month_runs_on_it(terraform, local, tmp_path, monkeypatch):
    for name, value in local.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", "aws://")
    month = Month(terraform, local)
    month.upload_raw(tmp_path)
    month.clean()
    month.crawl()
    built = month.dbt("build")
    assert local.client("s3").list_objects_v2(Bucket="nyc-taxi-curated")["KeyCount"] > 0
    again = month.dbt_in_glue("run")
    assert 0 < again["counts"]["success"] < built["counts"]["success"]  # the seeds were built once
    groups = {each["logGroupName"] for each in local.client("logs").describe_log_groups()["logGroups"]}
    assert not {group for group in groups if group.startswith("/aws-glue/jobs")}
    assert terraform.changes() == []


def test_protected_it_survives_a_destroy(terraform, local):
    s3 = local.client("s3")
    for bucket in s3.list_buckets()["Buckets"]:
        s3.put_object(Bucket=bucket["Name"], Key="kept", Body=b"x")
    terraform.with_variables("apply", "-auto-approve", protect=True)
    # Not all of it: the roles and the job go, and nothing that holds data.
    refused = terraform.with_variables("destroy", "-auto-approve", check=False)
    assert refused.returncode == 1
    assert "BucketNotEmpty" in refused.stderr
    for bucket in s3.list_buckets()["Buckets"]:
        assert s3.head_object(Bucket=bucket["Name"], Key="kept")
    assert len(s3.list_buckets()["Buckets"]) == 5
    databases = {each["Name"] for each in local.client("glue").get_databases()["DatabaseList"]}
    assert {"nyc_taxi_cleaned", "nyc_taxi_marts"} <= databases


def test_destroy_leaves_nothing(terraform, deployer, local, record_property):
    terraform.with_variables("apply", "-auto-approve", protect=False)
    terraform.with_variables("destroy", "-auto-approve")
    record_property("destroy_seconds", terraform.seconds["destroy"])
    deployer.with_variables("destroy", "-auto-approve")
    print(terraform.seconds)
    assert local.client("s3").list_buckets()["Buckets"] == []
    glue = local.client("glue")
    assert glue.get_databases()["DatabaseList"] == []
    assert glue.get_jobs()["Jobs"] == []
    assert glue.get_crawlers()["Crawlers"] == []
    assert [each["Name"] for each in local.client("athena").list_work_groups()["WorkGroups"]] == ["primary"]
    iam = local.client("iam")
    assert iam.list_roles()["Roles"] == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert local.client("events").list_rules()["Rules"] == []
    assert local.client("sns").list_topics()["Topics"] == []
    groups = [each["logGroupName"] for each in local.client("logs").describe_log_groups()["logGroups"]]
    assert [group for group in groups if not group.startswith("/aws-glue/crawlers")] == []
