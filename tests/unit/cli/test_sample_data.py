"""`lakehouse sample-data` as a user types it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

pytest.importorskip("pyarrow", reason="needs the extra 'local'")

import pyarrow.parquet as pq

from airflow_lakehouse_provider.cli.main import lakehouse


def run(tmp_path, **changes):
    given = {
        "service": "yellow",
        "month": "2024-01",
        "rows": "1200",
        "out": str(tmp_path / "new" / "folder"),
        **changes,
    }
    options = [part for name, value in given.items() if value is not None for part in (f"--{name}", value)]
    return CliRunner().invoke(lakehouse, ["sample-data", *options])


def test_it_says_where_the_file_is_and_what_a_correct_load_keeps(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    path = tmp_path / "new" / "folder" / "yellow_tripdata_2024-01.parquet"
    truth = json.loads(path.with_suffix(".truth.json").read_text())
    assert pq.read_metadata(path).num_rows == 1200
    assert f"{path}: 1,200 rows, of which a correct load keeps {truth['kept']:,}" in result.output.replace("\n", "")


def test_format_and_seed(tmp_path):
    assert run(tmp_path, format="csv", seed="7").exit_code == 0
    assert (tmp_path / "new" / "folder" / "yellow_tripdata_2024-01.csv").exists()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"service": "blue"}, "'blue' is not one of 'yellow', 'green'"),
        ({"month": "2024-13"}, "13"),
        ({"month": "24-01"}, "24-01"),
        ({"month": "2010-01"}, "month must be from 2011-01 to 2027-12, not 2010-01"),
        ({"rows": "0"}, "0 is not in the range"),
        ({"rows": "many"}, "'many' is not a valid integer"),
        ({"rows": None}, "Missing option '--rows'"),
        ({"format": "orc"}, "'orc' is not one of 'parquet', 'csv'"),
        ({"seed": "-1"}, "-1 is not in the range"),
    ],
)
def test_bad_values_are_refused_by_name_and_nothing_is_written(tmp_path, changes, sentence):
    result = run(tmp_path, **changes)
    assert result.exit_code != 0
    assert sentence in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    result = run(tmp_path, out=str(tmp_path / "file" / "below"))
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert "choose another --out" in result.output
