"""A small cleaned zone, and the dbt project over it: by the operator, and by hand."""

from __future__ import annotations

import contextlib
import copy
import datetime
import io
import json
import os
import subprocess
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from airflow_lakehouse_provider.operators.dbt import DbtAthenaOperator
from trips.arguments import MARKS, REASONS

DBT = os.environ.get("LAKEHOUSE_DBT_EXECUTABLE") or str(Path(__file__).parents[3] / ".venv-dbt/bin/dbt")
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
    **dict.fromkeys([f"rejected_{reason}" for reason in REASONS], "bigint"),
    **dict.fromkeys([f"suspect_{mark}" for mark in MARKS], "bigint"),
    **{"bytes": "bigint", "seconds": "double", "etag": "string", "unknown_columns": "array<string>"},
    "thresholds": "string",
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
    return pa.schema([(name, known[type_]) for name, type_ in types.items()])


class CleanedZone:
    """A small cleaned zone, as the Glue job writes it and the crawler catalogues it."""

    def __init__(self, boto, database):
        self.database, self.bucket = database, f"cleaned-{uuid.uuid4().hex[:12]}"
        self._s3, self._glue = boto("s3"), boto("glue")
        self._s3.create_bucket(Bucket=self.bucket)
        self._table("trips", TRIP, PARTITION)
        self._table("quarantine_trips", QUARANTINED, PARTITION)
        self._table("load_audit", AUDIT, [])

    def load(self, year, month, trips, *, service="yellow", rejected=0, late=(), status="committed", audit=None, at=0):
        """Write one run of a month and return its id.

        :param trips: the rows, each as its differences from the usual one
        :param late: pickups of rows that another month's file would have brought
        :param audit: values of the audit row in place of the true ones
        """
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
        faults = [{"reasons": ["total_missing"]}] * rejected
        faults += [{"reasons": ["pickup_outside_month"], "pickup_at": pickup} for pickup in late]
        bad = [{**usual, "trip_id": uuid.uuid4().hex, "raw_row": "{}", **fault} for fault in faults]
        for table, types, content in (("trips", TRIP, rows), ("quarantine_trips", QUARANTINED, bad)):
            self._write(f"{table}/{partition}/part-{run_id}.parquet", content, types)
            self._partition(table, partition, [service, f"{year:04d}", f"{month:02d}"])
        row = {
            **{"service": service, "year": f"{year:04d}", "month": f"{month:02d}", "run_id": run_id, "status": status},
            **{"source_file": "s3://raw/file.parquet", "rows_read": len(rows) + len(bad), "rows_kept": len(rows)},
            **{"rows_quarantined": len(bad), "rejected_total_missing": rejected, "started_at": loaded},
            "rejected_pickup_outside_month": len(late),
            **{f"suspect_{mark}": sum(mark in row["suspect"] for row in rows) for mark in MARKS},
            "committed_at": loaded if status == "committed" else None,
        }
        if status != "never committed":
            self._write(f"load_audit/{run_id}.parquet", [{**row, **(audit or {})}], AUDIT)
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
            "Columns": [{"Name": name, "Type": type_} for name, type_ in types.items()],
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
    """The marts of one database: runs dbt, and queries the result through Athena."""

    def __init__(self, local_aws, boto, cleaned, marts, project):
        self._local, self._boto, self.cleaned, self.marts = local_aws, boto, cleaned, marts
        self._project = project
        # Small months have no rows on most days.
        self._variables = {"cleaned_database": cleaned.database, "daily_rows": False}
        self.results, self.data = (f"{name}-{uuid.uuid4().hex[:12]}" for name in ("results", "curated"))
        for bucket in (self.results, self.data):
            boto("s3").create_bucket(Bucket=bucket)

    def dbt(self, command, **arguments):
        variables = {**self._variables, **arguments.pop("vars", {})}
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

    def by_hand(self, *words, target, **variables):
        """Run dbt as from a shell, with the project's own profile; return its exit status and its output."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DBT_"))},
            **self._local.environment,
            "DBT_ATHENA_SCHEMA": self.marts,
            "DBT_ATHENA_STAGING_DIR": f"s3://{self.results}/",
            "DBT_ATHENA_DATA_DIR": f"s3://{self.data}",
        }
        places = ["--project-dir", str(self._project), "--profiles-dir", str(self._project)]
        places += ["--target-path", str(target), "--log-path", str(target)]
        known = json.dumps({**self._variables, **variables})
        command = [DBT, *words, *places, "--no-use-colors", "--vars", known]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def gate(self, *names, target, **variables):
        """Return the status of each of these tests, and the rows that each selects, as mappings, by its name."""
        self.by_hand("test", "--select", *names, target=target, **variables)
        results = json.loads((target / "run_results.json").read_text())["results"]
        named = {result["unique_id"].split(".")[2]: result for result in results}
        assert set(names) <= set(named), results
        found = {name: self.rows(result["compiled_code"]) for name, result in named.items() if result["failures"]}
        return {name: result["status"] for name, result in named.items()}, found

    def record(self, unit, recorded_at, *, generation=None, **values):
        """Write a publication record, as the operator does, and the table of them if it is not there."""
        columns = dict.fromkeys(["unit", "kind", "audit", "state", "recorded_at", "gate", "gate_message"], "string")
        columns |= {"generation": "int", "failed_tests": "array<string>", "accepted": "array<string>"}
        columns |= dict.fromkeys(["reason", "accepted_by", "run"], "string")
        with contextlib.suppress(self._boto("glue").exceptions.AlreadyExistsException):
            self._boto("glue").create_table(
                DatabaseName=self.marts,
                TableInput={
                    "Name": "publications",
                    "TableType": "EXTERNAL_TABLE",
                    "Parameters": {"classification": "json", "EXTERNAL": "TRUE"},
                    "StorageDescriptor": {
                        "Columns": [{"Name": name, "Type": type_} for name, type_ in columns.items()],
                        "Location": f"s3://{self.data}/publications/",
                        "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                        "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                        "SerdeInfo": {"SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe"},
                    },
                },
            )
        record = {"unit": unit, "generation": generation, "recorded_at": recorded_at, **values, "plan": {"steps": []}}
        name = f"{generation:06d}" if generation else f"gate-{uuid.uuid4().hex[:12]}"
        self._boto("s3").put_object(
            Bucket=self.data, Key=f"publications/{unit}/{name}.json", Body=json.dumps(record).encode()
        )

    def audit(self, *forgotten):
        """Return a clone by pointers of these marts in an audit schema, without the months that it builds anew."""
        glue, audit = self._boto("glue"), copy.copy(self)
        audit.marts = f"{self.marts}__audit_{uuid.uuid4().hex[:12]}"
        audit._variables = {**self._variables, "production_schema": self.marts}
        glue.create_database(DatabaseInput={"Name": audit.marts})
        for table in glue.get_tables(DatabaseName=self.marts)["TableList"]:
            if table["TableType"] == "VIRTUAL_VIEW" or table["Name"] == "publications":
                continue
            known = ("Name", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
            clone = {name: table[name] for name in known if name in table}
            partitions = [] if not clone.get("PartitionKeys") else self._partitions(table["Name"])
            if partitions:
                clone["StorageDescriptor"]["Location"] = f"s3://{self.data}/generations/{audit.marts}/{table['Name']}"
            glue.create_table(DatabaseName=audit.marts, TableInput=clone)
            for partition in partitions:
                if tuple(partition["Values"]) not in forgotten:
                    content = {name: partition[name] for name in ("Values", "StorageDescriptor")}
                    glue.create_partition(DatabaseName=audit.marts, TableName=table["Name"], PartitionInput=content)
        return audit

    def query(self, sql):
        """Return the rows of a query, as texts."""
        return [tuple(row) for row in self._answer(sql)[1:]]

    def rows(self, sql):
        """Return the rows of a query, each as a mapping of column to text."""
        names, *rows = self._answer(sql)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def _answer(self, sql):
        athena = self._boto("athena")
        execution = athena.start_query_execution(
            QueryString=sql,
            QueryExecutionContext={"Database": self.marts},
            ResultConfiguration={"OutputLocation": f"s3://{self.results}/"},
        )["QueryExecutionId"]
        # The local AWS answers GetQueryExecution when the query has ended: no sleep is needed.
        while True:
            status = athena.get_query_execution(QueryExecutionId=execution)["QueryExecution"]["Status"]
            if status["State"] not in ("QUEUED", "RUNNING"):
                break
        assert status["State"] == "SUCCEEDED", status
        rows = athena.get_query_results(QueryExecutionId=execution)["ResultSet"]["Rows"]
        return [[cell.get("VarCharValue") for cell in row["Data"]] for row in rows]

    def queries(self, node):
        """Return dbt's query executions for a node whose name begins so, the last first."""
        athena = self._boto("athena")
        ids = [
            each
            for page in athena.get_paginator("list_query_executions").paginate()
            for each in page["QueryExecutionIds"]
        ]
        found = []
        for at in range(0, len(ids), 50):
            answer = athena.batch_get_query_execution(QueryExecutionIds=ids[at : at + 50])["QueryExecutions"]
            by_id = {each["QueryExecutionId"]: each for each in answer}
            found += [by_id[each] for each in ids[at : at + 50]]
        return [each for each in found if f".nyc_taxi.{node}" in each["Query"] and self.marts in each["Query"]]

    def scanned_for(self, model):
        """Return the bytes that the model's own query scanned when it was built last."""
        made = [each for each in self.queries(f'{model}"') if "create table" in each["Query"]]
        return made[0]["Statistics"]["DataScannedInBytes"]

    def objects(self, table, partition=""):
        """Return key and ETag of every object of a table's partition."""
        pages = self._boto("s3").get_paginator("list_objects_v2").paginate(Bucket=self.data)
        found = (item for page in pages for item in page.get("Contents", ()))
        return {item["Key"]: item["ETag"] for item in found if f"/{table}/" in item["Key"] and partition in item["Key"]}

    def partitions(self, table):
        return sorted(tuple(partition["Values"]) for partition in self._partitions(table))

    def _partitions(self, table):
        return self._boto("glue").get_partitions(DatabaseName=self.marts, TableName=table)["Partitions"]


class Catalogued:
    """A cleaned zone that is there already."""

    def __init__(self, database):
        self.database = database


@pytest.fixture(scope="module")
def warehouse_of(local_aws, boto, repository):
    """`warehouse_of(database)`: dbt over a cleaned zone's database."""
    if not Path(DBT).is_file():
        pytest.skip(f"there is no dbt at {DBT}: `make .venv-dbt/.installed`, or name one in LAKEHOUSE_DBT_EXECUTABLE")

    def make(cleaned):
        marts = f"marts_{uuid.uuid4().hex[:10]}"
        boto("glue").create_database(DatabaseInput={"Name": marts})
        zone = Catalogued(cleaned) if isinstance(cleaned, str) else cleaned
        return Warehouse(local_aws, boto, zone, marts, repository / "dbt_models")

    return make


@pytest.fixture(scope="module")
def make_warehouse(boto, warehouse_of):
    """`make_warehouse()`: dbt over an empty cleaned zone of its own."""
    pytest.importorskip("pyarrow", reason="needs the extra 'local'")

    def make():
        database = f"cleaned_{uuid.uuid4().hex[:10]}"
        boto("glue").create_database(DatabaseInput={"Name": database})
        return warehouse_of(CleanedZone(boto, database))

    return make


@pytest.fixture(scope="module")
def warehouse(make_warehouse):
    """dbt over a small cleaned zone of the module's own."""
    return make_warehouse()
