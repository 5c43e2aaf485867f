"""File formats of Hive tables in one table: what Glue calls their parts, which are served, how DuckDB writes them."""

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
    """A format by Athena's name, with what Hive calls its parts.

    :ivar compressions: what write_compression may say -> DuckDB's word; the first is written unless it says otherwise
    """

    name: str
    serde: str
    input_format: str
    output_format: str
    compressions: Mapping[str, str]


_OF_TEXT = {"GZIP": "gzip", "ZSTD": "zstd", "NONE": "uncompressed", "UNCOMPRESSED": "uncompressed"}
# Athena's own default is GZIP: SNAPPY reads and writes several times faster, and no reader can tell.
_OF_PARQUET = {"SNAPPY": "snappy", "GZIP": "gzip", "ZSTD": "zstd", "LZ4": "lz4_raw", "NONE": "uncompressed",
               "UNCOMPRESSED": "uncompressed"}  # fmt: skip

PARQUET = Format(
    "PARQUET", f"{_HIVE}.ql.io.parquet.serde.ParquetHiveSerDe", f"{_HIVE}.ql.io.parquet.MapredParquetInputFormat",
    f"{_HIVE}.ql.io.parquet.MapredParquetOutputFormat", _OF_PARQUET,
)  # fmt: skip
TEXTFILE = Format("TEXTFILE", f"{_HIVE}.serde2.lazy.LazySimpleSerDe", _TEXT_INPUT, _TEXT_OUTPUT, _OF_TEXT)
CSV = Format("CSV", f"{_HIVE}.serde2.OpenCSVSerde", _TEXT_INPUT, _TEXT_OUTPUT, _OF_TEXT)
JSON = Format("JSON", "org.openx.data.jsonserde.JsonSerDe", _TEXT_INPUT, _TEXT_OUTPUT, _OF_TEXT)
ORC = Format("ORC", f"{_HIVE}.ql.io.orc.OrcSerde", f"{_HIVE}.ql.io.orc.OrcInputFormat",
             f"{_HIVE}.ql.io.orc.OrcOutputFormat", {})  # fmt: skip
AVRO = Format("AVRO", f"{_HIVE}.serde2.avro.AvroSerDe", f"{_HIVE}.ql.io.avro.AvroContainerInputFormat",
              f"{_HIVE}.ql.io.avro.AvroContainerOutputFormat", {})  # fmt: skip
ION = Format("ION", "com.amazon.ionhiveserde.IonHiveSerDe", "com.amazon.ionhiveserde.formats.IonInputFormat",
             "com.amazon.ionhiveserde.formats.IonOutputFormat", {})  # fmt: skip

SERVED = (PARQUET, TEXTFILE, CSV, JSON)
# What STORED AS and the CTAS property `format` may say.
BY_NAME = {each.name: each for each in (PARQUET, TEXTFILE, CSV, JSON, ORC, AVRO, ION)}
_BY_SERDE = {
    **{each.serde: each for each in BY_NAME.values()},
    "org.apache.hive.hcatalog.data.JsonSerDe": JSON,
    f"{_HIVE}.serde2.JsonSerDe": JSON,
}


def of_storage(storage: Mapping[str, Any], table: str) -> Format:
    """The format of a storage descriptor; raises SqlError as :func:`of_serde` does."""
    return of_serde(storage.get("SerdeInfo", {}).get("SerializationLibrary") or "", table)


def of_serde(serde: str, table: str) -> Format:
    """The format that a SerDe reads.

    :raises SqlError: NOT_SUPPORTED for one that is not served locally
    """
    if serde not in _BY_SERDE:
        raise SqlError("NOT_SUPPORTED", _not_served(f"the SerDe of {table}, {serde or 'which is missing'},"))
    return served(_BY_SERDE[serde])


def served(chosen: Format) -> Format:
    """The format itself; raises SqlError NOT_SUPPORTED when it is not served locally."""
    if chosen not in SERVED:
        raise SqlError("NOT_SUPPORTED", _not_served(f"{chosen.name}, which Athena has,"))
    return chosen


def _not_served(what: str) -> str:
    return f"{what} is not served locally; {', '.join(each.name for each in SERVED)} are"


def compression(chosen: Format, name: str | None) -> str:
    """DuckDB's word for a compression of Athena's; raises SqlError INVALID_TABLE_PROPERTY for an unknown one."""
    if name is None:
        return next(iter(chosen.compressions.values()))
    if name.upper() not in chosen.compressions:
        raise SqlError(
            "INVALID_TABLE_PROPERTY",
            f"compression {name} of {chosen.name} is not served locally; {', '.join(chosen.compressions)} are",
        )
    return chosen.compressions[name.upper()]


def storage(chosen: Format, columns: Sequence[Mapping[str, str]], location: str, **serde: str) -> dict[str, Any]:
    """A Glue StorageDescriptor."""
    return {
        "Columns": list(columns),
        "Location": location,
        "InputFormat": chosen.input_format,
        "OutputFormat": chosen.output_format,
        "SerdeInfo": {
            "SerializationLibrary": chosen.serde,
            "Parameters": {"serialization.format": "1", **serde},
        },
        "Compressed": False,
        "NumberOfBuckets": -1,
    }


def literal(text: str) -> str:
    """Text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def copy_options(chosen: Format, compression: str) -> str:
    """What follows `COPY ... TO file (` for the format; text formats come as ready lines in one column."""
    if chosen is PARQUET:
        return f"FORMAT parquet, COMPRESSION {compression}"
    if chosen is JSON:
        return f"FORMAT json, COMPRESSION {compression}"
    return f"FORMAT csv, HEADER false, DELIMITER '{UNUSED}', QUOTE '', ESCAPE '', COMPRESSION {compression}"


# A delimiter that no text holds: lines are read and written whole, and taken apart by the SerDe's own rules.
UNUSED = "\x1e\x1f\x1e\x1f"
