"""The Glue script's time for a month, beside a sorted Spark copy of its bytes and DuckDB with all its rules.

    .venv/bin/python benchmarks/clean_trips.py                         # 3 M rows, then 1, 3, 10 and 30 M of ours alone
    .venv/bin/python benchmarks/clean_trips.py --rows 1000000 --sizes ""

Each contender runs in a process of its own, on two cores, and once before its runs count, as Java compiles what it
runs; the sizes of ours alone follow a small month only. The seconds are those of the work, without the start of Spark.
The memory is the process's peak, with that of its Java. DuckDB's counts are held against ours: who does less work is no
peer.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
CORES = 2
MEMORY = "4g"
SERVICE, YEAR, MONTH = "yellow", 2024, 1
MONTH_TEXT = f"{YEAR}-{MONTH:02d}"
WARM_ROWS = 20_000
CHUNK = 3_000_000  # of the generator's rows: its memory does not grow with the file

REASONS = {
    "pickup_missing": "pickup_at is null",
    "dropoff_missing": "dropoff_at is null",
    "pickup_outside_month": f"pickup_at < '{MONTH_TEXT}-01' or pickup_at >= '{MONTH_TEXT}-01'::date + interval 1 month",
    "dropoff_before_pickup": "dropoff_at < pickup_at",
    "trip_too_long": "dropoff_at - pickup_at > interval 24 hours",
    "distance_missing": "trip_distance is null and not distance_bad",
    "distance_negative": "trip_distance < 0",
    "location_unknown": "pickup_location_id not between 1 and 265 or dropoff_location_id not between 1 and 265",
    "total_missing": "total_amount is null and not total_bad",
    "total_implausible": "abs(total_amount) > 10000",
    "uncastable": "bad",
    "duplicate": "occurrence > 1",
}
MARKS = {
    "duration_long": "dropoff_at - pickup_at > interval 12 hours",
    "distance_implausible": "trip_distance > 500",
    "time_stuck": "stuck",
}
IDS = {
    "vendor_id": "VendorID",
    "passenger_count": "passenger_count",
    "rate_code_id": "RatecodeID",
    "pickup_location_id": "PULocationID",
    "dropoff_location_id": "DOLocationID",
    "payment_type_id": "payment_type",
}
MONEY = {
    name: name
    for name in ("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount", "improvement_surcharge",
                 "congestion_surcharge", "total_amount")
} | {"airport_fee": "Airport_fee"}  # fmt: skip


def raw(folder: Path, rows: int) -> Path:
    """A month of so many rows in one file, in chunks that the generator makes one after the other."""
    import pyarrow.parquet as pq

    from airflow_lakehouse_provider import sample_data
    from airflow_lakehouse_provider.month import Month

    path = folder / "raw" / f"{rows}.parquet"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    writer, left, began = None, rows, time.monotonic()
    for seed in range(-(-rows // CHUNK)):
        part = sample_data.write(SERVICE, Month(YEAR, MONTH), min(CHUNK, left), folder / "part", seed=seed)
        left -= CHUNK
        table = pq.read_table(part)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
        writer.write_table(table, row_group_size=1 << 20)
    assert writer is not None
    writer.close()
    shutil.rmtree(folder / "part")
    print(
        f"  {rows:,} rows generated in {time.monotonic() - began:.1f} s, {path.stat().st_size / 1e6:.0f} MB", flush=True
    )
    return path


def spark_session(folder: Path) -> Any:
    from lakehouse_local.glue.jobs.spark import environment

    for bucket in ("raw", "cleaned", "copy", "reports"):
        (folder / bucket).mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(dir=folder))
    # Java as on a worker that runs for minutes: the local AWS's settings are for jobs of seconds.
    java = ["-XX:TieredStopAtLevel=4", "-XX:-UseSerialGC", "-XX:+UseParallelGC"]
    os.environ.update(environment(directory=home, store=folder, memory=MEMORY, cores=CORES, java_options=java))
    from pyspark.sql import SparkSession

    return SparkSession.builder.getOrCreate()


def ours(folder: Path) -> Callable[[Path], dict[str, Any]]:
    spark_session(folder)
    sys.path.insert(0, str(ROOT / "glue_scripts"))
    from trips.arguments import parse
    from trips.load import load

    storage = folder_storage(folder)

    def clean(path: Path) -> dict[str, Any]:
        argv = ["--YEAR", str(YEAR), "--MONTH", str(MONTH), "--service", SERVICE, "--report_uri", "s3://reports/r.json"]
        load(
            parse([*argv, "--raw_uri", f"s3://raw/{path.name}", "--cleaned_uri", "s3://cleaned/zone"]), storage=storage
        )
        report: dict[str, Any] = json.loads((folder / "reports/r.json").read_text())
        return {"kept": report["rows_kept"], "reasons": report["quarantined"]}

    return clean


def folder_storage(folder: Path) -> Any:
    """The script's S3 as plain files: the same calls, no network."""
    import hashlib

    from trips.storage import Object, Storage, split

    class Files(Storage):
        def list(self, prefix: str) -> Any:
            bucket, key = split(prefix)
            for path in sorted((folder / bucket).rglob("*")):
                name = path.relative_to(folder / bucket).as_posix()
                if path.is_file() and name.startswith(key):
                    stamp = path.stat()
                    etag = hashlib.md5(f"{stamp.st_mtime_ns} {stamp.st_size}".encode()).hexdigest()  # noqa: S324
                    yield Object(f"s3://{bucket}/{name}", stamp.st_size, etag)

        def get(self, uri: str) -> bytes:
            return folder.joinpath(*split(uri)).read_bytes()

        def put(self, uri: str, content: bytes) -> None:
            path = folder.joinpath(*split(uri))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

        def copy(self, source: str, target: str) -> None:
            path = folder.joinpath(*split(target))
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder.joinpath(*split(source)), path)

        def delete(self, uris: Any) -> None:
            for uri in uris:
                folder.joinpath(*split(uri)).unlink()

    return Files(client=object())


def sorted_copy(folder: Path) -> Callable[[Path], dict[str, Any]]:
    """Read, shuffle by pickup, sort, write: what no cleaning in Spark that sorts its files can do without."""
    spark = spark_session(folder)
    spark.conf.set("spark.sql.adaptive.enabled", "false")

    def copy(path: Path) -> dict[str, Any]:
        frame = spark.read.parquet(f"s3://raw/{path.name}")
        rows = frame.count()
        files = min(max(-(-rows // 750_000), 1), 4)
        ordered = frame.repartition(files, "tpep_pickup_datetime").sortWithinPartitions("tpep_pickup_datetime")
        ordered.write.mode("overwrite").parquet("s3://copy/month")
        return {"kept": rows}

    return copy


def duckdb_rules(folder: Path) -> Callable[[Path], dict[str, Any]]:
    """The same rules, values and tables, counts included, by DuckDB."""
    import duckdb

    connection = duckdb.connect()
    connection.execute(f"set threads = {CORES}; set memory_limit = '{MEMORY}B'; set temp_directory = '{folder}/spill'")

    def whole(raw_name: str) -> str:
        return f"try_cast({raw_name} as integer)"

    def money(raw_name: str) -> str:
        # On the decimal text, half up, as the script: a double of 1.005 is a little less.
        return f"try_cast(round(try_cast({raw_name}::varchar as decimal(18, 6)), 2) as decimal(10, 2))"

    def clean(path: Path) -> dict[str, Any]:
        out = folder / "duckdb"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        values = {name: whole(column) for name, column in IDS.items()} | {
            name: money(column) for name, column in MONEY.items()
        }
        raw_names = {**IDS, **MONEY}
        bad = " or ".join(f"({column} is not null and {values[name]} is null)" for name, column in raw_names.items())
        every = ", ".join(
            f'"{row[0]}"' for row in connection.execute(f"describe from read_parquet('{path}')").fetchall()
        )
        reasons = " ".join(
            f"+ case when {rule} then {1 << bit} else 0 end" for bit, rule in enumerate(REASONS.values())
        )
        marks = ", ".join(f"case when {rule} then '{name}' end" for name, rule in MARKS.items())
        # Beside the values, as they came: for the rejected rows' JSON.
        bare = [name.strip('"') for name in every.split(", ")]
        every_named = ", ".join(f'"{name}" as "raw {name}"' for name in bare)
        raw_names_listed = ", ".join(f'"raw {name}"' for name in bare)
        raw_row = ", ".join(f"'{name}', \"raw {name}\"" for name in bare)
        connection.execute(f"""
            create or replace table judged as
            with raw as (
                select *, row_number() over (partition by tpep_pickup_datetime, hash_1, hash_2) as occurrence
                from (
                    select *, hash(1, '{SERVICE}', '{MONTH_TEXT}', {every}) as hash_1,
                        hash(2, '{SERVICE}', '{MONTH_TEXT}', {every}) as hash_2
                    from read_parquet('{path}')
                )
            ),
            vendors as (
                select VendorID as vendor,
                    bool_and(coalesce(minute(tpep_pickup_datetime) = {MONTH}
                        and minute(tpep_dropoff_datetime) = {MONTH}, false)) as stuck
                from read_parquet('{path}') group by VendorID
            ),
            typed as (
                select raw.*, {", ".join(f"{value} as c_{name}" for name, value in values.items())},
                    tpep_pickup_datetime as pickup_at, tpep_dropoff_datetime as dropoff_at,
                    trip_distance is not null and not isfinite(trip_distance) as distance_bad,
                    coalesce(vendors.stuck, false) as stuck
                from raw left join vendors on raw.VendorID = vendors.vendor
            ),
            named as (
                select format('{{:016X}}{{:016X}}', hash_1, hash_2) as trip_id, occurrence, stuck,
                    distance_bad, pickup_at, dropoff_at, store_and_fwd_flag,
                    case when not distance_bad then trip_distance end as trip_distance,
                    total_amount is not null and c_total_amount is null as total_bad,
                    distance_bad or {bad} as bad,
                    {", ".join(f"c_{name} as {name}" for name in values)},
                    {every_named}
                from typed
            ),
            masked as (select *, 0 {reasons} as mask from named)
            select * exclude ({raw_names_listed}), case when mask <> 0 then json_object({raw_row}) end as raw_row,
                list_filter([{marks}], lambda mark: mark is not null) as suspect
            from masked
        """)
        columns = "* exclude (occurrence, stuck, distance_bad, total_bad, bad, mask, raw_row)"
        for name, rule in (("trips", "mask = 0"), ("quarantine", "mask <> 0")):
            extra = ", raw_row, mask" if name == "quarantine" else ""
            connection.execute(
                f"copy (select {columns}, total_amount < 0 as is_reversal{extra} from judged where {rule} "
                f"order by pickup_at) to '{out}/{name}.parquet' (compression snappy)"
            )
        counted = ", ".join(f"count_if(mask & {1 << bit} <> 0)" for bit in range(len(REASONS)))
        kept = connection.execute(f"select count(*) from '{out}/trips.parquet'").fetchone()
        row = connection.execute(f"select {counted} from '{out}/quarantine.parquet'").fetchone()
        connection.execute("drop table judged")
        assert kept is not None
        assert row is not None
        found = dict(zip(REASONS, row, strict=True))
        return {"kept": kept[0], "reasons": {name: rows for name, rows in sorted(found.items()) if rows}}

    return clean


CONTENDERS = {"sorted copy": sorted_copy, "ours": ours, "duckdb": duckdb_rules}


def contend(name: str, folder: Path, path: Path, warm: Path, runs: int) -> None:
    """In a process of its own: the seconds of each run, and the peak of memory, as a line of JSON."""
    work = CONTENDERS[name](folder)
    work(warm)
    seconds, cpu = [], []
    answer: dict[str, Any] = {}
    for _ in range(runs):
        began, used = time.monotonic(), cpu_seconds()
        answer = work(path)
        seconds.append(time.monotonic() - began)
        cpu.append(cpu_seconds() - used)
    print("\n" + json.dumps({**answer, "seconds": seconds, "cpu": cpu, "peak": peak()}))


def children() -> list[str]:
    """This process's children: Spark's Java."""
    return [child for task in Path("/proc/self/task").iterdir() for child in (task / "children").read_text().split()]


def cpu_seconds() -> float:
    """Return the processor time of this process and its children: a busy machine does not change it much."""
    own = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    for child in children():
        fields = Path(f"/proc/{child}/stat").read_text().rpartition(") ")[2].split()
        own += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own


def peak() -> int:
    """Peak memory of this process and of its children, in bytes."""
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    for child in children():
        status = Path(f"/proc/{child}/status").read_text()
        own += int(status.partition("VmHWM:")[2].split()[0]) * 1024
    return own


def run(name: str, folder: Path, path: Path, warm: Path, runs: int) -> dict[str, Any]:
    command = [sys.executable, __file__, "--contender", name, "--folder", str(folder), "--runs", str(runs)]
    done = subprocess.run([*command, str(path), str(warm)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {**found, "median": statistics.median(found["seconds"]), "cpu": statistics.median(found["cpu"])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=3_000_000)
    parser.add_argument("--sizes", default="1,3,10,30", help="millions of rows of ours alone, with commas")
    parser.add_argument("--runs", type=int, default=5, help="of each contender; the median counts")
    parser.add_argument("--folder", type=Path, help="where to work; default: a temporary one")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    parser.add_argument("files", nargs="*", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.contender:
        path, warm = given.files
        contend(given.contender, given.folder, path, warm, given.runs)
        return
    folder = given.folder or Path(tempfile.mkdtemp(prefix="clean-trips-"))
    try:
        compare(folder, given.rows, given.runs)
        grow(folder, [round(float(size) * 1e6) for size in given.sizes.split(",") if size])
    finally:
        if not given.folder:
            shutil.rmtree(folder)


def compare(folder: Path, rows: int, runs: int) -> None:
    path = raw(folder, rows)
    found = {name: run(name, folder, path, path, runs) for name in CONTENDERS}
    for part in ("kept", "reasons"):
        if found["ours"][part] != found["duckdb"][part]:
            raise SystemExit(f"{part}: ours {found['ours'][part]}, DuckDB {found['duckdb'][part]}")
    print(f"\n{rows:,} rows, {CORES} cores, median of {runs}; kept {found['ours']['kept']:,}, the same by DuckDB\n")
    print("| | seconds | rows/s | ours is | CPU seconds | ours is | peak memory |\n|---|---:|---:|---:|---:|---:|---:|")
    for name, each in found.items():
        times = f"{found['ours']['median'] / each['median']:.2f} x"
        speed = f"{rows / each['median']:,.0f}"
        cpu = f"{each['cpu']:.1f} | {found['ours']['cpu'] / each['cpu']:.2f} x"
        memory = f"{each['peak'] / 1e9:.1f} GB"
        print(f"| {name} | {each['median']:.1f} | {speed} | {times} | {cpu} | {memory} |", flush=True)


def grow(folder: Path, sizes: list[int]) -> None:
    if not sizes:
        return
    warm = raw(folder, WARM_ROWS)
    print("\n| rows, ours | seconds | rows/s | CPU seconds | peak memory |\n|---|---:|---:|---:|---:|")
    for size in sizes:
        each = run("ours", folder, raw(folder, size), warm, 1)
        speed = f"{size / each['median']:,.0f}"
        memory = f"{each['peak'] / 1e9:.1f} GB"
        print(f"| {size:,} | {each['median']:.1f} | {speed} | {each['cpu']:.1f} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
