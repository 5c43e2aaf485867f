"""The dbt project, built by the real dbt through the operator on the local AWS, over a small cleaned zone.

The tests of this module follow one another, as months do: each begins with what the one before built.
"""

from __future__ import annotations

import contextlib
import datetime
import io
import os
import uuid
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_lakehouse_provider._compat import AirflowException, AirflowFailException
from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator

pytestmark = pytest.mark.xdist_group("dbt-project")

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[2] / ".venv-dbt/bin/dbt")
CENTS = [
    *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge", "congestion_surcharge"),
    *("airport_fee", "cbd_congestion_fee", "ehail_fee", "total_amount"),
]
# The cleaned zone's columns: name -> type in the Data Catalog
TRIP = {
    **{"trip_id": "string", "vendor_id": "int", "pickup_at": "timestamp", "dropoff_at": "timestamp"},
    **{"passenger_count": "int", "trip_distance": "double", "rate_code_id": "int", "store_and_fwd_flag": "string"},
    **{"pickup_location_id": "int", "dropoff_location_id": "int", "payment_type_id": "int", "trip_type_id": "int"},
    **dict.fromkeys(CENTS, "decimal(10,2)"),
    **{"is_reversal": "boolean", "suspect": "array<string>", "source_file": "string", "run_id": "string"},
    "loaded_at": "timestamp",
}
QUARANTINED = {**TRIP, "reasons": "array<string>", "raw_row": "string"}
AUDIT = {
    **dict.fromkeys(["service", "year", "month", "run_id", "status", "source_file"], "string"),
    **dict.fromkeys(["rows_read", "rows_kept", "rows_quarantined"], "bigint"),
    **dict.fromkeys(["started_at", "committed_at"], "timestamp"),
}
PARTITION = ["service", "year", "month"]


def arrow(types):
    import pyarrow as pa

    known = {
        **{
            "string": pa.string(),
            "int": pa.int32(),
            "bigint": pa.int64(),
            "double": pa.float64(),
            "boolean": pa.bool_(),
        },
        **{
            "timestamp": pa.timestamp("us"),
            "decimal(10,2)": pa.decimal128(10, 2),
            "array<string>": pa.list_(pa.string()),
        },
    }
    return pa.schema([(name, known[of]) for name, of in types.items()])


class CleanedZone:
    """What the Glue job writes and the crawler catalogues, in little."""

    def __init__(self, boto, database):
        self.database, self.bucket = database, f"cleaned-{uuid.uuid4().hex[:12]}"
        self._s3, self._glue = boto("s3"), boto("glue")
        self._s3.create_bucket(Bucket=self.bucket)
        self._table("trips", TRIP, PARTITION)
        self._table("quarantine_trips", QUARANTINED, PARTITION)
        self._table("load_audit", AUDIT, [])

    def load(self, year, month, trips, *, service="yellow", rejected=0, status="committed", says=None, at=0):
        """One run: `trips` rows differing from the usual one, `says` of the audit instead of the truth."""
        run_id = f"jr_{uuid.uuid4().hex[:16]}"
        loaded = datetime.datetime(2024, 6, 1, 12, at)
        start = datetime.datetime(year, month, 3, 10, 0)
        partition = f"service={service}/year={year:04d}/month={month:02d}"
        usual = {
            **{"vendor_id": 2, "pickup_at": start, "dropoff_at": start + datetime.timedelta(minutes=12)},
            **{"passenger_count": 1, "trip_distance": 2.5, "rate_code_id": 1, "store_and_fwd_flag": "N"},
            **{
                "pickup_location_id": 132,
                "dropoff_location_id": 4,
                "payment_type_id": 1,
                "fare_amount": Decimal("10.00"),
            },
            **{"tip_amount": Decimal("2.00"), "total_amount": Decimal("13.50"), "is_reversal": False, "suspect": []},
            **{"source_file": "s3://raw/file.parquet", "run_id": run_id, "loaded_at": loaded},
        }
        rows = [{**usual, "trip_id": uuid.uuid4().hex, **trip} for trip in trips]
        bad = [
            {**usual, "trip_id": uuid.uuid4().hex, "reasons": ["total_missing"], "raw_row": "{}"}
            for _ in range(rejected)
        ]
        for table, types, content in (("trips", TRIP, rows), ("quarantine_trips", QUARANTINED, bad)):
            self._write(f"{table}/{partition}/part-{run_id}.parquet", content, types)
            self._partition(table, partition, [service, f"{year:04d}", f"{month:02d}"])
        audit = {
            **{"service": service, "year": f"{year:04d}", "month": f"{month:02d}", "run_id": run_id, "status": status},
            **{"source_file": "s3://raw/file.parquet", "rows_read": len(rows) + rejected, "rows_kept": len(rows)},
            **{"rows_quarantined": rejected, "started_at": loaded},
            "committed_at": loaded if status == "committed" else None,
        }
        if status != "never committed":
            self._write(f"load_audit/{run_id}.parquet", [{**audit, **(says or {})}], AUDIT)
        return run_id

    def forget(self, run_id):
        """Undo a run's commit."""
        self._s3.delete_object(Bucket=self.bucket, Key=f"load_audit/{run_id}.parquet")

    def _write(self, key, rows, types):
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(rows, schema=arrow(types)), out)
        self._s3.put_object(Bucket=self.bucket, Key=key, Body=out.getvalue())

    def _storage(self, folder, types):
        return {
            "Columns": [{"Name": name, "Type": of} for name, of in types.items()],
            "Location": f"s3://{self.bucket}/{folder}/",
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
        }

    def _table(self, name, types, keys):
        self._glue.create_table(
            DatabaseName=self.database,
            TableInput={
                "Name": name,
                "TableType": "EXTERNAL_TABLE",
                "Parameters": {"classification": "parquet", "EXTERNAL": "TRUE"},
                "PartitionKeys": [{"Name": key, "Type": "string"} for key in keys],
                "StorageDescriptor": self._storage(name, types),
            },
        )

    def _partition(self, table, folder, values):
        types = TRIP if table == "trips" else QUARANTINED
        with contextlib.suppress(self._glue.exceptions.AlreadyExistsException):
            self._glue.create_partition(
                DatabaseName=self.database,
                TableName=table,
                PartitionInput={"Values": values, "StorageDescriptor": self._storage(f"{table}/{folder}", types)},
            )


class Warehouse:
    """dbt's side: runs it, and asks Athena what came out."""

    def __init__(self, local_aws, boto, cleaned, marts, project):
        self._local, self._boto, self.cleaned, self.marts = local_aws, boto, cleaned, marts
        self._project = project
        self.results, self.data = (f"{name}-{uuid.uuid4().hex[:12]}" for name in ("results", "curated"))
        for bucket in (self.results, self.data):
            boto("s3").create_bucket(Bucket=bucket)

    def dbt(self, command, **arguments):
        variables = {"cleaned_database": self.cleaned.database, **arguments.pop("vars", {})}
        operator = DbtAthenaOperator(
            task_id="dbt",
            command=command,
            project=str(self._project),
            vars=variables,
            schema=self.marts,
            s3_staging_dir=f"s3://{self.results}/",
            s3_data_dir=f"s3://{self.data}",
            dbt_executable=DBT,
            env=self._local.environment,
            aws_conn_id=None,
            **arguments,
        )
        return operator.execute({})

    def ask(self, sql):
        """The rows of a query, as texts."""
        athena = self._boto("athena")
        execution = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.marts},
            ResultConfiguration={"OutputLocation": f"s3://{self.results}/"},
        )["QueryExecutionId"]
        # GetQueryExecution holds while a query runs: no sleep is needed.
        while True:
            status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
        assert status["State"] == "SUCCEEDED", status
        rows = athena.get_query_results(QueryExecutionId=execution)["ResultSet"]["Rows"][1:]
        return [tuple(cell.get("VarCharValue") for cell in row["Data"]) for row in rows]

    def objects(self, table, partition=""):
        """Key and ETag of every object of a table's partition."""
        pages = self._boto("s3").get_paginator("list_objects_v2").paginate(Bucket=self.data)
        found = (item for page in pages for item in page.get("Contents", ()))
        return {item["Key"]: item["ETag"] for item in found if f"/{table}/" in item["Key"] and partition in item["Key"]}

    def partitions(self, table):
        found = self._boto("glue").get_partitions(DatabaseName=self.marts, TableName=table)["Partitions"]
        return sorted(tuple(partition["Values"]) for partition in found)


@pytest.fixture(scope="module")
def warehouse(local_aws, boto, repository):
    if not Path(DBT).is_file():
        pytest.skip(f"there is no dbt at {DBT}: `make .venv-dbt/.installed`, or name one in LAKEHOUSE_DBT_EXECUTABLE")
    pytest.importorskip("pyarrow", reason="needs the extra 'local'")
    names = {part: f"{part}_{uuid.uuid4().hex[:10]}" for part in ("cleaned", "marts")}
    for name in names.values():
        boto("glue").create_database(DatabaseInput={"Name": name})
    return Warehouse(local_aws, boto, CleanedZone(boto, names["cleaned"]), names["marts"], repository / "dbt_models")


JANUARY = {"year": 2024, "month": 1}
FEBRUARY = {"year": "2024", "month": "02"}


def test_a_month_is_built_and_passes_its_tests(warehouse):
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

    result = warehouse.dbt("build", vars=JANUARY)

    assert result["success"]
    assert result["counts"].get("warn", 0) == 1, [node for node in result["nodes"] if node["status"] == "warn"]
    (fact,) = [node for node in result["nodes"] if node["unique_id"] == "model.nyc_taxi.fct_trips"]
    assert fact["query_id"]
    assert warehouse.partitions("fct_trips") == [("2024", "1")]
    assert warehouse.ask(
        "select pickup_location_id, vendor_id, payment_type_id, is_reversal, is_suspect, is_airport_trip,"
        " duration_minutes, average_mph, tip_share, pickup_date, total_amount"
        " from fct_trips order by duration_minutes, vendor_id, payment_type_id, total_amount"
    ) == [
        ("132", "2", "1", "false", "true", "true", "-10.0", "-15.0", "0.2", "2024-01-03", "13.50"),
        ("-1", "-1", "1", "false", "false", "false", "12.0", "12.5", "0.2", "2024-01-03", "13.50"),
        ("132", "2", "1", "true", "false", "true", "12.0", "12.5", "0.2", "2024-01-03", "-13.50"),
        ("132", "2", "1", "false", "false", "true", "12.0", "12.5", "0.2", "2024-01-03", "13.50"),
        ("132", "2", "2", "false", "false", "true", "12.0", "12.5", None, "2024-01-03", "13.50"),
        ("132", "2", "1", "false", "true", "true", "810.0", "0.18518518518518517", "0.2", "2024-01-03", "13.50"),
    ]
    assert warehouse.ask("select * from mart_monthly_revenue order by pickup_borough, payment_type") == [
        ("yellow", "Not recorded", "Credit card", "1", "0", "10.00", "2.00", None, "13.50", "2.5", "12.0", "2024", "1"),
        ("yellow", "Queens", "Cash", "1", "0", "10.00", None, None, "13.50", "2.5", "12.0", "2024", "1"),
        ("yellow", "Queens", "Credit card", "3", "1", "40.00", "8.00", None, "27.00", "2.5", "12.0", "2024", "1"),
    ]


def test_the_dimensions(warehouse):
    assert warehouse.ask("select count(*), count(distinct location_id), min(location_id) from dim_zone") == [
        ("266", "266", "-1")
    ]
    assert warehouse.ask("select borough, zone from dim_zone where location_id in (264, 265) order by location_id") == [
        ("Unknown", "N/A"),
        ("N/A", "Outside of NYC"),
    ]
    assert warehouse.ask(
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
    assert warehouse.ask(
        "select min(date_day), day(max(date_day)), count(*) - date_diff('day', min(date_day), max(date_day))"
        " from dim_date"
    ) == [("2009-01-01", "31", "1")]


def test_a_second_month_is_built_while_the_first_is_tested_and_leaves_it_alone(warehouse):
    before = {table: warehouse.objects(table, "month=1/") for table in ("fct_trips", "mart_monthly_revenue")}
    assert all(before.values())

    # As in the example DAG: seeds and models of one month, the gate of another.
    with ThreadPoolExecutor(2) as pool:
        without_tests = ["--exclude-resource-type", "test", "--exclude-resource-type", "unit_test"]
        built = pool.submit(warehouse.dbt, "build", vars=FEBRUARY, flags=without_tests)
        tested = pool.submit(warehouse.dbt, "test", vars=JANUARY)
        assert set(built.result()["counts"]) == {"success"}
        assert tested.result()["success"]

    assert {table: warehouse.objects(table, "month=1/") for table in before} == before
    assert warehouse.partitions("fct_trips") == [("2024", "1"), ("2024", "2")]
    assert warehouse.ask("select year, month, count(*) from fct_trips group by 1, 2 order by 2") == [
        ("2024", "1", "6"),
        ("2024", "2", "4"),
    ]


def test_a_rerun_of_one_month_replaces_that_month_and_nothing_else(warehouse):
    january, february = (warehouse.objects("fct_trips", f"month={month}/") for month in (1, 2))
    warehouse.cleaned.load(2024, 1, [{"trip_distance": 7.0}] * 3, rejected=1, at=10)

    result = warehouse.dbt("run", vars=JANUARY, select="fct_trips+")

    assert result["counts"] == {"success": 2}
    assert warehouse.objects("fct_trips", "month=2/") == february
    assert not warehouse.objects("fct_trips", "month=1/").keys() & january.keys()
    assert warehouse.ask("select month, count(*), max(trip_distance) from fct_trips group by month order by month") == [
        ("1", "3", "7.0"),
        ("2", "4", "3.5"),
    ]
    # Nothing temporary stays behind.
    assert not [name for name in warehouse.ask("show tables") if "tmp" in name[0]]


def test_the_gate_of_all_months(warehouse):
    result = warehouse.dbt("test")
    assert set(result["counts"]) == {"pass"}


def test_a_gate_that_fails_names_its_tests_and_is_not_tried_again(warehouse):
    says = {"rows_kept": 5, "rows_read": 9}
    run = warehouse.cleaned.load(2024, 2, [{}, {"trip_id": "twice"}, {"trip_id": "twice"}], at=20, says=says)
    warehouse.dbt("run", vars=FEBRUARY, select="fct_trips")
    with pytest.raises(AirflowFailException) as raised:
        warehouse.dbt("test", vars={**FEBRUARY, "minimum_rows": 10_000}, select="fct_trips")
    first = str(raised.value).splitlines()[0]
    assert " tests failed: " in first
    assert first.startswith("3 of ")
    for failed in (
        "assert_month_has_at_least_rows (1 row)",
        "unique_fct_trips_trip_id (1 row)",
        "rows_reconcile_fct_trips_",
    ):
        assert failed in first
    warehouse.cleaned.forget(run)


def test_a_month_that_became_empty_becomes_empty_here_too(warehouse):
    january = warehouse.objects("fct_trips", "month=1/")
    warehouse.cleaned.load(2024, 2, [], rejected=3, at=30)
    warehouse.dbt("build", vars={**FEBRUARY, "minimum_rows": 0}, select="fct_trips+")
    assert warehouse.partitions("fct_trips") == warehouse.partitions("mart_monthly_revenue") == [("2024", "1")]
    assert not warehouse.objects("fct_trips", "month=2/")
    assert warehouse.objects("fct_trips", "month=1/") == january


def test_a_query_that_fails_is_named_with_athenas_error(warehouse, boto):
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
def test_what_is_refused(warehouse, arguments, message):
    before = warehouse.objects("fct_trips")
    with pytest.raises(AirflowFailException) as raised:
        warehouse.dbt("run", **arguments)
    assert message in str(raised.value)
    assert warehouse.objects("fct_trips") == before
