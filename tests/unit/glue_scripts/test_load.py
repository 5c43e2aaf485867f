"""A generated month through the whole script: the counts are those of the faults that the generator made."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("pyspark", reason="needs the extra 'local'")

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.month import Month

pytestmark = pytest.mark.spark


@pytest.mark.parametrize(
    ("service", "month", "file_format"),
    [
        ("green", "2019-06", "csv"),
        pytest.param("yellow", "2026-11", "parquet", marks=pytest.mark.slow),
        pytest.param("yellow", "2024-01", "parquet", marks=pytest.mark.slow),
        pytest.param("green", "2025-02", "parquet", marks=pytest.mark.slow),
        pytest.param("yellow", "2011-03", "parquet", marks=pytest.mark.slow),
        pytest.param("yellow", "2014-05", "csv", marks=pytest.mark.slow),
        pytest.param("yellow", "2016-08", "csv", marks=pytest.mark.slow),
        pytest.param("green", "2025-11", "parquet", marks=pytest.mark.slow),
    ],
)
def test_a_generated_month_has_the_counts_of_its_truth(lake, service, month, file_format):
    path = sample_data.write(service, Month.parse(month), 2_000, lake.raw().parent, file_format=file_format)
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    report = lake.load(service, month, path.name)
    (audit,) = lake.audit()
    assert report["quarantined"] == truth["reasons"]
    assert {mark: audit[f"suspect_{mark}"] for mark in truth["suspect"]} == truth["suspect"]
    assert (report["rows_read"], report["rows_kept"]) == (truth["rows"], truth["kept"])
    assert report["unknown_columns"] == (["request_source"] if month > "2026-05" else [])
    kept = lake.current("trips", service, month)
    assert len({row["trip_id"] for row in kept}) == len(kept) == truth["kept"] == audit["rows_kept"]
    assert sum(row["is_reversal"] for row in kept) == truth["reversals"]
