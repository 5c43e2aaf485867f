"""infra/docker, without a Docker engine: its files checked by the published schema, by hadolint and by one another."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import yaml


@pytest.fixture
def docker(repository):
    return repository / "infra" / "docker"


@pytest.fixture
def compose(docker):
    return yaml.safe_load((docker / "compose.yaml").read_text())


def test_it_is_a_compose_file(docker):
    checker = shutil.which("check-jsonschema")
    if checker is None:
        pytest.skip("check-jsonschema is not installed")
    subprocess.run([checker, "--builtin-schema", "vendor.compose-spec", str(docker / "compose.yaml")], check=True)


def test_hadolint_reports_nothing(docker):
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    subprocess.run([hadolint, str(docker / "Dockerfile")], check=True)


def test_only_the_web_ui_is_published_and_to_loopback_alone(compose):
    published = {name: each["ports"] for name, each in compose["services"].items() if "ports" in each}
    assert published == {"local-aws": ["127.0.0.1:8080:8080"]}
    # The local AWS answers loopback alone, so everyone lives in its network.
    others = {name: each.get("network_mode") for name, each in compose["services"].items() if name != "local-aws"}
    assert set(others.values()) == {"service:local-aws"}


def test_no_secret_is_written_down(docker, compose):
    text = (docker / "compose.yaml").read_text()
    for name in ("PASSWORD", "FERNET_KEY", "SECRET_KEY", "JWT_SECRET"):
        for value in re.findall(rf"\b\w*{name}: (.+)", text):
            assert value.startswith("${LAKEHOUSE_"), value
    made = set(re.findall(r"\$\{(LAKEHOUSE_\w+):\?", text))
    makefile = (docker / "Makefile").read_text()
    assert made == set(re.findall(r"echo \"(LAKEHOUSE_\w+)=", makefile))
    ignored = (docker / ".gitignore").read_text().split()
    assert {".env", ".passwords.json", "build/"} <= set(ignored)


def test_what_it_builds_is_there(docker, compose):
    targets = {each["build"]["target"] for each in compose["services"].values() if "build" in each}
    dockerfile = (docker / "Dockerfile").read_text()
    assert targets == set(re.findall(r"^FROM base AS (\S+)", dockerfile, re.MULTILINE))
    # Each copied file is one of a bundle's, or the wheel of lakehouse-local, which the Makefile puts beside it.
    from airflow_lakehouse_provider.mwaa import bundle

    copied = {name for line in re.findall(r"^COPY (.+) \S+$", dockerfile, re.MULTILINE) for name in line.split()}
    assert copied == {bundle.PLUGINS, bundle.REQUIREMENTS, bundle.STARTUP, bundle.DAGS.rstrip("/"), "local"}
    assert "--wheel-dir build/local $(LOCAL)" in (docker / "Makefile").read_text()
    assert "--find-links /opt/bundle/local" in dockerfile


def test_up_makes_secrets_of_its_own(docker, tmp_path):
    for name in ("Makefile", "compose.yaml"):
        shutil.copy(docker / name, tmp_path)
    subprocess.run(["make", ".env", ".passwords.json"], cwd=tmp_path, check=True, capture_output=True)
    lines = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    assert len({*lines.values()}) == 3
    assert "=" not in lines["LAKEHOUSE_DB_PASSWORD"]  # it stands in an address
    cryptography = pytest.importorskip("cryptography.fernet")
    cryptography.Fernet(lines["LAKEHOUSE_FERNET_KEY"].encode())
    before = (tmp_path / ".env").read_text()
    subprocess.run(["make", ".env"], cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / ".env").read_text() == before
