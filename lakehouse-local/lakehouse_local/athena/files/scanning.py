"""DuckDB queries over a Hive table's files, with exactly the table's columns: by name or place, NULL where missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lakehouse_local.athena.files import formats
from lakehouse_local.athena.files.formats import Format, identifier, literal
from lakehouse_local.athena.files.parquet_schemas import FileColumn, Schema, mismatch
from lakehouse_local.athena.files.text_serde import LazySimple, OpenCsv, strict
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.athena.sql.errors import marked
from lakehouse_local.athena.sql.types import Type, duckdb_type
from lakehouse_local.s3.store import StoredObject

Columns = Sequence[tuple[str, Type]]
Files = Sequence[StoredObject]
BySchema = Callable[[Files], list[tuple[Schema, list[StoredObject]]]]

_PLAIN_OR_GZIPPED = (".gz", ".gzip", ".zst")
_OTHER_COMPRESSIONS = (".bz2", ".lz4", ".snappy", ".lzo", ".xz", ".zip", ".deflate")


def scan(format: Format, parameters: Mapping[str, str], files: Files, columns: Columns, by_schema: BySchema) -> str:
    """Return the query that reads files.

    :param parameters: of the SerDe, with those of the table that concern reading
    :param by_schema: groups Parquet files by their schemas
    """
    if not files:
        return nothing(columns)
    if format is formats.PARQUET:
        return _parquet(files, columns, by_schema)
    for file in files:
        if file.key.endswith(_OTHER_COMPRESSIONS):
            known = ", ".join(("none", *_PLAIN_OR_GZIPPED))
            raise SqlError(
                "HIVE_CANNOT_OPEN_SPLIT", f"{file.uri}: this compression is not supported by the local AWS; {known} are"
            )
    if format is formats.JSON:
        return _json(parameters, files, columns)
    return _text(format, parameters, files, columns)


def nothing(columns: Columns) -> str:
    """Return the query that has these columns and no rows."""
    return f"SELECT {', '.join(_null(name, type) for name, type in columns)} WHERE false"


def _null(name: str, type: Type) -> str:
    return f"NULL::{duckdb_type(type)} AS {identifier(name)}"


def _paths(files: Files) -> str:
    return "[" + ", ".join(literal(str(file.path)) for file in files) + "]"


def _parquet(files: Files, columns: Columns, by_schema: BySchema) -> str:
    """Read files of one schema together; a column of a type that the table's cannot read fails only when it is read."""
    parts = []
    for schema, group in by_schema(files):
        selected = ", ".join(_column(schema.get(name), name, type, group[0].uri) for name, type in columns)
        parts.append(f"SELECT {selected} FROM read_parquet({_paths(group)}, hive_partitioning = false)")
    return " UNION ALL ".join(parts)


def _column(column: FileColumn | None, name: str, type: Type, uri: str) -> str:
    if column is None:
        return _null(name, type)
    source, into = identifier(column.name), duckdb_type(type)
    if column.type == into:
        return f"{source} AS {identifier(name)}"  # no cast, so that DuckDB skips row groups by their statistics
    if (wrong := mismatch(column, type)) is None:
        return f"CAST({source} AS {into}) AS {identifier(name)}"
    message = (
        f"Field {name}'s type {wrong} in parquet file {uri} is incompatible with type {type} defined in table schema"
    )
    error = f"error({literal(marked('HIVE_BAD_DATA', message))})::{into}"
    return f"CASE WHEN {source} IS NULL THEN NULL ELSE {error} END AS {identifier(name)}"


def _json(parameters: Mapping[str, str], files: Files, columns: Columns) -> str:
    """Read one JSON object a line, its keys matched without case, as the OpenX SerDe does."""
    lenient = parameters.get("ignore.malformed.json", "false").lower() == "true"
    selected = []
    for name, type in columns:
        key = parameters.get(f"mapping.{name}", name)
        other = f"list_filter(json_keys(document), lambda k: lower(k) = {literal(key.lower())})[1]"
        paths = (literal(f'$."{key}"'), f"""'$."' || {other} || '"'""")
        if type.types:
            value = f"coalesce({', '.join(f'json_extract(document, {path})' for path in paths)})"
            selected.append(f"CAST({value} AS {duckdb_type(type)}) AS {identifier(name)}")
        else:
            value = f"coalesce({', '.join(f'json_extract_string(document, {path})' for path in paths)})"
            selected.append(f"{strict(value, type, literal(name))} AS {identifier(name)}")
    read = (
        f"read_json({_paths(files)}, format = 'newline_delimited', records = false, columns = {{'document': 'JSON'}}, "
        f"ignore_errors = {str(lenient).lower()}, maximum_object_size = 67108864, hive_partitioning = false)"
    )
    return f"SELECT {', '.join(selected)} FROM {read}"


def _text(format: Format, parameters: Mapping[str, str], files: Files, columns: Columns) -> str:
    skip = parameters.get("skip.header.line.count", "0")
    if not skip.isdigit():
        raise SqlError("HIVE_INVALID_METADATA", f"skip.header.line.count must be a number, not '{skip}'")
    serde = OpenCsv(parameters) if format is formats.CSV else LazySimple(parameters)
    values = ", ".join(f"{serde.read(at, type)} AS {identifier(name)}" for at, (name, type) in enumerate(columns, 1))
    read = (
        f"read_csv({_paths(files)}, columns = {{'line': 'VARCHAR'}}, delim = {literal(formats.UNUSED)}, quote = '', "
        f"escape = '', header = false, skip = {int(skip)}, auto_detect = false, strict_mode = false, "
        "max_line_size = 8388608, buffer_size = 16777216, hive_partitioning = false)"
    )
    fields = serde.fields("coalesce(line, '')")
    return f"SELECT {values} FROM (SELECT {fields} AS fields FROM {read})"
