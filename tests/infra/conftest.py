"""Terraform's own commands on a copy of infra/, against a local AWS in which nothing is made yet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lakehouse_local.process import LocalAwsProcess

# Of Terraform's implied mirrors, and of tools that bring a provider along: REGISTRY/hashicorp/aws/VERSION/PLATFORM/
_MIRRORS = (
    *(os.environ.get("LAKEHOUSE_TERRAFORM_MIRROR", "").split(os.pathsep)),
    "~/.terraform.d/plugins",
    "~/.local/share/terraform/plugins",
    "/usr/local/share/terraform/plugins",
    "/usr/share/terraform/plugins",
    "/opt/tf-plugins",
)


def _mirror() -> Path | None:
    for place in filter(None, _MIRRORS):
        folder = Path(place).expanduser()
        if any(folder.glob("*/hashicorp/aws/*/*/terraform-provider-aws*")):
            return folder
    return None


class Terraform:
    """A copy of the configuration, and the times that its commands took."""

    def __init__(self, folder: Path, environment: dict[str, str], variables: dict[str, Any]) -> None:
        self.folder, self.environment = folder, environment
        self.seconds: dict[str, float] = {}
        self.variables = variables

    def __call__(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        began = time.monotonic()
        ended = subprocess.run(
            ["terraform", *arguments], cwd=self.folder, env=self.environment, capture_output=True, text=True
        )
        self.seconds[arguments[0]] = round(time.monotonic() - began, 1)
        if check and ended.returncode not in (0, 2):
            raise AssertionError(f"terraform {' '.join(arguments)}\n{ended.stdout[-4000:]}\n{ended.stderr[-4000:]}")
        return ended

    def with_variables(self, command: str, *arguments: str, check: bool = True, **more: Any) -> Any:
        """A command that takes variables; ``more`` change those of this copy from now on."""
        self.variables |= more
        (self.folder / "test.auto.tfvars.json").write_text(json.dumps(self.variables))
        return self(command, "-input=false", "-no-color", *arguments, check=check)

    def changes(self, **more: Any) -> list[str]:
        """Return the changes of a plan, each with action and address; an empty list for none."""
        ended = self.with_variables("plan", "-detailed-exitcode", "-out=changes.tfplan", **more)
        if ended.returncode == 0:
            return []
        return [
            f"{'/'.join(each['change']['actions'])} {each['address']}"
            for each in self.show("changes.tfplan").get("resource_changes", ())
            if each["change"]["actions"] not in (["no-op"], ["read"])
        ] or ["outputs"]

    def keep_state_in(self, bucket: str) -> None:
        """Have its state in S3, as backend.tf.example shows, from now on."""
        example = (self.folder / "backend.tf.example").read_text()
        local_aws = "    use_path_style = true\n    skip_requesting_account_id = true\n"
        backend = example.replace("my-terraform-state", bucket).replace("    encrypt ", f"{local_aws}    encrypt ")
        (self.folder / "backend.tf").write_text(backend)
        self("init", "-input=false", "-no-color", "-reconfigure")

    def lakehouse(self, *arguments: str) -> str:
        """Return the output of the ``lakehouse`` command, with this copy's lakehouse.yaml and the same credentials."""
        config = self.folder.parents[1] / "example_dags" / "lakehouse.yaml"
        command = [sys.executable, "-m", "airflow_lakehouse_provider.cli", *arguments, "--config", str(config)]
        ended = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **self.environment})
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    def show(self, *plan: str) -> dict[str, Any]:
        shown: dict[str, Any] = json.loads(self("show", "-json", *plan).stdout)
        return shown

    def outputs(self) -> dict[str, Any]:
        return {name: each["value"] for name, each in json.loads(self("output", "-json").stdout).items()}


@pytest.fixture(scope="session")
def terraform_settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which terraform finds its provider without a registry."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    mirror = _mirror()
    if mirror is None:
        pytest.skip("no terraform-provider-aws is installed (LAKEHOUSE_TERRAFORM_MIRROR may name a mirror)")
    settings = tmp_path_factory.mktemp("terraform") / "cli.tfrc"
    settings.write_text(f'provider_installation {{\n  filesystem_mirror {{\n    path = "{mirror}"\n  }}\n}}\n')
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    return {**environment, "TF_CLI_CONFIG_FILE": str(settings), "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1"}


@pytest.fixture(scope="module")
def local(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalAwsProcess]:
    """A module's own; with ``ENFORCE_IAM = True`` in the module its calls are judged."""
    pytest.importorskip("moto", reason="needs the extra 'local'")
    enforce_iam = getattr(request.module, "ENFORCE_IAM", False)
    started = LocalAwsProcess(tmp_path_factory.mktemp("local") / "root", enforce_iam=enforce_iam, empty=True)
    yield started
    started.stop()


@pytest.fixture(scope="module")
def terraform(
    terraform_settings: dict[str, str],
    local: LocalAwsProcess,
    repository: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Terraform:
    """The configuration, initialised, for the local AWS."""
    copy = tmp_path_factory.mktemp("copy")
    for part in ("infra", "example_dags", "dbt_models"):
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*", "target", "logs", "__pycache__")
        shutil.copytree(repository / part, copy / part, ignore=ignored)
    variables = {
        "local_aws": True,
        "analyst_principals": ["arn:aws:iam::123456789012:role/ada"],
        "airflow_principals": ["arn:aws:iam::123456789012:role/airflow-host"],
        "alarm_emails": ["oncall@example.com"],
        "monthly_budget_usd": 100,
    }
    made = Terraform(copy / "infra" / "terraform", {**terraform_settings, **local.environment}, variables)
    made("init", "-input=false", "-no-color")
    return made


@pytest.fixture(scope="module")
def deployer(terraform: Terraform) -> Terraform:
    """The deployer's configuration, beside the same copy."""
    variables = {
        "local_aws": True,
        "principals": ["arn:aws:iam::123456789012:role/admin"],
        "ci": {"provider_url": "https://token.actions.githubusercontent.com", "subjects": ["repo:acme/lake:*"]},
        "state_bucket": "acme-terraform-state",
        "mwaa_environment": "lake",
        "may_delete_data": True,
    }
    made = Terraform(terraform.folder / "deployer", terraform.environment, variables)
    made("init", "-input=false", "-no-color")
    return made
