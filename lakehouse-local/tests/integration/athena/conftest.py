"""Athena through boto3 over HTTP, with a database and a bucket for each test."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest


@dataclass
class Failed(Exception):
    """A query execution that did not succeed."""

    execution: dict[str, Any]

    @property
    def reason(self) -> str:
        return self.execution["Status"]["StateChangeReason"]

    def __str__(self) -> str:
        return self.reason


class Warehouse:
    """Athena for one test, with its bucket and its database: `run` returns executions, `query` rows."""

    def __init__(self, boto: Callable[..., Any], bucket: str, database: str) -> None:
        self.athena, self.glue, self.s3 = boto("athena"), boto("glue"), boto("s3")
        self.bucket, self.database = bucket, database
        self.output = f"s3://{bucket}/results/"

    def start(self, sql: str, **arguments: Any) -> str:
        context = {"Database": self.database, "Catalog": "AwsDataCatalog"}
        results = {"OutputLocation": self.output}
        request = {"QueryExecutionContext": context, "ResultConfiguration": results, **arguments}
        response = self.athena.start_query_execution(QueryString=sql.replace("{bucket}", self.bucket), **request)
        return str(response["QueryExecutionId"])

    def wait(self, execution_id: str) -> dict[str, Any]:
        """Return the execution when it has ended; GetQueryExecution waits while it runs, so that no sleep is needed."""
        while True:
            execution = self.athena.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                return execution

    def run(self, sql: str, **arguments: Any) -> dict[str, Any]:
        """Run a statement and return its execution, which must succeed."""
        execution = self.wait(self.start(sql, **arguments))
        if execution["Status"]["State"] != "SUCCEEDED":
            raise Failed(execution)
        return execution

    def results(self, execution: dict[str, Any], **arguments: Any) -> dict[str, Any]:
        return self.athena.get_query_results(QueryExecutionId=execution["QueryExecutionId"], **arguments)

    def query(self, sql: str, **arguments: Any) -> list[tuple[str | None, ...]]:
        """Run a statement and return its rows without the header that queries have."""
        execution = self.run(sql, **arguments)
        rows = self.results(execution)["ResultSet"]["Rows"]
        cells = [tuple(cell.get("VarCharValue") for cell in row["Data"]) for row in rows]
        return cells[1:] if execution["SubstatementType"] == "SELECT" else cells

    def lines(self, sql: str) -> list[str]:
        """Run a utility statement and return its lines."""
        return [str(row[0]) for row in self.query(sql)]

    def table(self, name: str) -> dict[str, Any]:
        return self.glue.get_table(DatabaseName=self.database, Name=name)["Table"]

    def partitions(self, name: str) -> list[tuple[str, ...]]:
        found = self.glue.get_partitions(DatabaseName=self.database, TableName=name)["Partitions"]
        return sorted(tuple(each["Values"]) for each in found)

    def objects(self, prefix: str = "") -> list[str]:
        found = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
        return [each["Key"] for each in found]

    def read(self, uri: str) -> bytes:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

    def put(self, key: str, content: str | bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content)

    def put_parquet(self, key: str, rows: Sequence[dict[str, Any]], **types: Any) -> None:
        """Write a Parquet object of these rows; `types` are pyarrow's, by column."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        out = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(list(types.items()))), out)
        self.put(key, out.getvalue())

    def create(self, name: str, columns: str, rest: str = "stored as parquet") -> str:
        """Create an external table over the bucket's folder of its name."""
        self.run(f"create external table {name} ({columns}) {rest} location 's3://{{bucket}}/{name}/'")
        return name


@pytest.fixture
def warehouse(boto: Callable[..., Any], bucket: str, database: str) -> Warehouse:
    return Warehouse(boto, bucket, database)


@pytest.fixture
def fails(warehouse: Warehouse) -> Callable[..., str]:
    """`fails(sql)`: run a statement that must fail, and return the reason."""

    def failed(sql: str, **arguments: Any) -> str:
        with pytest.raises(Failed) as raised:
            warehouse.run(sql, **arguments)
        return str(raised.value)

    return failed
