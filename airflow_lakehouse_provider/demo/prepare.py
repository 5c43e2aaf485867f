"""The preparations of a demo: its copy of lakehouse.yaml and the DAG, the local AWS's resources, and raw files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pendulum
import pyarrow.parquet as pq
import yaml

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.demo.errors import DemoError
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.provision import provision
from airflow_lakehouse_provider.s3_uri import split_s3_uri
from lakehouse_local import LocalAws

DAG_ID = "nyc_taxi_monthly"
_DAG_FILE = f"{DAG_ID}.py"
_MARKER = ".lakehouse-demo"


@dataclass(frozen=True)
class RawFile:
    """A raw file in the raw zone; ``rows`` is None when it cannot be read."""

    service: str
    month: Month
    uri: str
    rows: int | None


def empty_root(root: Path) -> None:
    """Empty the directory of an earlier demo, or create one.

    :raises DemoError: when it holds files that no demo wrote; they stay
    """
    root.mkdir(parents=True, exist_ok=True)
    marker = root / _MARKER
    if not marker.exists() and any(root.iterdir()):
        raise DemoError(f"{root} holds files that no demo wrote, and nothing is overwritten: choose another --root")
    marker.touch()
    for each in root.iterdir():
        if each.is_dir():
            shutil.rmtree(each)
        elif each != marker:
            each.unlink()


def write_dags(config: Path, dbt_executable: Path, dags: Path) -> Lakehouse:
    """Copy the DAG, with a lakehouse.yaml that polls quickly, retries nothing and schedules nothing."""
    lakehouse = Lakehouse.load(config)
    dag = config.parent / _DAG_FILE
    if not dag.is_file():
        raise DemoError(f"{dag} is missing: the demo runs the DAG beside lakehouse.yaml (`lakehouse init` writes one)")
    content: dict[str, Any] = yaml.safe_load(config.read_text(encoding="utf-8"))
    content["dbt"] |= {"project": lakehouse.dbt.project, "executable": str(dbt_executable)}
    # No scheduled run beside the demo's own: the first would be next month's.
    content["schedule"] |= {"start": pendulum.now("UTC").format("YYYY-MM"), "catchup": False, "retries": 0}
    content["poll_seconds"] = 3
    dags.mkdir(parents=True)
    (dags / "lakehouse.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    shutil.copyfile(dag, dags / _DAG_FILE)
    return Lakehouse.load(dags / "lakehouse.yaml")


def create_resources(local: LocalAws, lakehouse: Lakehouse, config: Path) -> None:
    """Create the resources of lakehouse.yaml, with the Glue script beside the DAG's folder, else the starter's."""
    scripts = config.resolve().parent.parent / "glue_scripts"
    provision(local.endpoint, lakehouse, glue_scripts=scripts if scripts.is_dir() else None)


def put_raw_files(
    environment: Mapping[str, str],
    lakehouse: Lakehouse,
    months: Sequence[Month],
    rows: int,
    folder: Path,
    corrupt: bool,
) -> list[RawFile]:
    """Upload a generated file of every service and month to the raw zone; the first one is broken if ``corrupt``."""
    s3 = boto3.Session(environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]).client(
        "s3", endpoint_url=environment["AWS_ENDPOINT_URL"], region_name=lakehouse.region
    )
    folder.mkdir(parents=True)
    found: list[RawFile] = []
    for month in months:
        for service in lakehouse.services:
            file = sample_data.write(service, month, rows, folder)
            written: int | None = pq.read_metadata(file).num_rows
            if corrupt and not found:
                _corrupt(file)
                written = None
            uri = lakehouse.raw_uri(service, month)
            bucket, key = split_s3_uri(uri)
            s3.upload_file(str(file), bucket, key)
            file.unlink()
            found.append(RawFile(service, month, uri, written))
    return found


def _corrupt(file: Path) -> None:
    # Cut in the middle, as by an interrupted upload: the footer, and with it the schema, is missing.
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2])
