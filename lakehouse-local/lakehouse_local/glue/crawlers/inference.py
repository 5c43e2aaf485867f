"""Format and columns of an object, found by reading it, as a crawler's classifiers do."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lakehouse_local.glue.crawlers.csv_sniffer import CsvShape, sniff
from lakehouse_local.glue.crawlers.hive_types import Columns, common, schema_columns

_SAMPLE = 1 << 20  # bytes of a text file that are read
_MOST_ROWS = 1000
_INT = range(-(2**31), 2**31)


class Unclassifiable(Exception):
    """An object that no classifier recognizes, or that cannot be read in its format; the message gives the reason."""


@dataclass(frozen=True)
class Contents:
    """The contents of one object."""

    format: str  # parquet, orc, json, csv
    columns: Columns
    records: int  # an estimate for text
    compression: str = "none"
    csv: CsvShape | None = field(default=None, compare=False)


def contents(path: Path) -> Contents:
    """Read the part of a file that determines its columns.

    :raises Unclassifiable: no classifier recognizes it
    """
    with path.open("rb") as file:
        head = file.read(4)
        if head == b"PAR1":
            return _binary("parquet", path, _parquet)
        if head[:3] == b"ORC":
            return _binary("orc", path, _orc)
        file.seek(0)
        compression = "gzip" if head[:2] == b"\x1f\x8b" else "none"
        try:
            sample = (gzip.GzipFile(fileobj=file) if compression == "gzip" else file).read(_SAMPLE)
        except (OSError, EOFError) as error:
            raise Unclassifiable(f"it is not a whole gzip file: {error}") from None
    size = path.stat().st_size
    return _text(sample, size, compression)


def _binary(name: str, path: Path, read: Callable[[Path], tuple[pa.Schema, int, str]]) -> Contents:
    try:
        schema, records, compression = read(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise Unclassifiable(f"it begins as {name} and cannot be read: {' '.join(str(error).split())[:200]}") from None
    return Contents(name, schema_columns(schema), records, compression)


def _parquet(path: Path) -> tuple[pa.Schema, int, str]:
    with pq.ParquetFile(path) as file:
        # Crawlers write "none" whatever the codec is, because compression is part of the format.
        return file.schema_arrow, file.metadata.num_rows, "none"


def _orc(path: Path) -> tuple[pa.Schema, int, str]:
    from pyarrow import orc

    file = orc.ORCFile(path)
    return file.schema, file.nrows, "none"


def _text(sample: bytes, size: int, compression: str) -> Contents:
    whole = len(sample) < _SAMPLE
    if not whole:
        sample = sample[: sample.rfind(b"\n") + 1] or sample
    try:
        text = sample.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unclassifiable(f"it is neither Parquet, ORC nor UTF-8 text: {error.reason}") from None
    if "\0" in text:
        raise Unclassifiable("it is neither Parquet, ORC nor text")
    scale = 1.0 if whole or compression != "none" else size / max(1, len(sample))
    if text.lstrip()[:1] in ("{", "["):
        columns, records = _json(text)
        return Contents("json", columns, round(records * scale), compression)
    shape = sniff(text)
    if shape is None:
        raise Unclassifiable("it is text of one column or of no common delimiter")
    return Contents("csv", shape.columns, round(shape.records * scale), compression, shape)


def _json(text: str) -> tuple[Columns, int]:
    columns: Columns = {}
    records = 0
    try:
        for record in _records(text):
            if not isinstance(record, dict):
                raise Unclassifiable("it is JSON, and its records are not objects")
            records += 1
            if records <= _MOST_ROWS:
                for name, value in record.items():
                    type_ = json_type(value)
                    if type_ is not None:
                        key = name.lower()
                        columns[key] = common(columns[key], type_) if key in columns else type_
                    else:
                        columns.setdefault(name.lower(), "string")
    except ValueError as error:
        raise Unclassifiable(f"it begins as JSON and cannot be read: {error}") from None
    if not records:
        raise Unclassifiable("it is JSON without a record")
    return columns, records


def _records(text: str) -> Any:
    decoder = json.JSONDecoder()
    position = 0
    while found := re.compile(r"\S").search(text, position):
        record, position = decoder.raw_decode(text, found.start())
        yield from record if isinstance(record, list) else [record]


def json_type(value: Any) -> str | None:
    """Return the Hive type of a JSON value; None for null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "int" if value in _INT else "bigint"
    if isinstance(value, float):
        return "double"
    if isinstance(value, list):
        inner: str | None = None
        for item in value:
            type_ = json_type(item)
            inner = type_ if inner is None else inner if type_ is None else common(inner, type_)
        return f"array<{inner or 'string'}>"
    if isinstance(value, dict):
        fields = (f"{name.lower()}:{json_type(item) or 'string'}" for name, item in value.items())
        return f"struct<{','.join(fields)}>"
    return "string"
