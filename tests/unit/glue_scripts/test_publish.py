"""A month as its readers see it while it is loaded, killed, loaded again and refused."""

from __future__ import annotations

import datetime
import math
from decimal import Decimal

import pytest

pytest.importorskip("pyspark", reason="needs the extra 'local'")

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions

from trips import load as load_module
from trips.arguments import parse
from trips.columns import TRIPS
from trips.errors import LoadError
from trips.publish import leftovers

from .lake import FolderStorage

pytestmark = pytest.mark.spark

BAD = {"trip_distance": -1.0}


def seen(lake, *month):
    """Return a month's rows as a reader sees them, without the columns that differ from run to run."""
    files = (month, lake.published())
    if files not in lake.readings:  # equal files have equal rows: most calls of a run change none of them
        rows = [*lake.current("trips", *month), *lake.current("quarantine_trips", *month)]
        lake.readings[files] = [
            {name: value for name, value in row.items() if name not in ("run_id", "loaded_at")} for row in rows
        ]
    return lake.readings[files]


class Killed(BaseException):
    """The end of a run as by SIGKILL: no later call of the run comes about either."""


def test_at_every_storage_call_the_month_is_as_it_was_or_as_it_becomes(lake):
    """Look before each call: a run that is killed there leaves the files of that moment."""
    lake.put([{}, {}, BAD], "a.parquet")
    lake.put([{"total_amount": 99.0}, BAD], "b.parquet")
    lake.load(file="a.parquet")
    lake.load("green", file="a.parquet")
    before, others, states, calls = seen(lake), seen(lake, "green"), [], []

    def look(call, uri):
        calls.append(call)
        states.append(seen(lake))
        assert seen(lake, "green") == others

    lake.load(file="b.parquet", before=look)
    after = seen(lake)
    assert sorted(str(row["total_amount"]) for row in after) == ["13.50", "99.00"]
    commit = states.index(after)
    assert states == [before] * commit + [after] * (len(states) - commit)
    assert (calls[commit - 1], set(calls)) == ("put", {"list", "get", "copy", "put", "delete"})


class Dies:
    """The end of a run at its n-th storage call, or at its first of that name, before the call has any effect."""

    def __init__(self, at):
        self.at, self.calls, self.dead = at, [], False

    def __call__(self, call, uri):
        self.calls.append((call, uri))
        self.dead = self.dead or self.at in (call, len(self.calls))
        if self.dead:
            raise Killed(f"{call} {uri}")


@pytest.mark.slow
def test_killed_before_at_and_after_its_commit_the_month_is_whole_and_the_next_load_clears_up(lake):
    lake.put([{}, BAD], "a.parquet")
    lake.put([{"total_amount": 99.0}, BAD], "b.parquet")
    lake.load(file="a.parquet")
    before, states = seen(lake), []
    for fatal in ("copy", "put", "delete"):
        with pytest.raises(Killed):
            lake.load(file="b.parquet", before=Dies(fatal))
        states.append(seen(lake))
    assert states[:2] == [before, before]
    assert sorted(str(row["total_amount"]) for row in states[2]) == ["13.50", "99.00"]
    lake.load(file="a.parquet")
    assert seen(lake) == before
    left = {name.rpartition("/")[2].partition("-")[0] for name in lake.files() if not name.startswith("load_audit/")}
    assert left == {f"jr_{lake.runs:04d}"}


@pytest.mark.slow
def test_killed_at_every_storage_call_the_month_is_whole_and_the_next_load_clears_up(lake):
    """Kill a run at every call once: readers see one month or the other, and the next load leaves only its own files.

    Dead runs pile up on purpose: what several of them left has to go just the same.
    """
    lake.put([{}, BAD], "a.parquet")
    lake.put([{"total_amount": 99.0}, BAD], "b.parquet")
    lake.load("green", file="a.parquet")
    lake.load(file="a.parquet")
    others = seen(lake, "green")
    months = {"a.parquet": seen(lake)}
    lake.load(file="b.parquet")
    months["b.parquet"] = seen(lake)
    now, target, at, committed, kinds = "b.parquet", "a.parquet", 1, 0, set()
    while True:
        killer = Dies(at)
        try:
            lake.load(file=target, before=killer)
        except Killed:
            kinds.add(killer.calls[at - 1][0])
        else:
            break  # there is no such call any more: the run came to its end
        state = seen(lake)
        assert state in (months[now], months[target]), killer.calls[at - 1]
        assert seen(lake, "green") == others
        if state == months[target] and now != target:
            committed += 1
            now, target = target, now
        at += 1
    assert kinds == {"list", "get", "copy", "put", "delete"}
    assert committed > 3  # deaths after the commit: the report, and each deletion
    assert seen(lake) == months[target]
    assert seen(lake, "green") == others
    last = f"jr_{lake.runs:04d}"
    left = {name.rpartition("/")[2].partition("-")[0] for name in lake.files() if not name.startswith("load_audit/")}
    assert left == {"jr_0001", last}


def test_at_every_call_of_sparks_the_month_is_as_it_was_and_the_next_load_would_clear_up(lake, spark):
    """Look before each call on a store whose rename is a copy and a delete: Spark writes into the run's own folder."""
    lake.put([{}, BAD], "a.parquet")
    lake.put([{"total_amount": 99.0}, BAD], "b.parquet")
    lake.load(file="a.parquet")
    before, audits, calls = seen(lake), [f"load_audit/{path.name}" for path in lake.cleaned.glob("load_audit/*")], []
    next_load = parse(lake.argv())

    def look(call, path):
        calls.append(call)
        assert seen(lake) == before, (call, path)
        if call not in ("open", "list"):
            assert f"/{lake.name}/_staging/" in path, (call, path)
        found = {uri.removeprefix(f"{lake.cleaned_uri}/") for uri in leftovers(FolderStorage(lake.root), next_load)}
        assert found == {*lake.files()} - {*audits}, (call, path)

    with spark.spark_files.watched(look):
        lake.load(file="b.parquet")
    assert set(calls) == {"open", "list", "mkdirs", "create", "copy", "delete"}
    assert seen(lake) != before


@pytest.mark.slow
def test_killed_at_every_write_of_sparks_the_month_is_as_it_was_and_the_next_load_clears_up(lake, spark):
    """Kill a run at every write once, on a store whose rename is a copy and a delete. Dead runs pile up on purpose."""
    lake.put([{}, BAD], "a.parquet")
    lake.put([{"total_amount": 99.0}, BAD], "b.parquet")
    lake.load(file="a.parquet")
    before, at = seen(lake), 1

    def killed(call, uri):
        if spark.spark_files.dead:
            raise Killed(f"{call} {uri}")

    while True:
        with spark.spark_files.dying(at):
            try:
                lake.load(file="b.parquet", before=killed)
            except Killed:
                assert seen(lake) == before, at
            else:
                break  # Spark makes no such call any more
        at += 1
    assert at > 3 * 4  # three writes, each creates a file, copies it twice and deletes what it copied
    assert [str(row["total_amount"]) for row in lake.current("trips")] == ["99.00"]
    left = {name.rpartition("/")[2].partition("-")[0] for name in lake.files() if not name.startswith("load_audit/")}
    assert left == {f"jr_{lake.runs:04d}"}


def test_what_cannot_be_written_is_no_fault_of_the_raw_file(lake, spark):
    lake.put([{}, BAD])
    lake.load()
    before = seen(lake)

    def denied(call, path):
        if call == "create":
            raise PermissionError("Access Denied (Status Code: 403)")

    with (
        spark.spark_files.watched(denied),
        pytest.raises(
            LoadError, match=r"yellow 2024-01 could not be written to s3://cleaned/.*_staging/.*: .*job's role"
        ),
    ):
        lake.load()
    assert seen(lake) == before


@pytest.mark.slow
def test_each_call_after_the_commit_may_fail_too(lake, capsys):
    lake.put([{}])
    lake.load()

    def failing(call, uri):
        if call == "delete":
            raise OSError("the storage is away")

    report = lake.load(before=failing)
    assert report["rows_kept"] == 1
    assert (
        "superseded files are not deleted, the month's next load deletes them: OSError: the storage is away"
        in capsys.readouterr().out
    )
    lake.load()
    assert {name.split("/")[-1][:7] for name in lake.files() if "load_audit" not in name} == {"jr_0003"}


def test_a_rerun_gives_equal_rows_and_says_when_the_raw_file_changed(lake, capsys):
    lake.put([{}, {"total_amount": 7.0}, BAD])
    first, again = lake.load(), None
    rows = seen(lake)
    again = lake.load()
    assert seen(lake) == rows
    assert {row["run_id"] for row in lake.current("trips")} == {again["run_id"]}
    assert again["changed_files"] == first["changed_files"] == []
    assert "changed since" not in capsys.readouterr().out
    lake.put([{"total_amount": 8.0}])
    changed = lake.load()
    assert changed["changed_files"] == [f"s3://raw/{lake.name}/file.parquet"]
    assert "it has changed since its last load" in capsys.readouterr().out
    assert [str(row["total_amount"]) for row in lake.current("trips")] == ["8.00"]


def test_a_rejected_rows_raw_text_is_the_json_of_its_row(lake, spark):
    at = datetime.datetime
    unknown = {
        **{"double": [math.nan, -0.0, 1e300], "float": [1.1, -math.inf, None], "text": ['"a",\n', "", "é"]},
        **{
            "bool": [True, None, False],
            "bytes": [b"a", b"\xff\x00", None],
            "time": [at(1, 1, 1), at(9999, 12, 31), None],
        },
        **{
            "decimal": [Decimal("1.50"), None, Decimal("-0.01")],
            "date": [at(2024, 2, 29).date(), None, at(1, 1, 1).date()],
        },
        **{"list": [["a", None], [], None], "struct": [{"x": 1, "y": None}, None, {"x": None, "y": "b"}]},
    }
    types = {
        **{
            "double": pa.float64(),
            "float": pa.float32(),
            "text": pa.string(),
            "bool": pa.bool_(),
            "bytes": pa.binary(),
        },
        **{"time": pa.timestamp("us"), "decimal": pa.decimal128(12, 2), "date": pa.date32()},
        **{"list": pa.list_(pa.string()), "struct": pa.struct({"x": pa.int32(), "y": pa.string()})},
    }
    rows = [{name: values[number] for name, values in unknown.items()} | BAD for number in range(3)]
    lake.put(rows, **types)
    lake.load()
    options = {"ignoreNullFields": "false", "timestampFormat": "yyyy-MM-dd HH:mm:ss.SSSSSS"}
    raw = spark.read.parquet(f"s3://raw/{lake.name}/file.parquet")
    expected = [row[0] for row in raw.select(functions.to_json(functions.struct("*"), options)).collect()]
    assert sorted(row["raw_row"] for row in lake.current("quarantine_trips")) == sorted(expected)


def test_files_as_published(lake):
    lake.put([{}, BAD])
    report = lake.load(month="2024-01")
    month = "service=yellow/year=2024/month=01"
    assert [name for name in lake.files() if "load_audit" not in name] == [
        f"quarantine_trips/{month}/jr_0001-00000.parquet",
        f"trips/{month}/jr_0001-00000.parquet",
    ]
    assert sorted(report["files"]) == [
        f"{lake.cleaned_uri}/{name}" for name in lake.files() if "load_audit" not in name
    ]
    trips = pq.read_schema(lake.cleaned / f"trips/{month}/jr_0001-00000.parquet")
    quarantined = pq.read_schema(lake.cleaned / f"quarantine_trips/{month}/jr_0001-00000.parquet")
    money = pa.decimal128(10, 2)
    assert trips.names == list(TRIPS)
    assert quarantined.names == [*TRIPS, "reasons", "raw_row"]
    assert {str(trips.field(name).type) for name in ("pickup_at", "dropoff_at", "loaded_at")} == {"timestamp[us]"}
    assert {trips.field(name).type for name in TRIPS if name.endswith(("amount", "fee", "tax", "surcharge"))} == {money}
    assert (trips.field("vendor_id").type, trips.field("trip_distance").type) == (pa.int32(), pa.float64())
    assert str(trips.field("suspect").type).startswith("list<")


@pytest.mark.parametrize(
    ("rows", "counts"),
    [([], (0, 0)), *(pytest.param(*each, marks=pytest.mark.slow) for each in (([BAD], (0, 1)), ([{}], (1, 0))))],
)
def test_a_table_without_rows_has_its_columns_all_the_same(lake, rows, counts):
    lake.put([{}, {}, BAD])
    lake.load()
    lake.put(rows)
    report = lake.load(allow_empty="true")
    assert (report["rows_kept"], report["rows_quarantined"]) == counts
    assert (len(lake.current("trips")), len(lake.current("quarantine_trips"))) == counts
    tables = {name.split("/")[0] for name in lake.files() if "jr_0002-" in name}
    assert tables == {"trips", "quarantine_trips"}


def test_a_month_of_which_too_little_would_be_kept_is_refused(lake):
    lake.put([{}] * 1)
    lake.load()
    before = seen(lake)
    lake.put([{}, BAD, {"total_amount": None}, {}])
    with pytest.raises(LoadError) as refused:
        lake.load(min_kept=0.75)
    assert "yellow 2024-01 is refused: 2 of 4 rows would be kept, 50.0%, and --min_kept is 75.0%" in str(refused.value)
    assert "distance_negative 1, total_missing 1" in str(refused.value)
    assert seen(lake) == before
    assert [name for name in lake.files() if "jr_0002" in name and "load_audit" not in name] == []
    (audit,) = (row for row in lake.audit() if row["status"] == "refused")
    assert (audit["rows_read"], audit["rows_kept"], audit["rows_quarantined"]) == (4, 2, 2)
    assert (audit["rejected_distance_negative"], audit["committed_at"]) == (1, None)
    assert lake.load(min_kept=0.5)["rows_kept"] == 2


def test_a_later_commit_counts_whatever_the_clocks_say(lake, monkeypatch):
    lake.put([{}])
    future = datetime.datetime(2099, 1, 1)
    with monkeypatch.context() as patch:
        patch.setattr(load_module, "_now", lambda: future)
        lake.load()
    lake.put([{"total_amount": 1.0}])
    lake.load()
    assert [str(row["total_amount"]) for row in lake.current("trips")] == ["1.00"]
    assert max(row["committed_at"] for row in lake.audit()) == future + datetime.timedelta(milliseconds=1)


@pytest.mark.parametrize(
    "moment", ["copies", *(pytest.param(each, marks=pytest.mark.slow) for each in ("counts", "looks"))]
)
def test_of_two_runs_at_once_one_says_so_and_the_month_is_whole(lake, moment):
    lake.put([{}], "a.parquet")
    lake.put([{"total_amount": 1.0}], "b.parquet")
    other = []

    def meanwhile(call, uri):
        """Start the other run when this one has staged its rows, when it copies them, or when it lists the copies."""
        staged = call == "list" and "/jr_0001/" in uri
        copied = call == "list" and any(lake.cleaned.glob("quarantine_trips/*/*/*/jr_0001-*"))
        if not other and {"counts": staged, "copies": call == "copy", "looks": copied}[moment]:
            other.append(True)
            lake.load(file="b.parquet")

    with pytest.raises(
        LoadError, match="another run loaded yellow 2024-01 at the same time, jr_0002, and this one failed"
    ):
        lake.load(file="a.parquet", before=meanwhile)
    assert [str(row["total_amount"]) for row in lake.current("trips")] == ["1.00"]
    assert [row["status"] for row in lake.audit()] == ["committed"]


def test_a_run_id_is_used_once(lake):
    lake.put([{}])
    lake.load(JOB_RUN_ID="jr_x")
    with pytest.raises(LoadError, match=r"the run jr_x has ended: its result is in s3://cleaned/.*-jr_x\.parquet"):
        lake.load(JOB_RUN_ID="jr_x")


def test_a_raw_file_that_is_replaced_while_it_is_read(lake):
    lake.put([{}])

    def replace(call, uri):
        if call == "list" and "_staging" in uri and "__kept" in uri:
            lake.put([{"total_amount": 5.0}])

    with pytest.raises(LoadError, match=r"file\.parquet was replaced while it was read: run the month again"):
        lake.load(before=replace)
    assert lake.files() == []


def test_a_big_month_has_few_files_each_sorted_by_pickup(lake, monkeypatch):
    from airflow_lakehouse_provider import sample_data
    from airflow_lakehouse_provider.month import Month
    from trips import transform

    monkeypatch.setattr(transform, "_ROWS_PER_FILE", 1_000)
    sample_data.write("yellow", Month(2024, 1), 9_000, lake.raw().parent)
    lake.load(file="yellow_tripdata_2024-01.parquet")
    files = sorted((lake.cleaned / "trips").rglob("*.parquet"))
    assert len(files) == 4
    for file in files:
        pickups = pq.read_table(file, columns=["pickup_at"])["pickup_at"].to_pylist()
        assert pickups == sorted(pickups)
        assert len(pickups) > 1_000
