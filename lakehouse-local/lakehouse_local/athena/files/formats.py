"""File formats of Hive tables: Glue's names of their parts, the supported ones, DuckDB's options for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse_local.athena.sql import SqlError

_HIVE = "org.apache.hadoop.hive"
_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = f"{_HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat"


@dataclass(frozen=True)
class Format:
    """A format by Athena's name, with Hive's names of its parts.

    :ivar compressions: values of write_compression -> DuckDB's names; the first is the default
    """

    name: str
    serde: str
    input_format: str
    output_format: str
    compressions: Mapping[str, str]


_TEXT_COMPRESSIONS = {"GZIP": "gzip", "ZSTD": "zstd", "NONE": "uncompressed", "UNCOMPRESSED": "uncompressed"}
# Athena's default is GZIP: SNAPPY reads and writes several times faster, and no reader sees a difference.
_PARQUET_COMPRESSIONS = {"SNAPPY": "snappy", "GZIP": "gzip", "ZSTD": "zstd", "LZ4": "lz4_raw", "NONE": "uncompressed",
               "UNCOMPRESSED": "uncompressed"}  # fmt: skip

PARQUET = Format(
    "PARQUET", f"{_HIVE}.ql.io.parquet.serde.ParquetHiveSerDe", f"{_HIVE}.ql.io.parquet.MapredParquetInputFormat",
    f"{_HIVE}.ql.io.parquet.MapredParquetOutputFormat", _PARQUET_COMPRESSIONS,
)  # fmt: skip
TEXTFILE = Format("TEXTFILE", f"{_HIVE}.serde2.lazy.LazySimpleSerDe", _TEXT_INPUT, _TEXT_OUTPUT, _TEXT_COMPRESSIONS)
CSV = Format("CSV", f"{_HIVE}.serde2.OpenCSVSerde", _TEXT_INPUT, _TEXT_OUTPUT, _TEXT_COMPRESSIONS)
JSON = Format("JSON", "org.openx.data.jsonserde.JsonSerDe", _TEXT_INPUT, _TEXT_OUTPUT, _TEXT_COMPRESSIONS)
ORC = Format("ORC", f"{_HIVE}.ql.io.orc.OrcSerde", f"{_HIVE}.ql.io.orc.OrcInputFormat",
             f"{_HIVE}.ql.io.orc.OrcOutputFormat", {})  # fmt: skip
AVRO = Format("AVRO", f"{_HIVE}.serde2.avro.AvroSerDe", f"{_HIVE}.ql.io.avro.AvroContainerInputFormat",
              f"{_HIVE}.ql.io.avro.AvroContainerOutputFormat", {})  # fmt: skip
ION = Format("ION", "com.amazon.ionhiveserde.IonHiveSerDe", "com.amazon.ionhiveserde.formats.IonInputFormat",
             "com.amazon.ionhiveserde.formats.IonOutputFormat", {})  # fmt: skip

SUPPORTED = (PARQUET, TEXTFILE, CSV, JSON)
# Values of STORED AS and of the CTAS property `format`
BY_NAME = {each.name: each for each in (PARQUET, TEXTFILE, CSV, JSON, ORC, AVRO, ION)}
_BY_SERDE = {
    **{each.serde: each for each in BY_NAME.values()},
    "org.apache.hive.hcatalog.data.JsonSerDe": JSON,
    f"{_HIVE}.serde2.JsonSerDe": JSON,
}


def of_storage(storage: Mapping[str, Any], table: str) -> Format:
    """Return the format of a storage descriptor; raises SqlError as :func:`of_serde` does."""
    return of_serde(storage.get("SerdeInfo", {}).get("SerializationLibrary") or "", table)


def of_serde(serde: str, table: str) -> Format:
    """Return the format that a SerDe reads.

    :raises SqlError: NOT_SUPPORTED for one that is not supported by the local AWS
    """
    if serde not in _BY_SERDE:
        raise SqlError("NOT_SUPPORTED", _not_supported(f"the SerDe of {table}, {serde or 'which is missing'},"))
    return supported(_BY_SERDE[serde])


def supported(format: Format) -> Format:
    """Return the format itself.

    :raises SqlError: NOT_SUPPORTED when the local AWS does not serve it
    """
    if format not in SUPPORTED:
        raise SqlError("NOT_SUPPORTED", _not_supported(f"{format.name}, which Athena has,"))
    return format


def _not_supported(subject: str) -> str:
    return f"{subject} is not supported by the local AWS; {', '.join(each.name for each in SUPPORTED)} are"


def compression(format: Format, name: str | None) -> str:
    """Return DuckDB's name of a compression of Athena's, or of the format's default for None.

    :raises SqlError: INVALID_TABLE_PROPERTY for one that the format does not have
    """
    if name is None:
        return next(iter(format.compressions.values()))
    if name.upper() not in format.compressions:
        raise SqlError(
            "INVALID_TABLE_PROPERTY",
            f"compression {name} of {format.name} is not supported by the local AWS; "
            f"{', '.join(format.compressions)} are",
        )
    return format.compressions[name.upper()]


def storage(format: Format, columns: Sequence[Mapping[str, str]], location: str, **serde: str) -> dict[str, Any]:
    """Return a Glue StorageDescriptor.

    :param serde: the SerDe's parameters
    """
    return {
        "Columns": list(columns),
        "Location": location,
        "InputFormat": format.input_format,
        "OutputFormat": format.output_format,
        "SerdeInfo": {
            "SerializationLibrary": format.serde,
            "Parameters": {"serialization.format": "1", **serde},
        },
        "Compressed": False,
        "NumberOfBuckets": -1,
    }


def literal(text: str) -> str:
    """Return a text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def copy_options(format: Format, compression: str) -> str:
    """Return the options of DuckDB's COPY for a format; rows of text formats are lines in one column."""
    if format is PARQUET:
        return f"FORMAT parquet, COMPRESSION {compression}"
    if format is JSON:
        return f"FORMAT json, COMPRESSION {compression}"
    return f"FORMAT csv, HEADER false, DELIMITER '{UNUSED}', QUOTE '', ESCAPE '', COMPRESSION {compression}"


# A delimiter that no text holds: DuckDB reads and writes whole lines, which are split by the SerDe's own rules.
UNUSED = "\x1e\x1f\x1e\x1f"
