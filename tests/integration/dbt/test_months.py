"""The dbt project, built by the real dbt through the operator on the local AWS, over a small cleaned zone."""

from __future__ import annotations

import datetime
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException

NO_UNIT_TESTS = ["--exclude-resource-type", "unit_test"]
JANUARY = {"year": 2024, "month": 1}
FEBRUARY = {"year": "2024", "month": "02"}
MARCH = {"year": 2024, "month": 3}


@pytest.fixture(scope="module")
def january(warehouse):
    """The result of January's build, from a cleaned zone with superseded, refused and killed loads."""
    cleaned = warehouse.cleaned
    cleaned.load(2024, 1, [{}] * 9, at=1)  # superseded by the next
    back = {"total_amount": Decimal("-13.50"), "is_reversal": True}
    cash = {"payment_type_id": 2, "tip_amount": None}
    strange = {"vendor_id": 99, "pickup_location_id": None, "passenger_count": None, "trip_type_id": None}
    meter_left_on = {"dropoff_at": datetime.datetime(2024, 1, 3, 23, 30), "suspect": ["duration_long"]}
    ended_before = {"dropoff_at": datetime.datetime(2024, 1, 3, 9, 50), "suspect": ["clock_change"]}
    cleaned.load(2024, 1, [{}, back, cash, strange, meter_left_on, ended_before], rejected=2, at=2)
    cleaned.load(2024, 1, [{}] * 7, at=3, status="refused")
    cleaned.load(2024, 1, [{}] * 5, at=4, status="never committed")  # a run that was killed
    cleaned.load(2024, 2, [{"trip_distance": 3.5}] * 4, at=5)
    return warehouse.dbt("build", vars=JANUARY, flags=NO_UNIT_TESTS)


def test_a_month_is_built_and_passes_its_tests(warehouse, january):
    assert january["success"]
    # A vendor that no list has, and a later try that was refused
    assert january["counts"].get("warn", 0) == 2, [node for node in january["nodes"] if node["status"] == "warn"]
    (fact,) = [node for node in january["nodes"] if node["unique_id"] == "model.nyc_taxi.fct_trips"]
    assert fact["query_id"]
    partitions = warehouse.partitions("fct_trips")
    assert ("2024", "1") in partitions
    assert ("2024", "2") not in partitions
    assert warehouse.query(
        "select pickup_location_id, vendor_id, payment_type_id, is_reversal, is_suspect, is_airport_trip,"
        " duration_minutes, average_mph, tip_share, pickup_date, total_amount"
        " from fct_trips where year = 2024 and month = 1"
        " order by duration_minutes, vendor_id, payment_type_id, total_amount"
    ) == [
        ("132", "2", "1", "false", "true", "true", "-10.0", "-15.0", "0.2", "2024-01-03", "13.50"),
        ("-1", "-1", "1", "false", "false", "false", "12.0", "12.5", "0.2", "2024-01-03", "13.50"),
        ("132", "2", "1", "true", "false", "true", "12.0", "12.5", "0.2", "2024-01-03", "-13.50"),
        ("132", "2", "1", "false", "false", "true", "12.0", "12.5", "0.2", "2024-01-03", "13.50"),
        ("132", "2", "2", "false", "false", "true", "12.0", "12.5", None, "2024-01-03", "13.50"),
        ("132", "2", "1", "false", "true", "true", "810.0", "0.18518518518518517", "0.2", "2024-01-03", "13.50"),
    ]
    assert warehouse.query(
        "select service, pickup_borough, payment_type, trips, reversals, fare_amount, tip_amount, tolls_amount,"
        " total_amount, average_distance, average_minutes, year, month"
        " from mart_monthly_revenue where year = 2024 and month = 1 order by pickup_borough, payment_type"
    ) == [
        ("yellow", "Not recorded", "Credit card", "1", "0", "10.00", "2.00", None, "13.50", "2.5", "12.0", "2024", "1"),
        ("yellow", "Queens", "Cash", "1", "0", "10.00", None, None, "13.50", "2.5", "12.0", "2024", "1"),
        ("yellow", "Queens", "Credit card", "3", "1", "40.00", "8.00", None, "27.00", "2.5", "12.0", "2024", "1"),
    ]


def test_the_dimensions(warehouse, january):
    assert warehouse.query("select count(*), count(distinct location_id), min(location_id) from dim_zone") == [
        ("266", "266", "-1")
    ]
    assert warehouse.query(
        "select borough, zone from dim_zone where location_id in (264, 265) order by location_id"
    ) == [
        ("Unknown", "N/A"),
        ("N/A", "Outside of NYC"),
    ]
    assert warehouse.query(
        "select date_day, day_name, federal_holiday from dim_date"
        " where year = 2024 and federal_holiday is not null order by date_day"
    ) == [
        ("2024-01-01", "Monday", "New Year's Day"),
        ("2024-01-15", "Monday", "Martin Luther King Jr. Day"),
        ("2024-02-19", "Monday", "Washington's Birthday"),
        ("2024-05-27", "Monday", "Memorial Day"),
        ("2024-06-19", "Wednesday", "Juneteenth"),
        ("2024-07-04", "Thursday", "Independence Day"),
        ("2024-09-02", "Monday", "Labor Day"),
        ("2024-10-14", "Monday", "Columbus Day"),
        ("2024-11-11", "Monday", "Veterans Day"),
        ("2024-11-28", "Thursday", "Thanksgiving Day"),
        ("2024-12-25", "Wednesday", "Christmas Day"),
    ]
    # Every day once, without a gap, leap days included.
    assert warehouse.query(
        "select min(date_day), day(max(date_day)), count(*) - date_diff('day', min(date_day), max(date_day))"
        " from dim_date"
    ) == [("2009-01-01", "31", "1")]


def test_a_gate_that_fails_names_its_tests_and_is_not_tried_again(warehouse, january):
    audit = {"rows_kept": 5, "rows_read": 9}
    run = warehouse.cleaned.load(2024, 3, [{}, {"trip_id": "twice"}, {"trip_id": "twice"}], at=20, audit=audit)
    warehouse.dbt("run", vars=MARCH, select="fct_trips")
    with pytest.raises(AirflowFailException) as raised:
        warehouse.dbt("test", vars={**MARCH, "minimum_rows": 10_000}, select="fct_trips", flags=NO_UNIT_TESTS)
    first = str(raised.value).splitlines()[0]
    assert " tests failed: " in first
    assert first.startswith("6 of ")
    for failed in (
        "assert_month_has_at_least_rows (1 row)",
        "unique_fct_trips_trip_id (1 row)",
        "rows_reconcile_fct_trips (1 row)",
        "adds_up_mart_monthly_revenue (1 row)",
    ):
        assert failed in first
    warehouse.cleaned.forget(run)


def test_a_month_without_a_row_on_most_days_fails_by_name(warehouse, january):
    """The quick one of test_gate.py: January has rows on the 3rd alone."""
    whole = "no_day_without_rows_fct_trips rows_of_replaced_fct_trips rows_of_neighbours_fct_trips"
    with pytest.raises(AirflowFailException, match=r"1 of 3 tests failed: no_day_without_rows_fct_trips \(30 rows\)"):
        warehouse.dbt("test", select=whole, vars={**JANUARY, "daily_rows": True})


@pytest.mark.slow
def test_months_after_one_another(make_warehouse):
    warehouse = make_warehouse()
    load, objects = warehouse.cleaned.load, warehouse.objects
    load(2024, 1, [{}] * 6, at=1)
    load(2024, 2, [{"trip_distance": 3.5}] * 4, at=5)
    warehouse.dbt("build", vars=JANUARY, flags=NO_UNIT_TESTS)

    # A second month is built while the first is tested, as in the example DAG, and leaves it alone.
    before = {table: objects(table, "month=1/") for table in ("fct_trips", "mart_monthly_revenue")}
    assert all(before.values())
    with ThreadPoolExecutor(2) as pool:
        without_tests = ["--exclude-resource-type", "test", *NO_UNIT_TESTS]
        built = pool.submit(warehouse.dbt, "build", vars=FEBRUARY, flags=without_tests)
        tested = pool.submit(warehouse.dbt, "test", vars=JANUARY, flags=NO_UNIT_TESTS)
        assert set(built.result()["counts"]) == {"success", "no-op"}  # an exposure has nothing to do
        assert tested.result()["success"]
    assert {table: objects(table, "month=1/") for table in before} == before
    assert warehouse.partitions("fct_trips") == [("2024", "1"), ("2024", "2")]
    by_month = "select month, count(*), max(trip_distance) from fct_trips group by month order by month"
    assert warehouse.query(by_month) == [("1", "6", "2.5"), ("2", "4", "3.5")]

    # A rerun of one month replaces that month and nothing else.
    january, february = (objects("fct_trips", f"month={month}/") for month in (1, 2))
    load(2024, 1, [{"trip_distance": 7.0}] * 3, rejected=1, at=10)
    assert warehouse.dbt("run", vars=JANUARY, select="fct_trips+")["counts"] == {"success": 6}
    assert objects("fct_trips", "month=2/") == february
    assert not objects("fct_trips", "month=1/").keys() & january.keys()
    assert warehouse.query(by_month) == [("1", "3", "7.0"), ("2", "4", "3.5")]
    assert not [name for name in warehouse.query("show tables") if "tmp" in name[0]]

    # The gate of all months
    assert set(warehouse.dbt("test", flags=NO_UNIT_TESTS)["counts"]) == {"pass"}


@pytest.mark.slow
def test_unit_tests_pass(warehouse, january, tmp_path):
    status, output = warehouse.by_hand("test", "--select", "test_type:unit", target=tmp_path)
    assert status == 0, output
    assert "Done. PASS=16 WARN=0 ERROR=0 SKIP=0" in output


def test_the_selector_for_months_has_neither_seeds_nor_dimensions(warehouse, tmp_path):
    status, output = warehouse.by_hand(
        *("--quiet", "ls", "--selector", "month", "--resource-type", "model", "--resource-type", "seed"),
        *("--output", "name"),
        target=tmp_path,
    )
    assert status == 0, output
    assert set(output.split()) == {
        *("stg_trips", "stg_quarantine", "stg_load_audit", "fct_trips", "fct_trips_daily", "mart_monthly_revenue"),
        *("mart_zone_flows", "late_rows", "mart_load_quality"),
    }


def test_a_query_that_fails_is_named_with_athenas_error(make_warehouse, boto):
    warehouse = make_warehouse()
    boto("glue").delete_table(DatabaseName=warehouse.cleaned.database, Name="quarantine_trips")
    with pytest.raises(AirflowException, match=r"^1 of 1 model failed: stg_quarantine: .*TABLE_NOT_FOUND") as raised:
        warehouse.dbt("run", select="stg_quarantine")
    assert "(Athena query " in str(raised.value)
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vars": JANUARY, "full_refresh": True, "select": "fct_trips"}, "--full-refresh would drop every month"),
        (
            {"vars": {"year": 2024, "month": 13}},
            "must be a year from 2000 to 2099 and a month from 1 to 12, not 2024-13",
        ),
        ({"vars": {"year": 2024}}, "vars year and month go together: year is 2024, month is None"),
    ],
)
def test_what_is_refused(warehouse, january, arguments, message):
    before = warehouse.objects("fct_trips")
    with pytest.raises(AirflowFailException) as raised:
        warehouse.dbt("run", **arguments)
    assert message in str(raised.value)
    assert warehouse.objects("fct_trips") == before
