"""A Hive table's files as a DuckDB query with exactly the table's columns: by name or place, NULL where missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from lakehouse_local.athena.files import formats
from lakehouse_local.athena.files.formats import Format, identifier, literal
from lakehouse_local.athena.files.parquet_schemas import Held, Schema, mismatch
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.athena.sql.errors import marked
from lakehouse_local.athena.sql.types import Type, duckdb_type
from lakehouse_local.athena.files.text_serde import LazySimple, OpenCsv, strict
from lakehouse_local.s3.store import StoredObject

Columns = Sequence[tuple[str, Type]]
Files = Sequence[StoredObject]
BySchema = Callable[[Files], list[tuple[Schema, list[StoredObject]]]]

_PLAIN_OR_GZIPPED = (".gz", ".gzip", ".zst")
_OTHER_COMPRESSIONS = (".bz2", ".lz4", ".snappy", ".lzo", ".xz", ".zip", ".deflate")


def scan(chosen: Format, parameters: Mapping[str, str], files: Files, columns: Columns, by_schema: BySchema) -> str:
    """The query.

    :param parameters: of the SerDe, with those of the table that concern reading
    :param by_schema: tells Parquet files of different schemas apart
    """
    if not files:
        return nothing(columns)
    if chosen is formats.PARQUET:
        return _parquet(files, columns, by_schema)
    for file in files:
        if file.key.endswith(_OTHER_COMPRESSIONS):
            known = ", ".join(("none", *_PLAIN_OR_GZIPPED))
            raise SqlError("HIVE_CANNOT_OPEN_SPLIT", f"{file.uri}: this compression is not served locally; {known} are")
    if chosen is formats.JSON:
        return _json(parameters, files, columns)
    return _text(chosen, parameters, files, columns)


def nothing(columns: Columns) -> str:
    """The query that has these columns and no rows."""
    return f"SELECT {', '.join(_null(name, of) for name, of in columns)} WHERE false"


def _null(name: str, of: Type) -> str:
    return f"NULL::{duckdb_type(of)} AS {identifier(name)}"


def _paths(files: Files) -> str:
    return "[" + ", ".join(literal(str(file.path)) for file in files) + "]"


def _parquet(files: Files, columns: Columns, by_schema: BySchema) -> str:
    """Files of one schema are read together; a column that its table's type cannot read fails only when it is read."""
    parts = []
    for schema, group in by_schema(files):
        selected = ", ".join(_column(schema.get(name), name, of, group[0].uri) for name, of in columns)
        parts.append(f"SELECT {selected} FROM read_parquet({_paths(group)}, hive_partitioning = false)")
    return " UNION ALL ".join(parts)


def _column(held: Held | None, name: str, of: Type, uri: str) -> str:
    if held is None:
        return _null(name, of)
    source, into = identifier(held.name), duckdb_type(of)
    if held.type == into:
        return f"{source} AS {identifier(name)}"  # as it is, so that DuckDB passes over row groups by their statistics
    if (wrong := mismatch(held, of)) is None:
        return f"CAST({source} AS {into}) AS {identifier(name)}"
    said = f"Field {name}'s type {wrong} in parquet file {uri} is incompatible with type {of} defined in table schema"
    refusal = f"error({literal(marked('HIVE_BAD_DATA', said))})::{into}"
    return f"CASE WHEN {source} IS NULL THEN NULL ELSE {refusal} END AS {identifier(name)}"


def _json(parameters: Mapping[str, str], files: Files, columns: Columns) -> str:
    """One JSON object a line, its keys matched without case, as the OpenX SerDe has them."""
    lenient = parameters.get("ignore.malformed.json", "false").lower() == "true"
    selected = []
    for name, of in columns:
        key = parameters.get(f"mapping.{name}", name)
        other = f"list_filter(json_keys(document), lambda k: lower(k) = {literal(key.lower())})[1]"
        paths = (literal(f'$."{key}"'), f"""'$."' || {other} || '"'""")
        if of.types:
            value = f"coalesce({', '.join(f'json_extract(document, {path})' for path in paths)})"
            selected.append(f"CAST({value} AS {duckdb_type(of)}) AS {identifier(name)}")
        else:
            value = f"coalesce({', '.join(f'json_extract_string(document, {path})' for path in paths)})"
            selected.append(f"{strict(value, of, literal(name))} AS {identifier(name)}")
    read = (
        f"read_json({_paths(files)}, format = 'newline_delimited', records = false, columns = {{'document': 'JSON'}}, "
        f"ignore_errors = {str(lenient).lower()}, maximum_object_size = 67108864, hive_partitioning = false)"
    )
    return f"SELECT {', '.join(selected)} FROM {read}"


def _text(chosen: Format, parameters: Mapping[str, str], files: Files, columns: Columns) -> str:
    skip = parameters.get("skip.header.line.count", "0")
    if not skip.isdigit():
        raise SqlError("HIVE_INVALID_METADATA", f"skip.header.line.count must be a number, not '{skip}'")
    serde = OpenCsv(parameters) if chosen is formats.CSV else LazySimple(parameters)
    values = ", ".join(f"{serde.read(at, of)} AS {identifier(name)}" for at, (name, of) in enumerate(columns, 1))
    read = (
        f"read_csv({_paths(files)}, columns = {{'line': 'VARCHAR'}}, delim = {literal(formats.UNUSED)}, quote = '', "
        f"escape = '', header = false, skip = {int(skip)}, auto_detect = false, strict_mode = false, "
        "max_line_size = 8388608, buffer_size = 16777216, hive_partitioning = false)"
    )
    fields = serde.fields("coalesce(line, '')")
    return f"SELECT {values} FROM (SELECT {fields} AS fields FROM {read})"
