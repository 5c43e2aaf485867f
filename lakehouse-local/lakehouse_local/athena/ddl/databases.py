"""CREATE, ALTER and DROP DATABASE.

Source: https://docs.aws.amazon.com/athena/latest/ug/create-database.html
"""

from __future__ import annotations

from typing import Any

from lakehouse_local.athena.binding import Binding
from lakehouse_local.athena.ddl.syntax import Command, ddl, execution_error, s3_location, semantic
from lakehouse_local.athena.ddl.tokens import Reader
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.http.wire import AwsError


def create(reader: Reader) -> Command:
    if_not_exists = reader.take("IF", "NOT", "EXISTS")
    database_input: dict[str, Any] = {"Name": reader.identifier()}
    if reader.take("COMMENT"):
        database_input["Description"] = reader.string()
    if reader.take("LOCATION"):
        database_input["LocationUri"] = s3_location(reader)
    if reader.take("WITH", "DBPROPERTIES"):
        database_input["Parameters"] = reader.string_map()
    reader.end()

    def run(binding: Binding) -> None:
        try:
            binding.catalog.create_database(database_input)
        except AwsError as error:
            if error.code != "AlreadyExistsException":
                raise
            if not if_not_exists:
                raise execution_error(f"Database {database_input['Name']} already exists") from None

    return ddl("CREATE_DATABASE", run)


def drop(reader: Reader) -> Command:
    if_exists = reader.take("IF", "EXISTS")
    name = reader.identifier()
    cascade = reader.take_any("CASCADE", "RESTRICT") == "CASCADE"
    reader.end()

    def run(binding: Binding) -> None:
        try:
            tables = binding.catalog.get_tables(name)
        except AwsError:
            if not if_exists:
                raise semantic(10072, f"Database does not exist: {name}") from None
            return
        if tables and not cascade:
            raise execution_error(
                f"InvalidOperationException(message:Database {name} is not empty. One or more tables exist: "
                "DROP DATABASE ... CASCADE drops them too.)"
            )
        binding.catalog.delete_database(name)

    return ddl("DROP_DATABASE", run)


def alter(reader: Reader) -> Command:
    name = reader.identifier()
    reader.need("SET", "DBPROPERTIES")
    parameters = reader.string_map()
    reader.end()

    def run(binding: Binding) -> None:
        try:
            database = binding.require_database(name)
        except SqlError:
            raise semantic(10072, f"Database does not exist: {name}") from None
        database_input: dict[str, Any] = {"Parameters": {**database.get("Parameters", {}), **parameters}}
        database_input |= {key: database[key] for key in ("Name", "Description", "LocationUri") if key in database}
        binding.catalog.update_database(name, database_input)

    return ddl("ALTER_DATABASE", run)
