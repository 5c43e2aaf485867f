"""`lakehouse mwaa sync` against the local AWS."""

from __future__ import annotations

import json
import uuid

import pytest
from click.testing import CliRunner

pytest.importorskip("moto", reason="needs the extra 'local'")

from airflow_lakehouse_provider.cli.main import lakehouse

FILES = {
    "glue_scripts/clean.py": "print(1)",
    "mwaa/dags/d.py": "",
    "mwaa/plugins.zip": "z",
    "mwaa/requirements.txt": "r",
    "mwaa/startup.sh": "s",
}


@pytest.fixture
def zone(boto):
    name = f"code-{uuid.uuid4().hex[:16]}"
    boto("s3").create_bucket(Bucket=name)
    boto("s3").put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


@pytest.fixture
def folder(tmp_path):
    for name, content in FILES.items():
        path = tmp_path / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return tmp_path / "bundle"


@pytest.fixture
def sync(local_aws, repository, tmp_path, folder, zone, monkeypatch):
    for name, value in local_aws.environment.items():
        monkeypatch.setenv(name, value)
    config = tmp_path / "lakehouse.yaml"
    text = (repository / "example_dags" / "lakehouse.yaml").read_text()
    config.write_text(text.replace("s3://nyc-taxi-artifacts", f"s3://{zone}/x"))

    def run(*arguments):
        return CliRunner().invoke(lakehouse, ["mwaa", "sync", str(folder), "--config", str(config), *arguments])

    return run


def keys(boto, zone):
    return {each["Key"] for each in boto("s3").list_objects_v2(Bucket=zone).get("Contents", ())}


def test_only_the_difference_is_uploaded(sync, boto, zone, folder, tmp_path):
    dry = sync("--dry-run")
    assert dry.exit_code == 0, dry.output
    assert "Would upload 5 new and 0 changed" in dry.output
    assert keys(boto, zone) == set()
    tfvars = tmp_path / "mwaa.auto.tfvars.json"
    assert "Uploaded 5 new" in sync("--tfvars", str(tfvars)).output
    assert keys(boto, zone) == {f"x/{name}" for name in FILES}
    first = json.loads(tfvars.read_text())["mwaa_object_versions"]
    (folder / "mwaa" / "plugins.zip").write_text("another")
    (folder / "mwaa" / "dags" / "d.py").unlink()
    changed = sync("--tfvars", str(tfvars))
    assert "~ mwaa/plugins.zip" in changed.output
    assert "- mwaa/dags/d.py" in changed.output
    assert "0 new and 1 changed" in changed.output
    second = json.loads(tfvars.read_text())["mwaa_object_versions"]
    assert second["plugins"] != first["plugins"]
    assert (second["requirements"], second["startup_script"]) == (first["requirements"], first["startup_script"])
    assert "x/mwaa/dags/d.py" in keys(boto, zone)
    sync("--delete")
    assert "x/mwaa/dags/d.py" not in keys(boto, zone)


def test_scripts_alone(sync, boto, zone):
    assert sync("--part", "scripts").exit_code == 0
    assert keys(boto, zone) == {"x/glue_scripts/clean.py"}


def test_a_bucket_that_is_not_versioned(sync, boto, zone):
    boto("s3").put_bucket_versioning(Bucket=zone, VersioningConfiguration={"Status": "Suspended"})
    ended = sync()
    assert ended.exit_code == 1
    assert "is not versioned" in ended.output
    assert keys(boto, zone) == set()


def test_a_bucket_that_is_missing(sync, boto, zone):
    boto("s3").delete_bucket(Bucket=zone)
    ended = sync()
    assert ended.exit_code == 1
    assert "NoSuchBucket" in ended.output
    assert "lakehouse local" in ended.output


def test_a_folder_that_holds_no_bundle(sync, folder):
    for name in FILES:
        (folder / name).unlink()
    assert "lakehouse mwaa bundle" in sync().output
