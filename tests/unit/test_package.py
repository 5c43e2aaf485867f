"""The public face: what can be imported, at what cost, and what Airflow is told."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest

import airflow_lakehouse_provider


def test_the_exported_names():
    assert airflow_lakehouse_provider.__all__ == [
        "CrawlerCompletionSensor",
        "DbtAthenaOperator",
        "GlueMonthlyJobOperator",
        "Lakehouse",
        "Month",
        "PublishOperator",
        "RollbackOperator",
        "SweepOperator",
        "gated_dbt",
    ]
    for name in airflow_lakehouse_provider.__all__:
        assert getattr(airflow_lakehouse_provider, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'GlueYearlyJobOperator'"):
        _ = airflow_lakehouse_provider.GlueYearlyJobOperator


@pytest.mark.parametrize(
    "imported",
    ["airflow_lakehouse_provider", "airflow_lakehouse_provider.config", "airflow_lakehouse_provider.cli.main"],
)
def test_importing_imports_no_airflow_and_nothing_heavy(imported):
    code = f"import sys, {imported}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"airflow", "boto3", "botocore", "pandas", "pyarrow", "pyspark", "duckdb", "dbt", "moto"} & set(loaded)


def test_airflow_finds_the_provider():
    (found,) = [e for e in entry_points(group="apache_airflow_provider") if "lakehouse" in e.value]
    info = found.load()()
    assert info["package-name"] == "airflow-lakehouse-provider"
    assert info["versions"] == [airflow_lakehouse_provider.__version__] == [version("airflow-lakehouse-provider")]
    assert {"name", "description"} <= set(info)
