"""File formats of Hive tables: which a Glue table has, how DuckDB reads it, how DuckDB writes it. One table of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.local_aws.athena.sql import SqlError
from airflow_lakehouse_provider.local_aws.athena.sql.types import Type, duckdb_type

_HIVE = "org.apache.hadoop.hive"
_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = f"{_HIVE}.ql.io.HiveIgnoreKeyTextOutputFormat"
OPEN_CSV = f"{_HIVE}.serde2.OpenCSVSerde"
LAZY = f"{_HIVE}.serde2.lazy.LazySimpleSerDe"


@dataclass(frozen=True)
class Format:
    """A format by Athena's name, with what Hive calls its parts."""

    name: str
    serde: str
    input_format: str
    output_format: str
    classification: str
    extension: str


PARQUET = Format(
    "PARQUET", f"{_HIVE}.ql.io.parquet.serde.ParquetHiveSerDe",
    f"{_HIVE}.ql.io.parquet.MapredParquetInputFormat", f"{_HIVE}.ql.io.parquet.MapredParquetOutputFormat",
    "parquet", "parquet",
)  # fmt: skip
TEXTFILE = Format("TEXTFILE", LAZY, _TEXT_INPUT, _TEXT_OUTPUT, "csv", "txt")
CSV = Format("CSV", OPEN_CSV, _TEXT_INPUT, _TEXT_OUTPUT, "csv", "csv")
JSON = Format("JSON", "org.openx.data.jsonserde.JsonSerDe", _TEXT_INPUT, _TEXT_OUTPUT, "json", "json")
ORC = Format(
    "ORC", f"{_HIVE}.ql.io.orc.OrcSerde", f"{_HIVE}.ql.io.orc.OrcInputFormat", f"{_HIVE}.ql.io.orc.OrcOutputFormat",
    "orc", "orc",
)  # fmt: skip
AVRO = Format(
    "AVRO", f"{_HIVE}.serde2.avro.AvroSerDe", f"{_HIVE}.ql.io.avro.AvroContainerInputFormat",
    f"{_HIVE}.ql.io.avro.AvroContainerOutputFormat", "avro", "avro",
)  # fmt: skip

# What STORED AS and the CTAS property `format` may say.
BY_NAME = {each.name: each for each in (PARQUET, TEXTFILE, JSON, ORC, AVRO)}
_BY_SERDE = {
    **{each.serde: each for each in (PARQUET, TEXTFILE, CSV, JSON, ORC, AVRO)},
    "org.apache.hive.hcatalog.data.JsonSerDe": JSON,
    f"{_HIVE}.serde2.JsonSerDe": JSON,
}
SERVED = (PARQUET, TEXTFILE, CSV, JSON)


def format_of(storage: Mapping[str, Any], table: str) -> Format:
    """The format of a storage descriptor.

    :raises SqlError: HIVE_UNSUPPORTED_FORMAT for one that Athena does not know, NOT_SUPPORTED for one not served locally
    """
    serde = storage.get("SerdeInfo", {}).get("SerializationLibrary", "")
    found = _BY_SERDE.get(serde)
    if found is None:
        raise SqlError("HIVE_UNSUPPORTED_FORMAT", f"Unable to create input format of {table}: SerDe {serde or 'is missing'}")
    return served(found)


def served(chosen: Format) -> Format:
    """The format itself, where the local Athena serves it."""
    if chosen not in SERVED:
        names = ", ".join(each.name for each in SERVED)
        raise SqlError("NOT_SUPPORTED", f"{chosen.name} is not served locally; Athena has it. Served here: {names}")
    return chosen


def storage(chosen: Format, columns: Sequence[Mapping[str, str]], location: str, **serde: str) -> dict[str, Any]:
    """A Glue StorageDescriptor."""
    parameters = {"serialization.format": "1", **serde}
    return {
        "Columns": list(columns),
        "Location": location,
        "InputFormat": chosen.input_format,
        "OutputFormat": chosen.output_format,
        "SerdeInfo": {"SerializationLibrary": chosen.serde, "Parameters": parameters},
        "Compressed": False,
        "NumberOfBuckets": -1,
    }


def literal(text: str) -> str:
    """Text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A name as a SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def scan(chosen: Format, storage: Mapping[str, Any], table: Mapping[str, Any], files: Sequence[str],
         columns: Sequence[tuple[str, Type]]) -> str:  # fmt: skip
    """A DuckDB query over the files with exactly these columns, by name where the format has names, NULL where missing."""
    empty = ", ".join(f"NULL::{duckdb_type(of)} AS {identifier(name)}" for name, of in columns)
    if not files:
        return f"SELECT {empty} WHERE false"
    paths = "[" + ", ".join(map(literal, files)) + "]"
    if chosen in (PARQUET, JSON):
        read = (
            f"read_parquet({paths}, union_by_name = true, hive_partitioning = false)"
            if chosen is PARQUET
            else _json(paths, columns)
        )
        cast = ", ".join(f"CAST({identifier(name)} AS {duckdb_type(of)}) AS {identifier(name)}" for name, of in columns)
        return f"SELECT {cast} FROM (SELECT {empty} WHERE false UNION ALL BY NAME SELECT * FROM {read})"
    cast = ", ".join(f"{_from_text(identifier(name), of)} AS {identifier(name)}" for name, of in columns)
    return f"SELECT {cast} FROM {_csv(chosen, storage, table, paths, columns)}"


def _json(paths: str, columns: Sequence[tuple[str, Type]]) -> str:
    types = ", ".join(f"{identifier(name)}: {literal(duckdb_type(of))}" for name, of in columns)
    return f"read_json({paths}, format = 'newline_delimited', columns = {{{types}}}, hive_partitioning = false)"


def _csv(chosen: Format, storage: Mapping[str, Any], table: Mapping[str, Any], paths: str,
         columns: Sequence[tuple[str, Type]]) -> str:  # fmt: skip
    serde = storage.get("SerdeInfo", {}).get("Parameters", {})
    skip = {**serde, **table.get("Parameters", {})}.get("skip.header.line.count", "0")
    names = ", ".join(f"{identifier(name)}: 'VARCHAR'" for name, _ in columns)
    if chosen is CSV:
        delimiter, quote, escape = (
            serde.get("separatorChar", ","), serde.get("quoteChar", '"'), serde.get("escapeChar", "\\"),
        )  # fmt: skip
        null = ""
    else:
        delimiter = serde.get("field.delim") or serde.get("serialization.format", "\1")
        delimiter = "\1" if delimiter == "1" else delimiter
        quote, escape, null = "", serde.get("escape.delim", ""), ", nullstr = '\\N'"
    return (
        f"read_csv({paths}, columns = {{{names}}}, delim = {literal(delimiter)}, quote = {literal(quote)}, "
        f"escape = {literal(escape)}, header = false, skip = {int(skip)}, auto_detect = false, null_padding = true, "
        f"strict_mode = false, hive_partitioning = false{null})"
    )


def _from_text(column: str, of: Type) -> str:
    """Text as a column's type: what does not read is NULL, as Hive's SerDes have it."""
    return column if of.name == "varchar" else f"TRY_CAST({column} AS {duckdb_type(of)})"


def copy_options(chosen: Format, *, compression: str, delimiter: str) -> str:
    """What follows `COPY ... TO file` for the format."""
    if chosen is PARQUET:
        return f"(FORMAT parquet, COMPRESSION {compression or 'snappy'})"
    if chosen is JSON:
        return f"(FORMAT json, COMPRESSION {compression or 'uncompressed'})"
    quote = "QUOTE '\"'" if chosen is CSV else "QUOTE ''"
    return (
        f"(FORMAT csv, HEADER false, DELIMITER {literal(delimiter)}, {quote}, NULLSTR '\\N', "
        f"COMPRESSION {compression or 'uncompressed'})"
    )
