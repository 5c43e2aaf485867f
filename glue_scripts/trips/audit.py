"""load_audit: one row for each run and source file. Its object is what commits a run."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq

from trips.arguments import MARKS, REASONS, Arguments
from trips.storage import Storage

COMMITTED, REFUSED = "committed", "refused"
_TEXT, _WHOLE, _TIME = pa.string(), pa.int64(), pa.timestamp("us")
SCHEMA = pa.schema(
    [
        *((name, _TEXT) for name in ("service", "year", "month", "run_id", "status", "source_file")),
        *((name, _WHOLE) for name in ("rows_read", "rows_kept", "rows_quarantined")),
        *((f"rejected_{reason}", _WHOLE) for reason in REASONS),
        *((f"suspect_{mark}", _WHOLE) for mark in MARKS),
        ("bytes", _WHOLE),
        ("seconds", pa.float64()),
        ("etag", _TEXT),
        ("unknown_columns", pa.list_(_TEXT)),
        ("thresholds", _TEXT),
        ("started_at", _TIME),
        ("committed_at", _TIME),
    ]
)


@dataclass
class FileCounts:
    """What became of a source file's rows: read as counted in it, the others as counted in what was written."""

    uri: str
    size: int
    etag: str
    rows_read: int
    unknown_columns: Sequence[str] = ()
    rows_kept: int = 0
    rows_quarantined: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    suspect: Mapping[str, int] = field(default_factory=dict)


def folder(cleaned_uri: str) -> str:
    return f"{cleaned_uri}/load_audit/"


@dataclass(frozen=True)
class LastLoad:
    """The month's latest committed load."""

    committed_at: datetime
    etags: Mapping[str, str]  # of its source files, by URI

    def next_commit(self, now: datetime) -> datetime:
        """Now, yet later than it, whatever its machine's clock said: the latest commit is the one that counts."""
        return max(now, self.committed_at + timedelta(milliseconds=1))


def put(
    storage: Storage,
    arguments: Arguments,
    files: Sequence[FileCounts],
    *,
    status: str,
    started: datetime,
    now: datetime,
) -> str:
    """Write the rows of a run as one object, in one PUT: whoever reads sees all of them or none. Returns its URI.

    :param now: the time of the commit, or of the refusal
    """
    common = {
        "service": arguments.service,
        "year": arguments.year,
        "month": arguments.month,
        "run_id": arguments.run_id,
        "status": status,
        "seconds": (now - started).total_seconds(),
        "thresholds": json.dumps(dataclasses.asdict(arguments.thresholds), sort_keys=True),
        "started_at": started,
        "committed_at": now if status == COMMITTED else None,
    }
    rows = [
        {
            **common,
            "source_file": file.uri,
            "rows_read": file.rows_read,
            "rows_kept": file.rows_kept,
            "rows_quarantined": file.rows_quarantined,
            **{f"rejected_{reason}": file.rejected.get(reason, 0) for reason in REASONS},
            **{f"suspect_{mark}": file.suspect.get(mark, 0) for mark in MARKS},
            "bytes": file.size,
            "etag": file.etag,
            "unknown_columns": list(file.unknown_columns),
        }
        for file in files
    ]
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), out)
    uri = f"{_prefix(arguments)}{now:%Y%m%dT%H%M%S%f}-{arguments.run_id}.parquet"
    storage.put(uri, out.getvalue())
    return uri


def runs(storage: Storage, arguments: Arguments) -> dict[str, str]:
    """The month's runs that have an audit object: run id -> its URI, in the order in which they were put."""
    prefix = _prefix(arguments)
    found = {each.uri.removeprefix(prefix).removesuffix(".parquet"): each.uri for each in storage.list(prefix)}
    return {name.partition("-")[2]: found[name] for name in sorted(found)}


def last_load(storage: Storage, uris: Iterable[str]) -> LastLoad | None:
    """The latest committed load of these objects; None when none was committed."""
    for uri in sorted(uris, reverse=True):
        columns = ["status", "source_file", "etag", "committed_at"]
        rows = pq.read_table(io.BytesIO(storage.get(uri)), columns=columns).to_pylist()
        if rows and rows[0]["status"] == COMMITTED:
            return LastLoad(rows[0]["committed_at"], {row["source_file"]: row["etag"] for row in rows})
    return None


def _prefix(arguments: Arguments) -> str:
    # The time first: names in order are loads in order.
    return f"{folder(arguments.cleaned_uri)}{arguments.service}-{arguments.year}-{arguments.month}-"
