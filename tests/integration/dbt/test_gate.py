"""The gate of a month: is it whole, and of which load; an audit schema beside production, and months that wait."""

from __future__ import annotations

import calendar
import datetime

import pytest

NO_TESTS = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
WHOLE = [
    *("rows_of_replaced_fct_trips", "no_fewer_rows_than_replaced_fct_trips", "rows_of_neighbours_fct_trips"),
    "no_day_without_rows_fct_trips",
]


def daily(year, month, rows, *, until=31):
    """Return so many rows on each day of a month, up to one."""
    days = range(1, min(until, calendar.monthrange(year, month)[1]) + 1)
    pickups = [datetime.datetime(year, month, day, 10) for day in days for _ in range(rows)]
    return [{"pickup_at": pickup, "dropoff_at": pickup + datetime.timedelta(minutes=9)} for pickup in pickups]


@pytest.fixture(scope="module")
def audit(make_warehouse):
    """An audit schema in which four of five months of production were built anew, each from another kind of load."""
    warehouse = make_warehouse()
    load = warehouse.cleaned.load
    for month in (1, 2, 3, 4, 5):
        load(2023, month, daily(2023, month, 2), at=1)
    load(2023, 4, daily(2023, 4, 2), service="green", at=1)
    warehouse.dbt("build", select="path:models/staging +fct_trips dim_date", flags=NO_TESTS)
    load(2023, 2, daily(2023, 2, 3), at=2)  # more
    load(2023, 3, daily(2023, 3, 2)[:-1], at=2)  # a row less, not a day
    load(2023, 4, daily(2023, 4, 2, until=14), at=2)  # a file that was cut off
    load(2023, 5, [], rejected=9, at=2)
    audit = warehouse.audit(*(("2023", month) for month in "2345"))
    audit.dbt("run", select="path:models/staging fct_trips")
    return audit


def gate(audit, month, target, *names, **variables):
    known = {"year": 2023, "month": month, "daily_rows": True, **variables}
    return audit.gate(*(names or WHOLE), target=target, **known)


@pytest.mark.slow
def test_a_month_that_is_whole_passes(audit, tmp_path):
    statuses, _ = gate(audit, 2, tmp_path)
    assert statuses == dict.fromkeys(WHOLE, "pass")


@pytest.mark.slow
def test_fewer_rows_than_production_has_are_a_warning(audit, tmp_path):
    statuses, found = gate(audit, 3, tmp_path)
    assert statuses == {**dict.fromkeys(WHOLE, "pass"), WHOLE[1]: "warn"}
    (row,) = found[WHOLE[1]]
    assert row.pop("run_id_now") != row.pop("run_id_before")
    share = str(61 / 62)
    assert row == {
        **{"service": "yellow", "year": "2023", "month": "3", "rows_now": "61", "rows_before": "62"},
        **{"share_now": share, "share_allowed": "0.9"},
    }


@pytest.mark.slow
def test_a_file_that_was_cut_off_fails_and_each_test_says_what_is_missing(audit, tmp_path):
    statuses, found = gate(audit, 4, tmp_path)
    assert statuses == {**dict.fromkeys(WHOLE, "fail"), WHOLE[1]: "pass"}
    (replaced,) = found["rows_of_replaced_fct_trips"]
    assert (replaced["service"], replaced["rows_now"], replaced["rows_before"]) == ("yellow", "28", "60")
    (neighbours,) = found["rows_of_neighbours_fct_trips"]
    assert neighbours == {
        **{"service": "yellow", "year": "2023", "month": "4", "rows_now": "28", "rows_median": "62.0"},
        **{"months_compared": "3", "share_now": str(28 / 62), "share_allowed": "0.5"},
    }
    days = sorted(found["no_day_without_rows_fct_trips"], key=lambda row: row["day"])
    assert [row["day"] for row in days] == [f"2023-04-{day}" for day in range(15, 31)]
    assert days[0] == {
        **{"service": "yellow", "year": "2023", "month": "4", "day": "2023-04-15", "rows_of_day": "0"},
        **{"rows_of_month": "28", "last_day_with_rows": "2023-04-14"},
    }


@pytest.mark.slow
def test_the_shares_are_vars(audit, tmp_path):
    """Also as the texts that templates give. Without production there is nothing that would be replaced."""
    statuses, _ = gate(audit, 4, tmp_path, rows_of_replaced="0.4", rows_of_neighbours="0.45", daily_rows="false")
    assert statuses == {**dict.fromkeys(WHOLE, "pass"), WHOLE[1]: "warn"}
    statuses, _ = gate(audit, 4, tmp_path, production_schema=None)
    assert statuses == {**dict.fromkeys(WHOLE, "fail"), WHOLE[0]: "pass", WHOLE[1]: "pass"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"rows_of_replaced": 90}, "var rows_of_replaced is 90; it must be a share from 0 to 1, such as 0.9"),
        ({"rows_of_neighbours": "half"}, "var rows_of_neighbours is half; it must be a share from 0 to 1"),
        ({"late_rows": -1}, "var late_rows is -1; it must be a share from 0 to 1"),
        ({"daily_rows": "perhaps"}, "var daily_rows is perhaps; it must be true or false"),
    ],
)
def test_vars_that_are_no_shares_are_refused(audit, tmp_path, variables, said):
    known = {"year": 2023, "month": 2, **variables}
    status, output = audit.by_hand("test", "--select", *WHOLE, "late_rows_are_few", target=tmp_path, **known)
    assert status != 0
    assert said in output


@pytest.mark.slow
def test_an_empty_month_fails_unless_it_is_known_to_be_empty(audit, tmp_path):
    statuses, found = gate(audit, 5, tmp_path, *WHOLE, "assert_month_has_at_least_rows")
    failed = dict.fromkeys([*WHOLE, "assert_month_has_at_least_rows"], "fail")
    assert statuses == {**failed, WHOLE[1]: "pass"}
    assert len(found["no_day_without_rows_fct_trips"]) == 31
    (replaced,) = found["rows_of_replaced_fct_trips"]
    assert (replaced["rows_now"], replaced["rows_before"]) == ("0", "62")
    statuses, _ = gate(audit, 5, tmp_path, *WHOLE, "assert_month_has_at_least_rows", minimum_rows=0)
    assert set(statuses.values()) == {"pass"}


@pytest.mark.slow
def test_over_all_months_a_small_one_is_a_warning(audit, tmp_path):
    """By hand, a month that is truly small would stop every other for good."""
    statuses, found = audit.gate(*WHOLE, target=tmp_path, daily_rows=True)
    warned = ("rows_of_neighbours_fct_trips", "no_day_without_rows_fct_trips")
    assert statuses == {**dict.fromkeys(WHOLE, "pass"), **dict.fromkeys(warned, "warn")}
    assert {row["month"] for name in warned for row in found[name]} == {"4"}


@pytest.fixture(scope="module")
def waiting(make_warehouse):
    """Six months of two trips each, built; then a newer load of each, and records of what became of four of them."""
    warehouse = make_warehouse()
    load, record = warehouse.cleaned.load, warehouse.record
    runs = {month: load(2022, month, [{}] * 2, at=1) for month in range(1, 7)}
    warehouse.dbt("build", flags=NO_TESTS)
    # Without records as with them
    before = warehouse.rows(
        "select month, published_run_id, is_waiting, generation, gate, publication_state as state"
        " from mart_load_quality order by month"
    )
    assert [row["published_run_id"] for row in before] == list(runs.values())
    assert {(row["is_waiting"], row["generation"], row["gate"], row["state"]) for row in before} == {
        ("false", None, None, None)
    }
    newer = {month: load(2022, month, [{}] * (month % 5), rejected=1, at=2) for month in range(1, 7)}
    passed = {"kind": "publication", "state": "published", "gate": "passed", "gate_message": "61 tests passed"}
    failed = {"kind": "gate", "state": "refused", "gate": "failed", "gate_message": "1 of 61 tests failed"}
    record("2022-02", "2022-08-01 10:00:00.000", generation=1, **passed)
    record("2022-02", "2022-08-02 10:00:00.000", generation=2, **{**passed, "state": "publishing"})
    record("2022-03", "2022-08-01 10:00:00.000", generation=1, **passed)
    record("2022-03", "2022-08-02 10:00:00.000", **failed, failed_tests=["rows_of_replaced_fct_trips"])
    record("2022-04", "2022-08-02 10:00:00.000", **failed)
    accepted = {"gate": "accepted", "accepted": ["unique_x"], "accepted_by": "ann", "reason": "the TLC says so"}
    record("2022-04", "2022-08-03 10:00:00.000", generation=1, **{**passed, **accepted})
    record("2022-05", "2022-08-02 10:00:00.000", generation=1, **passed)
    rollback = {"kind": "rollback", "state": "published", "reason": "wrong fares"}
    record("2022-05", "2022-08-03 10:00:00.000", generation=2, **rollback)
    warehouse.dbt("run", select="fct_trips+")
    return warehouse, runs, newer


@pytest.mark.slow
def test_without_vars_months_that_wait_are_left_to_their_own_run(waiting):
    """One that was rolled back, whose gate failed, or that is being published; an accepted one is published."""
    warehouse, old, new = waiting
    expected = {1: new, 2: old, 3: old, 4: new, 5: old, 6: new}
    for table in ("fct_trips", "fct_trips_daily", "mart_monthly_revenue", "mart_zone_flows"):
        found = dict(warehouse.query(f"select month, max(run_id) from {table} group by month"))
        assert found == {str(month): runs[month] for month, runs in expected.items()}, table


@pytest.mark.slow
def test_a_month_that_waits_fails_no_other_and_its_own_gate_names_its_loads(waiting, tmp_path):
    warehouse, old, new = waiting
    of_data = ["--exclude-resource-type", "unit_test"]
    for variables in ({}, {"year": 2022, "month": 1}, {"year": 2022, "month": 6}):
        assert warehouse.dbt("test", vars=variables, flags=of_data)["success"]
    statuses, found = warehouse.gate("rows_reconcile_fct_trips", target=tmp_path, year=2022, month=3)
    assert statuses == {"rows_reconcile_fct_trips": "fail"}
    assert found["rows_reconcile_fct_trips"] == [
        {
            **{"service": "yellow", "year": "2022", "month": "3", "load": new[3], "load_of_facts": old[3]},
            **{"loads_in_facts": "1", "is_current": "true", "rows_read": "4", "rows_kept": "3"},
            **{"rows_quarantined": "1", "rows_in_cleaned": "3", "rows_in_quarantine": "1", "rows_in_facts": "2"},
        }
    ]
    # The load has as many rows as the one before: it is the run that differs.
    statuses, _ = warehouse.gate("rows_reconcile_fct_trips", target=tmp_path, year=2022, month=2)
    assert statuses == {"rows_reconcile_fct_trips": "fail"}


@pytest.mark.slow
def test_load_quality_says_what_is_public_what_waits_and_what_the_gate_said(waiting):
    warehouse, old, new = waiting
    warehouse.dbt("run", select="mart_load_quality")
    rows = warehouse.rows(
        "select month, run_id, published_run_id, is_waiting, generation, publication, publication_state, recorded_at,"
        " gate, gate_message, failed_tests, accepted, accepted_by, reason from mart_load_quality order by month"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("1", new[1], new[1], "false", *[None] * 10),
        (
            *("2", new[2], old[2], "true", "1", "publication", "publishing", "2022-08-02 10:00:00.000"),
            *("passed", "61 tests passed", None, None, None, None),
        ),
        (
            *("3", new[3], old[3], "true", "1", "gate", "refused", "2022-08-02 10:00:00.000"),
            *("failed", "1 of 61 tests failed", "[rows_of_replaced_fct_trips]", None, None, None),
        ),
        (
            *("4", new[4], new[4], "false", "1", "publication", "published", "2022-08-03 10:00:00.000"),
            *("accepted", "61 tests passed", None, "[unique_x]", "ann", "the TLC says so"),
        ),
        (
            *("5", new[5], old[5], "true", "2", "rollback", "published", "2022-08-03 10:00:00.000"),
            *("passed", "61 tests passed", None, None, None, "wrong fares"),
        ),
        ("6", new[6], new[6], "false", *[None] * 10),
    ]


@pytest.mark.slow
def test_a_month_that_became_empty_by_hand_is_found_and_removed(make_warehouse, tmp_path):
    warehouse = make_warehouse()
    load = warehouse.cleaned.load
    old = {month: load(2022, month, [{}] * 2, at=1) for month in (1, 2, 3)}
    warehouse.dbt("build", select="path:models/staging +fct_trips_daily", flags=NO_TESTS)
    new = {month: load(2022, month, [], rejected=2, at=2) for month in (2, 3)}
    warehouse.record("2022-03", "2022-08-02 10:00:00.000", generation=2, kind="rollback", state="published")
    warehouse.dbt("run", select="fct_trips fct_trips_daily")
    name = "assert_no_emptied_month"
    assert warehouse.gate(name, target=tmp_path, year=2022, month=1)[0] == {name: "pass"}
    statuses, found = warehouse.gate(name, target=tmp_path)
    assert statuses == {name: "fail"}
    assert found[name] == [
        {
            **{"year": "2022", "month": "2", "rows_now": "2", "rows_kept_by_current_load": "0"},
            **{"built_from": old[2], "current_load": new[2], "what_to_do": "dbt run-operation drop_emptied_months"},
        }
    ]
    # Of its own month it is asked whatever the records say.
    assert warehouse.gate(name, target=tmp_path, year=2022, month=3)[0] == {name: "fail"}

    january = warehouse.objects("fct_trips", "month=1/")
    status, output = warehouse.by_hand("run-operation", "drop_emptied_months", target=tmp_path)
    assert status == 0, output
    for table in ("fct_trips", "fct_trips_daily"):
        assert f'Removed 2022-02 from "awsdatacatalog"."{warehouse.marts}"."{table}"' in output
        assert warehouse.partitions(table) == [("2022", "1"), ("2022", "3")]
        assert not warehouse.objects(table, "month=2/")
    assert warehouse.objects("fct_trips", "month=1/") == january
    assert warehouse.gate(name, "rows_reconcile_fct_trips", target=tmp_path)[0] == {
        name: "pass",
        "rows_reconcile_fct_trips": "pass",
    }
    # A month that waits is removed when it is named.
    warehouse.by_hand("run-operation", "drop_emptied_months", target=tmp_path, year=2022, month=3)
    assert warehouse.partitions("fct_trips") == [("2022", "1")]


@pytest.mark.slow
def test_late_rows_are_counted_under_the_month_that_they_belong_to(make_warehouse, tmp_path):
    warehouse = make_warehouse()
    load = warehouse.cleaned.load
    january, march = datetime.datetime(2022, 1, 31, 23), datetime.datetime(2022, 3, 1, 1)
    load(2022, 1, [{}] * 100, at=1)
    load(2022, 2, [{}] * 100, late=[january], rejected=1, at=1)
    load(2022, 3, [{}] * 100, late=[january, january, datetime.datetime(2002, 12, 31)], at=1)
    load(2022, 4, [{}] * 2, late=[march], at=1)
    warehouse.dbt("build", select="path:models/staging +late_rows", flags=NO_TESTS)
    # A load that is not public counts nothing.
    load(2022, 4, [{}] * 2, late=[march] * 50, at=2)
    assert warehouse.query(
        "select service, year, month, file_year, file_month, months_late, rows_late, rows_missed, rows_in_month,"
        " share_of_month from late_rows order by year, month, file_month"
    ) == [
        ("yellow", "2002", "12", "2022", "3", "231", "1", "1", "0", None),
        ("yellow", "2022", "1", "2022", "2", "1", "1", "1", "100", "0.01"),
        ("yellow", "2022", "1", "2022", "3", "2", "2", "2", "100", "0.02"),
        ("yellow", "2022", "3", "2022", "4", "1", "1", "1", "100", "0.01"),
    ]
    name = "late_rows_are_few"
    # January's own gate and that of the file that brought the last of them
    for month, status in ((1, "warn"), (3, "warn"), (4, "pass")):
        statuses, found = warehouse.gate(name, target=tmp_path, year=2022, month=month)
        assert statuses == {name: status}, month
    statuses, found = warehouse.gate(name, target=tmp_path)
    assert statuses == {name: "warn"}
    assert found[name] == [
        {
            **{"service": "yellow", "year": "2022", "month": "1", "rows_late": "3", "rows_in_month": "100"},
            **{"share_now": "0.03", "share_allowed": "0.01", "last_file": "202203"},
        }
    ]
    assert warehouse.gate(name, target=tmp_path, late_rows=0.03)[0] == {name: "pass"}


@pytest.mark.slow
def test_keys_of_staging_are_tested_in_the_month_in_scope(audit, tmp_path):
    tests = [
        *("unique_stg_trips_trip_id", "not_null_stg_trips_trip_id", "unique_stg_quarantine_trip_id"),
        *("not_null_stg_quarantine_trip_id", "unique_stg_load_audit"),
    ]
    audit.cleaned.load(2015, 2, [{"trip_id": "twice"}, {"trip_id": "twice"}, {"trip_id": None}])
    statuses, _ = audit.gate(*tests, target=tmp_path, year=2023, month=2)
    assert statuses == dict.fromkeys(tests, "pass")
    statuses, found = audit.gate(*tests, target=tmp_path, year=2015, month=2)
    assert statuses == {**dict.fromkeys(tests, "pass"), **dict.fromkeys(tests[:2], "fail")}
    assert found["unique_stg_trips_trip_id"] == [{"unique_field": "twice", "n_records": "2"}]
