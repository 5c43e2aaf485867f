"""One statement: told apart by its leading words, checked before it is accepted, then executed."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.local_aws.athena import formats, hive_ddl, show, views, writing
from airflow_lakehouse_provider.local_aws.athena.binding import Binding
from airflow_lakehouse_provider.local_aws.athena.engine import Cursor
from airflow_lakehouse_provider.local_aws.athena.outcome import Outcome, utility
from airflow_lakehouse_provider.local_aws.athena.sql import Column, Query, SqlError, columns_of, text, translate
from airflow_lakehouse_provider.local_aws.athena.sql.grammar import parse, without_semicolon
from airflow_lakehouse_provider.local_aws.athena.tokens import Reader, tokens

Handler = Callable[[Reader, Binding], Outcome]

# Statements that Athena reads itself, past Trino's grammar: leading words -> who executes them.
OWN: tuple[tuple[tuple[str, ...], str, Handler], ...] = (
    (("CREATE", "DATABASE"), "DDL", hive_ddl.create_database),
    (("CREATE", "SCHEMA"), "DDL", hive_ddl.create_database),
    (("DROP", "DATABASE"), "DDL", hive_ddl.drop_database),
    (("DROP", "SCHEMA"), "DDL", hive_ddl.drop_database),
    (("ALTER", "DATABASE"), "DDL", hive_ddl.alter_database),
    (("ALTER", "SCHEMA"), "DDL", hive_ddl.alter_database),
    (("DROP", "TABLE"), "DDL", hive_ddl.drop_table),
    (("DROP", "VIEW"), "DDL", hive_ddl.drop_view),
    (("ALTER", "TABLE"), "DDL", hive_ddl.alter_table),
    (("MSCK", "REPAIR", "TABLE"), "DDL", hive_ddl.repair),
    (("SHOW", "DATABASES"), "UTILITY", show.databases),
    (("SHOW", "SCHEMAS"), "UTILITY", show.databases),
    (("SHOW", "TABLES"), "UTILITY", show.tables),
    (("SHOW", "VIEWS"), "UTILITY", show.show_views),
    (("SHOW", "COLUMNS"), "UTILITY", show.columns),
    (("SHOW", "PARTITIONS"), "UTILITY", show.partitions),
    (("SHOW", "TBLPROPERTIES"), "UTILITY", show.properties),
    (("SHOW", "CREATE", "TABLE"), "UTILITY", show.create_table),
    (("SHOW", "CREATE", "VIEW"), "UTILITY", show.create_view),
    (("DESCRIBE",), "UTILITY", show.describe),
    (("DESC",), "UTILITY", show.describe),
)
_ICEBERG = {"MERGE": "MERGE", "UPDATE": "UPDATE", "DELETE": "DELETE", "OPTIMIZE": "OPTIMIZE", "VACUUM": "VACUUM"}
_COMMENTS = re.compile(r"\s*(?:--[^\n]*(?:\n|$)|/\*.*?\*/)", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """A statement that was accepted: its text, its kind in Athena's words, and what Trino's grammar made of it."""

    sql: str
    kind: str
    subkind: str
    own: Handler | None = None
    words: int = 0
    tree: Any = None
    parameters: tuple[str, ...] = ()


@dataclass
class Session:
    """What executing needs besides the statement.

    :ivar output: the folder of the query's results, with a slash at the end
    """

    execution_id: str
    binding: Binding
    cursor: Cursor
    output: str
    enforced: bool = False


def accept(sql: str, parameters: Sequence[str] = ()) -> Statement:
    """Read a statement.

    :raises SqlError: SYNTAX_ERROR, for which StartQueryExecution refuses it
    """
    leading = [token.text.upper() for token in tokens(_leading(sql))[:4]]
    if not leading:
        raise SqlError("SYNTAX_ERROR", "line 1:1: mismatched input '<EOF>'. Expecting: a statement")
    for words, kind, handler in OWN:
        if tuple(leading[: len(words)]) == words:
            return Statement(sql, kind, "_".join(words), handler, len(words))
    if leading[:2] in (["CREATE", "EXTERNAL"], ["CREATE", "TABLE"]) and not _is_ctas(sql):
        return Statement(sql, "DDL", "CREATE_TABLE", hive_ddl.create_table, 1)
    if leading[0] in _ICEBERG:
        kind = "DML" if leading[0] in ("MERGE", "UPDATE", "DELETE") else "DDL"
        return Statement(sql, kind, leading[0], _refuse_iceberg)
    if leading[0] == "UNLOAD":
        inner = Reader(sql)
        inner.need("UNLOAD")
        inner.need("(")
        parse(inner.until_closing())
        return Statement(sql, "DML", "UNLOAD")
    tree = parse(without_semicolon(sql)).statement()
    return Statement(sql, *_kind(tree), tree=tree, parameters=tuple(parameters))


def execute(statement: Statement, session: Session) -> Outcome:
    """Carry a statement out.

    :raises SqlError: with which the execution is FAILED
    :raises Cancelled: when it was stopped
    """
    if statement.own is not None:
        reader = Reader(statement.sql)
        for _ in range(statement.words):
            reader.pop()
        return statement.own(reader, session.binding)
    return _EXECUTE[statement.subkind](statement, session)


def _leading(sql: str) -> str:
    at = 0
    while match := _COMMENTS.match(sql, at):
        at = match.end()
    return sql[at : at + 400]


def _is_ctas(sql: str) -> bool:
    depth = 0
    for token in tokens(sql[:20_000]):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word" and token.text.upper() == "AS":
            return True
    return False


def _refuse_iceberg(reader: Reader, binding: Binding) -> Outcome:
    raise SqlError("NOT_SUPPORTED", "MERGE, UPDATE, DELETE, OPTIMIZE and VACUUM are of Iceberg tables, which are not served locally yet")  # fmt: skip


# Trino's statement -> Athena's kinds
_KINDS = {
    "StatementDefaultContext": ("DML", "SELECT"),
    "CreateTableAsSelectContext": ("DDL", "CREATE_TABLE_AS_SELECT"),
    "CreateViewContext": ("DDL", "CREATE_VIEW"),
    "InsertIntoContext": ("DML", "INSERT"),
    "ExplainContext": ("UTILITY", "EXPLAIN"),
    "ExplainAnalyzeContext": ("UTILITY", "EXPLAIN"),
}


def _kind(tree: Any) -> tuple[str, str]:
    name = type(tree).__name__
    if name not in _KINDS:
        words = re.sub(r"(?<!^)(?=[A-Z])", " ", name.removesuffix("Context")).upper()
        raise SqlError("SYNTAX_ERROR", f"line 1:1: {words} is not a statement of Athena")
    return _KINDS[name]


def _text_of(sql: str, node: Any) -> str:
    return sql[node.start.start : node.stop.stop + 1]


def _name(node: Any) -> tuple[str | None, str | None, str]:
    parts = [_identifier(part) for part in node.identifier()]
    if len(parts) > 3:
        raise SqlError("SYNTAX_ERROR", f"line {node.start.line}:{node.start.column + 1}: Too many dots in table name: {'.'.join(parts)}")  # fmt: skip
    return (*([None] * (3 - len(parts))), *parts)  # type: ignore[return-value]


def _identifier(node: Any) -> str:
    written = str(node.getText())
    return written[1:-1].replace('""', '"') if written.startswith('"') else written


def _aliases(node: Any) -> list[str] | None:
    aliases = node.columnAliases()
    return [_identifier(each) for each in aliases.identifier()] if aliases else None


def _query(sql: str, session: Session, parameters: Sequence[str] = ()) -> tuple[Query, tuple[Column, ...]]:
    query = translate(sql, session.binding, parameters)
    if query.columns is not None:
        return query, query.columns
    return query, columns_of(session.cursor.run(f"SELECT * FROM ({query.duckdb_sql}) LIMIT 0").description, query)


def _select(statement: Statement, session: Session) -> Outcome:
    query = translate(statement.sql, session.binding, statement.parameters)
    batches = session.cursor.rows(query.duckdb_sql)
    first = next(batches, [])
    columns = columns_of(session.cursor.description, query)

    def rows() -> Iterator[list[list[str | None]]]:
        batch = first
        while batch:
            yield [[text(value, column.type) for value, column in zip(row, columns, strict=True)] for row in batch]
            batch = next(batches, [])

    return Outcome("DML", "SELECT", columns, rows())


def _explain(statement: Statement, session: Session) -> Outcome:
    inner = _text_of(statement.sql, statement.tree.statement())
    query, _ = _query(inner, session, statement.parameters)
    plan = session.cursor.run(f"EXPLAIN {query.duckdb_sql}").fetchall()
    return utility("EXPLAIN", [line for _, plan_text in plan for line in str(plan_text).splitlines()], column="Query Plan")


def _create_view(statement: Statement, session: Session) -> Outcome:
    binding, tree = session.binding, statement.tree
    database, name = binding.name(*_name(tree.qualifiedName()))
    binding.require_database(database)
    body = _text_of(statement.sql, tree.query())
    _, columns = _query(body, session)
    writing.check_columns(columns)
    before = binding.find(database, name)
    if before is not None and (tree.REPLACE() is None or before.get("TableType") != "VIRTUAL_VIEW"):
        kind = "View" if before.get("TableType") == "VIRTUAL_VIEW" else "Table"
        raise SqlError("ALREADY_EXISTS", f"line 1:1: {kind} already exists: 'awsdatacatalog.{database}.{name}'")
    given = views.table_input(name, body, columns, catalog="awsdatacatalog", schema=binding.database)
    if before is None:
        binding.catalog.create_table(database, given)
    else:
        binding.catalog.update_table(database, given)
    return Outcome("DDL", "CREATE_VIEW")


# Properties of CREATE TABLE AS that Athena documents, and others of Iceberg that dbt-athena passes on.
_PROPERTIES = {
    "table_type", "is_external", "external_location", "location", "format", "partitioned_by", "partitioning",
    "bucketed_by", "bucket_count", "field_delimiter", "write_compression", "parquet_compression", "orc_compression",
}  # fmt: skip


def _properties(sql: str, tree: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    node = tree.properties()
    for each in node.propertyAssignments().property_() if node else []:
        name = _identifier(each.identifier()).lower()
        if name in found:
            raise SqlError("DUPLICATE_PROPERTY", f"Table property '{name}' specified more than once")
        found[name] = _property_value(_text_of(sql, each.propertyValue()))
    return found


def _property_value(written: str) -> Any:
    if match := re.fullmatch(r"ARRAY\s*\[(.*)\]", written, re.IGNORECASE | re.DOTALL):
        return [token.value for token in tokens(match[1]) if token.kind == "string"]
    if written.startswith("'"):
        return written[1:-1].replace("''", "'")
    if written.lower() in ("true", "false"):
        return written.lower() == "true"
    return int(written) if re.fullmatch(r"-?\d+", written) else written


def _create_table_as(statement: Statement, session: Session) -> Outcome:
    binding, tree = session.binding, statement.tree
    database, name = binding.name(*_name(tree.qualifiedName()))
    binding.require_database(database)
    properties = _properties(statement.sql, tree)
    if str(properties.get("table_type", "hive")).lower() == "iceberg":
        raise SqlError("NOT_SUPPORTED", "Iceberg tables are not served locally yet: table_type = 'hive' is")
    for each in properties:
        if each not in _PROPERTIES:
            raise SqlError("INVALID_TABLE_PROPERTY", f"line 1:1: Catalog 'awsdatacatalog' table property '{each}' does not exist")
    if binding.find(database, name) is not None:
        if tree.EXISTS() is not None:
            return Outcome("DDL", "CREATE_TABLE_AS_SELECT")
        raise SqlError("ALREADY_EXISTS", f"line 1:1: Table 'awsdatacatalog.{database}.{name}' already exists")
    query, columns = _query(_text_of(statement.sql, tree.query()), session)
    if (aliases := _aliases(tree)) is not None:
        if len(aliases) != len(columns):
            raise SqlError("MISMATCHED_COLUMN_ALIASES", f"line 1:1: Column alias list has {len(aliases)} entries but relation has {len(columns)} columns")  # fmt: skip
        columns = tuple(Column(alias, column.type) for alias, column in zip(aliases, columns, strict=True))
    writing.check_columns(columns)
    target = _target(properties, columns, session, f"{database}.{name}")
    writing.hive_columns(columns)
    writing.require_empty(binding.store, target.location, f"table '{database}.{name}'")
    rows = writing.Rows(session.cursor, query, columns)
    if tree.DATA() is not None and tree.NO() is not None:
        session.cursor.run("DELETE FROM written")
    with writing.put(binding.store, rows, target, [f"c{i}" for i in range(len(columns))]) as written:
        _register(binding, database, name, target, written, properties)
    return Outcome("DDL", "CREATE_TABLE_AS_SELECT", (Column("rows", "bigint"),), (), written.rows)


def _register(binding: Binding, database: str, name: str, target: writing.Target, written: writing.Written,
              properties: dict[str, Any]) -> None:  # fmt: skip
    serde = {}
    if target.format is formats.TEXTFILE:
        serde = {"field.delim": target.delimiter, "serialization.format": target.delimiter}
    storage = formats.storage(target.format, writing.hive_columns(target.columns), target.location, **serde)
    if target.buckets[0]:
        storage |= {"BucketColumns": list(target.buckets[0]), "NumberOfBuckets": target.buckets[1]}
    given = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": writing.hive_columns(target.keys),
        "StorageDescriptor": storage,
        "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false"},
    }
    partitions = [
        {"Values": list(values), "StorageDescriptor": {**storage, "Location": location}}
        for values, location in written.partitions.items()
    ]
    with binding.catalog.change():
        binding.catalog.create_table(database, given)
        binding.catalog.create_partitions(database, name, partitions)


def _target(properties: dict[str, Any], columns: tuple[Column, ...], session: Session, label: str) -> writing.Target:
    location = properties.get("external_location")
    if location is not None and session.enforced:
        raise SqlError("INVALID_TABLE_PROPERTY", "The Create Table As Select query failed because it was submitted with an 'external_location' property to an Athena Workgroup that enforces a centralized output location for all queries. Please remove the 'external_location' property and resubmit the query.")  # fmt: skip
    location = str(location or f"{session.output}tables/{session.execution_id}").rstrip("/")
    if not location.startswith("s3://"):
        raise SqlError("INVALID_TABLE_PROPERTY", f"external_location must be s3://bucket/folder, not '{location}'")
    name = str(properties.get("format", "PARQUET")).upper()
    if name not in formats.BY_NAME:
        raise SqlError("INVALID_TABLE_PROPERTY", f"line 1:1: Unable to set catalog 'awsdatacatalog' table property 'format' to ['{name}']: Invalid value [{name}]. Valid values: [{', '.join(formats.BY_NAME)}]")  # fmt: skip
    chosen = formats.served(formats.BY_NAME[name])
    keys = [key.lower() for key in properties.get("partitioned_by", [])]
    if keys and [column.name.lower() for column in columns[-len(keys) :]] != keys:
        raise SqlError("HIVE_COLUMN_ORDER_MISMATCH", f"Partition keys must be the last columns in the table and in the same order as the table properties: [{', '.join(keys)}]")  # fmt: skip
    if len(keys) == len(columns):
        raise SqlError("INVALID_TABLE_PROPERTY", f"Table {label} contains only partition columns")
    cut = len(columns) - len(keys)
    buckets = tuple(column.lower() for column in properties.get("bucketed_by", []))
    if unknown := [bucket for bucket in buckets if bucket not in [column.name.lower() for column in columns[:cut]]]:
        raise SqlError("INVALID_TABLE_PROPERTY", f"Bucketing columns {unknown} not present in schema")
    compression = properties.get("write_compression") or properties.get(f"{name.lower()}_compression") or ""
    return writing.Target(
        location, chosen, columns[:cut], columns[cut:],
        compression={"none": "uncompressed"}.get(str(compression).lower(), str(compression).lower()),
        delimiter=str(properties.get("field_delimiter", "\1")),
        buckets=(buckets, int(properties.get("bucket_count", 1)) if buckets else 1),
    )  # fmt: skip


def _insert(statement: Statement, session: Session) -> Outcome:
    binding, tree = session.binding, statement.tree
    database, name = binding.name(*_name(tree.qualifiedName()))
    table = binding.table(database, name)
    if table.get("TableType") == "VIRTUAL_VIEW":
        raise SqlError("NOT_SUPPORTED", f"line 1:1: Inserting into views is not supported: awsdatacatalog.{database}.{name}")
    if str(table.get("Parameters", {}).get("table_type", "")).upper() == "ICEBERG":
        raise SqlError("NOT_SUPPORTED", f"Iceberg tables are not served locally yet: {database}.{name}")
    query, columns = _query(_text_of(statement.sql, tree.query()), session, statement.parameters)
    rows = writing.Rows(session.cursor, query, columns)
    written = writing.insert(binding, session.cursor, table, _aliases(tree), rows)
    return Outcome("DML", "INSERT", (Column("rows", "bigint"),), (), written.rows, written.files)


def _unload(statement: Statement, session: Session) -> Outcome:
    reader = Reader(statement.sql)
    reader.need("UNLOAD")
    reader.need("(")
    body = reader.until_closing()
    reader.need("TO")
    location = reader.string().rstrip("/")
    properties: dict[str, Any] = {}
    if reader.take("WITH"):
        reader.need("(")
        for match in re.finditer(r"(\w+)\s*=\s*(ARRAY\s*\[[^\]]*\]|'(?:[^']|'')*'|\w+)", reader.until_closing(), re.IGNORECASE):
            properties[match[1].lower()] = _property_value(match[2])
    reader.end()
    if "format" not in properties:
        raise SqlError("INVALID_TABLE_PROPERTY", "UNLOAD needs WITH (format = 'PARQUET' | 'TEXTFILE' | 'JSON')")
    properties["write_compression"] = properties.pop("compression", None)
    query, columns = _query(body, session)
    target = _target({**properties, "external_location": location}, columns, Session(session.execution_id, session.binding, session.cursor, session.output), "unload")  # fmt: skip
    writing.require_empty(session.binding.store, location, "UNLOAD")
    rows = writing.Rows(session.cursor, query, columns)
    with writing.put(session.binding.store, rows, target, [f"c{i}" for i in range(len(columns))]) as written:
        pass
    return Outcome("DML", "UNLOAD", (Column("rows", "bigint"),), (), written.rows, written.files)


_EXECUTE: dict[str, Callable[[Statement, Session], Outcome]] = {
    "SELECT": _select,
    "EXPLAIN": _explain,
    "CREATE_VIEW": _create_view,
    "CREATE_TABLE_AS_SELECT": _create_table_as,
    "INSERT": _insert,
    "UNLOAD": _unload,
}
