"""An S3 of plain files that Spark and the script both see, and months to load with them."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from trips.arguments import parse
from trips.load import load
from trips.storage import Object, Storage, split

BUCKETS = ("raw", "cleaned", "reports")
AT = datetime.datetime(2024, 1, 10, 9, 30)
TRIP = {
    **{"VendorID": 2, "tpep_pickup_datetime": AT, "tpep_dropoff_datetime": AT + datetime.timedelta(minutes=12)},
    **{"passenger_count": 1, "trip_distance": 2.5, "RatecodeID": 1, "store_and_fwd_flag": "N", "PULocationID": 132},
    **{"DOLocationID": 4, "payment_type": 1, "fare_amount": 10.0, "total_amount": 13.5},
}
TYPES = {
    **{"VendorID": pa.int32(), "tpep_pickup_datetime": pa.timestamp("us"), "tpep_dropoff_datetime": pa.timestamp("us")},
    **{"passenger_count": pa.int64(), "trip_distance": pa.float64(), "RatecodeID": pa.int64()},
    **{"store_and_fwd_flag": pa.string(), "PULocationID": pa.int32(), "DOLocationID": pa.int32()},
    **{"payment_type": pa.int64(), "fare_amount": pa.float64(), "total_amount": pa.float64()},
}


class FolderStorage(Storage):
    """S3 as a folder of buckets; `before` gets the name and the URI of every call first, and may end the run."""

    def __init__(self, root: Path, before: Callable[[str, str], None] = lambda call, uri: None) -> None:
        super().__init__(client=object())
        self._root, self._before = root, before

    def list(self, prefix: str) -> Iterator[Object]:
        self._before("list", prefix)
        bucket, key = split(prefix)
        home = self._root / bucket
        for path in sorted(home.rglob("*")):
            name = path.relative_to(home).as_posix()
            if path.is_file() and name.startswith(key):
                content = path.read_bytes()
                yield Object(f"s3://{bucket}/{name}", len(content), hashlib.md5(content).hexdigest())

    def get(self, uri: str) -> bytes:
        self._before("get", uri)
        return self.path(uri).read_bytes()

    def put(self, uri: str, content: bytes) -> None:
        self._before("put", uri)
        self._appear(uri, content)

    def copy(self, source: str, target: str) -> None:
        self._before("copy", target)
        self._appear(target, self.path(source).read_bytes())

    def delete(self, uris: Iterable[str]) -> None:
        for uri in uris:
            self._before("delete", uri)
            self.path(uri).unlink()

    def path(self, uri: str) -> Path:
        return self._root.joinpath(*split(uri))

    def _appear(self, uri: str, content: bytes) -> None:
        path = self.path(uri)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = self._root / f".{uuid.uuid4().hex}"
        part.write_bytes(content)
        os.replace(part, path)


@dataclass
class Lake:
    """A raw and a cleaned zone of a test's own."""

    root: Path
    name: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    runs: int = 0
    readings: dict[Any, list[dict[str, Any]]] = field(default_factory=dict)  # of test_publish.py

    @property
    def cleaned_uri(self) -> str:
        return f"s3://cleaned/{self.name}"

    @property
    def cleaned(self) -> Path:
        return self.root / "cleaned" / self.name

    def raw(self, name: str = "file.parquet") -> Path:
        path = self.root / "raw" / self.name / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put(self, rows: list[dict[str, Any]], name: str = "file.parquet", **types: Any) -> None:
        """Write a raw file of rows that differ from the usual trip, fares from 10 dollars on; `types` of columns."""
        schema = pa.schema([(column, type_) for column, type_ in {**TYPES, **types}.items() if type_ is not None])
        trips = [{**TRIP, "fare_amount": 10.0 + at, **row} for at, row in enumerate(rows)]
        pq.write_table(pa.Table.from_pylist(trips, schema), self.raw(name))

    def argv(
        self, service: str = "yellow", month: str = "2024-01", file: str = "file.parquet", **arguments: Any
    ) -> list[str]:
        self.runs += 1
        year, number = month.split("-")
        usual = {"YEAR": year, "MONTH": number, "service": service, "raw_uri": f"s3://raw/{self.name}/{file}"}
        usual |= {"cleaned_uri": self.cleaned_uri, "report_uri": f"s3://reports/{self.name}.json"}
        usual |= {"JOB_RUN_ID": f"jr_{self.runs:04d}", "min_kept": "0"}
        given = {**usual, **{name: str(value) for name, value in arguments.items()}}
        return [part for name, value in given.items() for part in (f"--{name}", value)]

    def load(
        self, *args: Any, before: Callable[[str, str], None] = lambda call, uri: None, **arguments: Any
    ) -> dict[str, Any]:
        """Load a month and return its report."""
        storage = FolderStorage(self.root, before)
        load(parse(self.argv(*args, **arguments)), storage=storage)
        report: dict[str, Any] = json.loads(storage.path(f"s3://reports/{self.name}.json").read_text())
        return report

    def current(self, table: str, service: str = "yellow", month: str = "2024-01", columns: str = "*") -> list[Any]:
        """Return the rows of the latest committed run, which staging reads."""
        committed = [row for row in self.audit() if row["status"] == "committed"]
        ours = [row for row in committed if (row["service"], f"{row['year']}-{row['month']}") == (service, month)]
        if not ours:
            return []
        run_id = max(ours, key=lambda row: (row["committed_at"], row["run_id"]))["run_id"]
        year, number = month.split("-")
        folder = self.cleaned / table / f"service={service}" / f"year={year}" / f"month={number}"
        return self.query(f"select {columns} from '{folder}/*.parquet' where run_id = '{run_id}' order by trip_id")

    def reasons(self, *args: str) -> dict[int, list[str]]:
        """Return the reasons of the rejected rows, by the row's place in `put`."""
        rows = self.current("quarantine_trips", *args, columns="fare_amount, reasons")
        return {int(row["fare_amount"]) - 10: row["reasons"] for row in rows}

    def audit(self) -> list[dict[str, Any]]:
        files = self.cleaned / "load_audit"
        return self.query(f"select * from '{files}/*.parquet'") if any(files.glob("*.parquet")) else []

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.cleaned).as_posix() for path in self.cleaned.rglob("*") if path.is_file())

    def published(self) -> tuple[tuple[str, int, int], ...]:
        """Name, time and size of every file that a reader may read: all but those that are staged."""
        files = [path for path in self.cleaned.rglob("*") if path.is_file() and "_staging" not in path.parts]
        return tuple(sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in files))

    @staticmethod
    def query(sql: str) -> list[dict[str, Any]]:
        with duckdb.connect() as connection:
            cursor = connection.execute(sql)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class SparkFiles:
    """Spark's reads and writes, on a store whose rename is a copy and a delete; a run can be ended at any call."""

    def __init__(self, session: Any) -> None:
        jvm, conf = session._jvm, session.sparkContext._jsc.hadoopConfiguration()
        compiler = jvm.org.codehaus.janino.SimpleCompiler()
        compiler.setParentClassLoader(jvm.Thread.currentThread().getContextClassLoader())
        compiler.cook(Path(__file__).with_name("CopyingFileSystem.java").read_text())
        self._class = compiler.getClassLoader().loadClass("lakehouse.CopyingFileSystem")
        conf.setClassLoader(compiler.getClassLoader())
        conf.set("fs.raw.impl", self._class.getName())
        for bucket in BUCKETS:  # which also keeps them for Spark's tasks, whose class loader is another
            jvm.org.apache.hadoop.fs.Path(f"s3://{bucket}/").getFileSystem(conf)
        self._gateway = session.sparkContext._gateway

    @contextlib.contextmanager
    def watched(self, before: Callable[[str, str], None]) -> Iterator[None]:
        """Call `before` with the name and the path of every call, one at a time."""
        from pyspark.java_gateway import ensure_callback_server_started

        ensure_callback_server_started(self._gateway)
        self._set("before", _Consumer(before))
        try:
            yield
        finally:
            self._set("before", None)

    @contextlib.contextmanager
    def dying(self, at: int) -> Iterator[None]:
        """Let none of the calls that change an object come about from that one on."""
        self._set("left", at)
        try:
            yield
        finally:
            self._set("left", 0)
            self._set("dead", False)

    @property
    def dead(self) -> bool:
        return bool(self._class.getField("dead").get(None))

    def _set(self, name: str, value: Any) -> None:
        self._class.getField(name).set(None, value)


class _Consumer:
    """A Python function as Java calls it."""

    def __init__(self, function: Callable[[str, str], None]) -> None:
        self.accept = function

    class Java:
        implements = ("java.util.function.BiConsumer",)
