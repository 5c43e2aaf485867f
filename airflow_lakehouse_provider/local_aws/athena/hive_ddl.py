"""Hive's DDL as Athena takes it: databases, external tables, partitions, columns and properties, all in the Glue catalogue.

Source: https://docs.aws.amazon.com/athena/latest/ug/ddl-reference.html
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from airflow_lakehouse_provider.local_aws.athena import formats
from airflow_lakehouse_provider.local_aws.athena.binding import CATALOG, Binding
from airflow_lakehouse_provider.local_aws.athena.outcome import Outcome
from airflow_lakehouse_provider.local_aws.athena.sql import SqlError, trino_type
from airflow_lakehouse_provider.local_aws.athena.tokens import Reader
from airflow_lakehouse_provider.local_aws.wire import AwsError

Columns = list[dict[str, str]]


def semantic(code: int, message: str) -> SqlError:
    """An error as Hive's analyser words it."""
    return SqlError("FAILED", f"SemanticException [Error {code}]: {message}")


def execution_error(message: str) -> SqlError:
    """An error as Hive's DDL task words it."""
    return SqlError("FAILED", f"Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. {message}")


def table_name(reader: Reader, binding: Binding) -> tuple[str, str]:
    """Database and table of a name; the catalog's own name may stand in front."""
    parts = reader.name()
    if len(parts) == 3 and parts[0] == CATALOG:
        parts = parts[1:]
    if len(parts) > 2:
        raise semantic(10001, f"Invalid table name {'.'.join(parts)}")
    return (parts[0], parts[1]) if len(parts) == 2 else (binding.database, parts[0])


def existing(reader: Reader, binding: Binding) -> dict[str, Any]:
    """The table that a statement names, which must exist."""
    database, name = table_name(reader, binding)
    try:
        return binding.catalog.get_table(database, name)
    except AwsError:
        raise semantic(10001, f"Table not found {database}.{name}") from None


def hive_type(reader: Reader) -> str:
    """A column's type, up to the comma or bracket that ends it."""
    depth, text = 0, ""
    while (token := reader.next) is not None:
        if depth == 0 and (token.text in (",", ")") or (token.kind == "word" and token.text.upper() == "COMMENT")):
            break
        depth += {"<": 1, "(": 1, ">": -1, ")": -1}.get(token.text, 0)
        text += reader.pop().text
    try:
        trino_type(text.lower())
    except ValueError:
        raise SqlError("FAILED", f"ParseException: cannot recognize input near '{text}' in column type") from None
    return text.lower()


def column_list(reader: Reader) -> Columns:
    """( `name` type [COMMENT 'text'], ... )"""
    reader.need("(")
    found: Columns = []
    while True:
        column = {"Name": reader.identifier(), "Type": hive_type(reader)}
        if reader.take("COMMENT"):
            column["Comment"] = reader.string()
        if any(column["Name"] == each["Name"] for each in found):
            raise semantic(10036, f"Duplicate column name: {column['Name']}")
        found.append(column)
        if not reader.take(","):
            break
    reader.need(")")
    return found


def create_database(reader: Reader, binding: Binding) -> Outcome:
    absent = reader.take("IF", "NOT", "EXISTS")
    given: dict[str, Any] = {"Name": reader.identifier()}
    if reader.take("COMMENT"):
        given["Description"] = reader.string()
    if reader.take("LOCATION"):
        given["LocationUri"] = reader.string()
    if reader.take("WITH", "DBPROPERTIES"):
        given["Parameters"] = reader.string_map()
    reader.end()
    try:
        binding.catalog.create_database(given)
    except AwsError as error:
        if error.code != "AlreadyExistsException":
            raise
        if not absent:
            raise execution_error(f"Database {given['Name']} already exists") from None
    return Outcome("DDL", "CREATE_DATABASE")


def drop_database(reader: Reader, binding: Binding) -> Outcome:
    absent = reader.take("IF", "EXISTS")
    name = reader.identifier()
    cascade = reader.take("CASCADE") or (reader.take("RESTRICT") and False)
    reader.end()
    try:
        if binding.catalog.get_tables(name) and not cascade:
            raise execution_error(f"InvalidOperationException: Database {name} is not empty. One or more tables exist.")
        binding.catalog.delete_database(name)
    except AwsError:
        if not absent:
            raise semantic(10072, f"Database does not exist: {name}") from None
    return Outcome("DDL", "DROP_DATABASE")


def alter_database(reader: Reader, binding: Binding) -> Outcome:
    database = binding.require_database(reader.identifier())
    reader.need("SET", "DBPROPERTIES")
    parameters = {**database.get("Parameters", {}), **reader.string_map()}
    reader.end()
    kept = {key: value for key, value in database.items() if key in ("Name", "Description", "LocationUri")}
    binding.catalog.update_database(database["Name"], {**kept, "Parameters": parameters})
    return Outcome("DDL", "ALTER_DATABASE")


def create_table(reader: Reader, binding: Binding) -> Outcome:
    """CREATE EXTERNAL TABLE; one that is not EXTERNAL is Iceberg's in Athena."""
    external = reader.take("EXTERNAL")
    reader.need("TABLE")
    absent = reader.take("IF", "NOT", "EXISTS")
    database, name = table_name(reader, binding)
    columns = column_list(reader)
    keys: Columns = []
    clauses: dict[str, Any] = {"serde": {}, "parameters": {}}
    while not reader.done:
        if reader.take("PARTITIONED", "BY"):
            keys = column_list(reader)
        elif reader.take("CLUSTERED", "BY"):
            reader.need("(")
            clauses["buckets"] = [part.strip(" `").lower() for part in reader.until_closing().split(",")]
            reader.need("INTO")
            clauses["bucket_count"] = int(reader.pop().text)
            reader.need("BUCKETS")
        elif not _table_clause(reader, clauses):
            raise reader.unexpected("a clause of CREATE TABLE")
    if not external:
        if str(clauses["parameters"].get("table_type", "")).upper() == "ICEBERG":
            raise SqlError("NOT_SUPPORTED", "Iceberg tables are not served locally yet")
        raise SqlError("FAILED", "ParseException: CREATE TABLE needs EXTERNAL, or 'table_type'='ICEBERG'")
    if not clauses.get("location"):
        raise SqlError("FAILED", "SemanticException: LOCATION is missing: an external table names its s3:// folder")
    if repeated := {each["Name"] for each in columns} & {each["Name"] for each in keys}:
        raise semantic(10035, f"Column repeated in partitioning columns: {sorted(repeated)[0]}")
    chosen = clauses.get("format") or formats.TEXTFILE
    storage = formats.storage(chosen, columns, clauses["location"], **clauses["serde"])
    if "buckets" in clauses:
        storage |= {"BucketColumns": clauses["buckets"], "NumberOfBuckets": clauses["bucket_count"]}
    given = {
        "Name": name,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": keys,
        "StorageDescriptor": storage,
        "Parameters": {"EXTERNAL": "TRUE", **clauses["parameters"]},
    }
    if "comment" in clauses:
        given["Description"] = clauses["comment"]
    binding.require_database(database)
    try:
        binding.catalog.create_table(database, given)
    except AwsError as error:
        if error.code != "AlreadyExistsException":
            raise
        if not absent:
            raise execution_error(f"AlreadyExistsException(message:Table {name} already exists)") from None
    return Outcome("DDL", "CREATE_TABLE")


def _table_clause(reader: Reader, clauses: dict[str, Any]) -> bool:
    if reader.take("COMMENT"):
        clauses["comment"] = reader.string()
    elif reader.take("ROW", "FORMAT", "SERDE"):
        serde = reader.string()
        clauses["format"] = formats.format_of({"SerdeInfo": {"SerializationLibrary": serde}}, "the table")
        if reader.take("WITH", "SERDEPROPERTIES"):
            clauses["serde"] |= reader.string_map()
    elif reader.take("ROW", "FORMAT", "DELIMITED"):
        clauses["serde"] |= _delimited(reader)
    elif reader.take("STORED", "AS", "INPUTFORMAT"):
        reader.string()
        reader.need("OUTPUTFORMAT")
        reader.string()
    elif reader.take("STORED", "AS"):
        word = reader.pop().value.upper()
        if word not in formats.BY_NAME:
            raise SqlError("FAILED", f"SemanticException: Unrecognized file format in STORED AS clause: '{word}'")
        clauses["format"] = formats.served(formats.BY_NAME[word])
    elif reader.take("LOCATION"):
        clauses["location"] = reader.string()
        if not clauses["location"].startswith("s3://"):
            raise SqlError("FAILED", f"SemanticException: LOCATION must be s3://bucket/folder, not {clauses['location']!r}")
    elif reader.take("TBLPROPERTIES"):
        clauses["parameters"] |= reader.string_map()
    else:
        return False
    return True


def _delimited(reader: Reader) -> dict[str, str]:
    found: dict[str, str] = {}
    names = {"FIELDS": "field.delim", "COLLECTION": "collection.delim", "MAP": "mapkey.delim", "LINES": "line.delim"}
    while True:
        word = next((word for word in (*names, "ESCAPED", "NULL") if reader.sees(word)), None)
        if word is None:
            return found
        reader.take(word)
        if word == "NULL":
            reader.need("DEFINED", "AS")
            found["serialization.null.format"] = reader.string()
        elif word == "ESCAPED":
            reader.need("BY")
            found["escape.delim"] = reader.string()
        else:
            reader.take("ITEMS") or reader.take("KEYS")
            reader.need("TERMINATED", "BY")
            found[names[word]] = reader.string()


def drop_table(reader: Reader, binding: Binding) -> Outcome:
    return _drop(reader, binding, view=False)


def drop_view(reader: Reader, binding: Binding) -> Outcome:
    return _drop(reader, binding, view=True)


def _drop(reader: Reader, binding: Binding, *, view: bool) -> Outcome:
    absent = reader.take("IF", "EXISTS")
    database, name = table_name(reader, binding)
    reader.end()
    kind = "VIEW" if view else "TABLE"
    try:
        table = binding.catalog.get_table(database, name)
    except AwsError:
        if not absent:
            raise semantic(10001, f"Table not found {database}.{name}") from None
        return Outcome("DDL", f"DROP_{kind}")
    if (table.get("TableType") == "VIRTUAL_VIEW") != view:
        raise semantic(10132 if view else 10131, f"{database}.{name} is {'not ' if view else ''}a view: use DROP {'TABLE' if view else 'VIEW'}")  # fmt: skip
    binding.catalog.delete_table(database, name)
    return Outcome("DDL", f"DROP_{kind}")


def alter_table(reader: Reader, binding: Binding) -> Outcome:
    table = existing(reader, binding)
    for words, change in _CHANGES:
        if reader.take(*words):
            return change(reader, binding, table)
    raise reader.unexpected("ADD, DROP, REPLACE, CHANGE, RENAME or SET")


def update(binding: Binding, table: dict[str, Any], **changed: Any) -> None:
    """Write a table back with some of its members changed."""
    members = ("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "ViewOriginalText",
               "ViewExpandedText", "TableType", "Parameters")  # fmt: skip
    kept = {name: table[name] for name in members if name in table}
    binding.catalog.update_table(table["DatabaseName"], {**kept, **changed})


def _change_columns(binding: Binding, table: dict[str, Any], columns: Columns, subkind: str) -> Outcome:
    update(binding, table, StorageDescriptor={**table["StorageDescriptor"], "Columns": columns})
    return Outcome("DDL", subkind)


def _add_columns(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    added = column_list(reader)
    reader.end()
    names = {each["Name"] for each in (*table["StorageDescriptor"]["Columns"], *table.get("PartitionKeys", []))}
    for column in added:
        if column["Name"] in names:
            raise execution_error(f"Duplicate column name: {column['Name']}")
    return _change_columns(binding, table, [*table["StorageDescriptor"]["Columns"], *added], "ALTER_TABLE_ADD_COLUMNS")


def _replace_columns(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    columns = column_list(reader)
    reader.end()
    return _change_columns(binding, table, columns, "ALTER_TABLE_REPLACE_COLUMNS")


def _change_column(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    reader.take("COLUMN")
    before, after = reader.identifier(), {"Name": reader.identifier(), "Type": hive_type(reader)}
    if reader.take("COMMENT"):
        after["Comment"] = reader.string()
    reader.end()
    columns = table["StorageDescriptor"]["Columns"]
    if before not in [each["Name"] for each in columns]:
        raise execution_error(f"Invalid column reference {before}")
    return _change_columns(
        binding, table, [after if each["Name"] == before else each for each in columns], "ALTER_TABLE_CHANGE_COLUMN"
    )


def _set_properties(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    parameters = {**table.get("Parameters", {}), **reader.string_map()}
    reader.end()
    update(binding, table, Parameters=parameters)
    return Outcome("DDL", "ALTER_TABLE_SET_TBLPROPERTIES")


def _set_location(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    location = reader.string()
    reader.end()
    update(binding, table, StorageDescriptor={**table["StorageDescriptor"], "Location": location})
    return Outcome("DDL", "ALTER_TABLE_SET_LOCATION")


def partition_spec(reader: Reader, table: dict[str, Any], *, whole: bool = True) -> dict[str, str]:
    """(key = 'value', ...), which names the table's keys, all of them where `whole`."""
    reader.need("(")
    spec: dict[str, str] = {}
    while True:
        key = reader.identifier()
        reader.need("=")
        spec[key] = reader.pop().value
        if not reader.take(","):
            break
    reader.need(")")
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    if set(spec) - set(keys) or (whole and set(spec) != set(keys)):
        raise semantic(10098, f"Partition spec {spec} does not name the partition keys {keys}")
    return spec


def _values(table: dict[str, Any], spec: dict[str, str]) -> list[str]:
    return [spec[each["Name"]] for each in table["PartitionKeys"]]


def _folder(table: dict[str, Any], values: list[str]) -> str:
    keys = [each["Name"] for each in table["PartitionKeys"]]
    return "/".join(
        [table["StorageDescriptor"]["Location"].rstrip("/"), *(f"{k}={v}" for k, v in zip(keys, values, strict=True))]
    )


def _add_partition(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    absent = reader.take("IF", "NOT", "EXISTS")
    inputs = []
    while reader.take("PARTITION"):
        values = _values(table, partition_spec(reader, table))
        location = reader.string() if reader.take("LOCATION") else _folder(table, values)
        inputs.append({"Values": values, "StorageDescriptor": {**table["StorageDescriptor"], "Location": location}})
    reader.end()
    errors = binding.catalog.create_partitions(table["DatabaseName"], table["Name"], inputs)
    if errors and not absent:
        raise execution_error(f"AlreadyExistsException: Partition already exists: {errors[0]['PartitionValues']}")
    return Outcome("DDL", "ALTER_TABLE_ADD_PARTITION")


def _drop_partition(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    absent = reader.take("IF", "EXISTS")
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    there = [each["Values"] for each in binding.catalog.get_partitions(table["DatabaseName"], table["Name"])]
    dropped: list[list[str]] = []
    while reader.take("PARTITION"):
        spec = partition_spec(reader, table, whole=False)
        found = [v for v in there if all(v[keys.index(key)] == value for key, value in spec.items())]
        if not found and not absent:
            raise semantic(10006, f"Partition not found {spec}")
        dropped += found
        reader.take(",")
    reader.end()
    binding.catalog.delete_partitions(table["DatabaseName"], table["Name"], dropped)
    return Outcome("DDL", "ALTER_TABLE_DROP_PARTITION")


def _of_partition(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    """PARTITION (...) SET LOCATION '...' and PARTITION (...) RENAME TO PARTITION (...)"""
    values = _values(table, partition_spec(reader, table))
    try:
        partition = binding.catalog.get_partition(table["DatabaseName"], table["Name"], values)
    except AwsError:
        raise semantic(10006, f"Partition not found {values}") from None
    after, location = values, partition["StorageDescriptor"]["Location"]
    if reader.take("RENAME", "TO", "PARTITION"):
        after = _values(table, partition_spec(reader, table))
        subkind = "ALTER_TABLE_RENAME_PARTITION"
    else:
        reader.need("SET", "LOCATION")
        location, subkind = reader.string(), "ALTER_TABLE_SET_LOCATION"
    reader.end()
    changed = {"Values": after, "StorageDescriptor": {**partition["StorageDescriptor"], "Location": location}}
    binding.catalog.update_partition(table["DatabaseName"], table["Name"], values, changed)
    return Outcome("DDL", subkind)


def _iceberg_only(reader: Reader, binding: Binding, table: dict[str, Any]) -> Outcome:
    raise SqlError("NOT_SUPPORTED", "This ALTER TABLE is of Iceberg tables, which are not served locally yet")


Change = Callable[[Reader, Binding, dict[str, Any]], Outcome]
_CHANGES: tuple[tuple[tuple[str, ...], Change], ...] = (
    (("ADD", "COLUMNS"), _add_columns),
    (("REPLACE", "COLUMNS"), _replace_columns),
    (("CHANGE",), _change_column),
    (("SET", "TBLPROPERTIES"), _set_properties),
    (("SET", "LOCATION"), _set_location),
    (("DROP", "COLUMN"), _iceberg_only),
    (("RENAME",), _iceberg_only),
    (("DROP",), _drop_partition),
    (("ADD",), _add_partition),
    (("PARTITION",), _of_partition),
)


def repair(reader: Reader, binding: Binding) -> Outcome:
    """MSCK REPAIR TABLE: add the partitions whose k=v folders hold objects."""
    table = existing(reader, binding)
    reader.end()
    keys = [each["Name"] for each in table.get("PartitionKeys", [])]
    root = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
    there = {tuple(each["Values"]) for each in binding.catalog.get_partitions(table["DatabaseName"], table["Name"])}
    new: dict[tuple[str, ...], str] = {}
    for each in binding.store.objects(root) if keys else []:
        folders = each.uri.removeprefix(root).split("/")[: len(keys)]
        pairs = [folder.partition("=") for folder in folders]
        if [name.lower() for name, _, _ in pairs] != keys:
            continue
        values = tuple(unquote(value) for _, _, value in pairs)
        if values not in there:
            new[values] = root + "/".join(folders)
    inputs = [
        {"Values": list(values), "StorageDescriptor": {**table["StorageDescriptor"], "Location": location}}
        for values, location in new.items()
    ]
    binding.catalog.create_partitions(table["DatabaseName"], table["Name"], inputs)
    lines = [f"Partitions not in metastore:\t{table['Name']}:{'/'.join(values)}" for values in new]
    lines += [f"Repair: Added partition to metastore {table['Name']}:{'/'.join(values)}" for values in new]
    from airflow_lakehouse_provider.local_aws.athena.sql import Column

    return Outcome("DDL", "MSCK_REPAIR_TABLE", (Column("result", "varchar"),), [[[line] for line in lines]])
