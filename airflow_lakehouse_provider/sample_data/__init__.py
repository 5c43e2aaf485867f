"""Trip records like the TLC's: schemas by date, faulty rows, and a file with the expected counts beside each."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

from airflow_lakehouse_provider.config import SERVICES
from airflow_lakehouse_provider.month import Month

FIRST, LAST = Month(2011, 1), Month(2027, 12)
FORMATS = ("parquet", "csv")
MOST_ROWS = 50_000_000


def write(
    service: str, month: Month, rows: int, out_dir: Path, *, seed: int | None = None, file_format: str = "parquet"
) -> Path:
    """Write ``<service>_tripdata_<month>.<format>`` and ``<the same>.truth.json`` into ``out_dir``.

    The schema is that of the TLC's file of the month. The truth file holds how many rows a correct load keeps,
    and how many it quarantines by reason: every faulty row has exactly one reason.

    :param service: yellow or green
    :param month: from 2011-01 to 2027-12
    :param rows: rows of the file, at least 1
    :param out_dir: created when missing; a file of the same name is replaced
    :param seed: the same seed gives the same bytes; default: derived from service and month
    :param file_format: parquet or csv
    :returns: the path of the file
    :raises ValueError: naming the argument, its value and what is allowed
    """
    if service not in SERVICES:
        raise ValueError(f"service must be one of {', '.join(SERVICES)}, not {service!r}")
    if not FIRST <= month <= LAST:
        raise ValueError(f"month must be from {FIRST} to {LAST}, not {month}")
    if not 1 <= rows <= MOST_ROWS:
        raise ValueError(f"rows must be from 1 to {MOST_ROWS}, not {rows}")
    if file_format not in FORMATS:
        raise ValueError(f"file_format must be one of {', '.join(FORMATS)}, not {file_format!r}")
    # numpy and pyarrow come with the extra `local`
    from airflow_lakehouse_provider.sample_data import dirt, files, trips

    rng = trips.generator(zlib.crc32(f"{service} {month}".encode()) if seed is None else seed)
    table = trips.clean_trips(rng, service, month, rows)
    truth = dirt.plant_faults(rng, table, service, month)
    path = out_dir / f"{service}_tripdata_{month}.{file_format}"
    out_dir.mkdir(parents=True, exist_ok=True)
    files.WRITERS[file_format](table, service, month, path)
    path.with_suffix(".truth.json").write_text(json.dumps(truth, indent=2) + "\n", encoding="utf-8")
    return path
