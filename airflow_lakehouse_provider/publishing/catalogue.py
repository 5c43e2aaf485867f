"""Tables and partitions of the Glue Data Catalog, read and written as publishing needs them.

Glue's batches answer 200 with single failures in ``Errors``; here each of them is an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

from airflow_lakehouse_provider.publishing.names import GENERATION, PublishingError, TableName

# Limits of Glue's batches: https://docs.aws.amazon.com/glue/latest/webapi/API_BatchCreatePartition.html
MOST_CREATED, MOST_DELETED = 100, 25
# The members of an answer that are no part of a TableInput or PartitionInput, or change by themselves.
_TABLE_INPUT = (
    *("Name", "Description", "Owner", "Retention", "StorageDescriptor", "PartitionKeys", "ViewOriginalText"),
    *("ViewExpandedText", "TableType", "Parameters", "TargetTable"),
)
_PARTITION_INPUT = ("Values", "StorageDescriptor", "Parameters")
Values = tuple[str, ...]
T = TypeVar("T")


class Catalogue:
    """The Glue Data Catalog of one account.

    :param glue: a boto3 client
    """

    def __init__(self, glue: Any) -> None:
        self._glue = glue

    def table(self, name: TableName) -> dict[str, Any] | None:
        """Return a table as Glue has it; None where there is none."""
        try:
            table: dict[str, Any] = self._glue.get_table(DatabaseName=name.database, Name=name.name)["Table"]
        except self._glue.exceptions.EntityNotFoundException:
            return None
        return table

    def partitions(self, name: TableName, expression: str | None = None) -> dict[Values, dict[str, Any]]:
        """Return a table's partitions by their values.

        :param expression: Glue's own, such as ``year = 2024 and month = 5``; default: all
        :raises PublishingError: Glue does not accept the expression
        """
        arguments = {"Expression": expression} if expression else {}
        pages = self._glue.get_paginator("get_partitions").paginate(
            DatabaseName=name.database, TableName=name.name, **arguments
        )
        try:
            return {tuple(each["Values"]): each for page in pages for each in page["Partitions"]}
        except self._glue.exceptions.InvalidInputException as error:
            reason = error.response["Error"]["Message"]
            raise PublishingError(
                f"partitions is {expression!r}, which Glue does not accept for {name}: {reason}. It must be an "
                "expression of Glue's GetPartitions on the partition keys, such as year = 2024 and month = 5"
            ) from error

    def partition(self, name: TableName, values: Values) -> dict[str, Any] | None:
        """Return a partition; None where there is none, or no such table."""
        try:
            partition: dict[str, Any] = self._glue.get_partition(
                DatabaseName=name.database, TableName=name.name, PartitionValues=list(values)
            )["Partition"]
        except self._glue.exceptions.EntityNotFoundException:
            return None
        return partition

    def entry(self, name: TableName, values: Values | None) -> dict[str, Any] | None:
        """Return a partition or, without values, the table itself; None where there is none."""
        return self.table(name) if values is None else self.partition(name, values)

    def tables(self, database: str) -> Iterator[dict[str, Any]]:
        """Yield the tables of a database; none where there is no such database."""
        try:
            for page in self._glue.get_paginator("get_tables").paginate(DatabaseName=database):
                yield from page["TableList"]
        except self._glue.exceptions.EntityNotFoundException:
            return

    def databases(self) -> list[str]:
        """Return the names of all databases."""
        pages = self._glue.get_paginator("get_databases").paginate()
        return [each["Name"] for page in pages for each in page["DatabaseList"]]

    def create_database(self, name: str, description: str) -> None:
        """Create a database.

        :raises PublishingError: there is one of this name
        """
        try:
            self._glue.create_database(DatabaseInput={"Name": name, "Description": description})
        except self._glue.exceptions.AlreadyExistsException as error:
            raise PublishingError(f"database {name} exists; an audit schema is used once") from error

    def delete_database(self, name: str) -> None:
        """Delete a database and its tables; their files stay. One that is not there is no error."""
        try:
            self._glue.delete_database(Name=name)
        except self._glue.exceptions.EntityNotFoundException:
            return

    def create_table(self, database: str, table: Mapping[str, Any], *, exists_ok: bool = False) -> None:
        """Create a table.

        :param table: its TableInput
        :param exists_ok: one of this name stays as it is
        :raises PublishingError: there is one of this name
        """
        try:
            self._glue.create_table(DatabaseName=database, TableInput=dict(table))
        except self._glue.exceptions.AlreadyExistsException as error:
            if exists_ok:
                return
            raise PublishingError(f"{database}.{table['Name']} exists; it was made since the plan was") from error

    def update_table(self, database: str, table: Mapping[str, Any], version: str | None) -> None:
        """Replace a table's definition.

        :param version: the VersionId that it must still have
        :raises PublishingError: it was changed since
        """
        condition = {"VersionId": version} if version else {}
        try:
            self._glue.update_table(DatabaseName=database, TableInput=dict(table), SkipArchive=True, **condition)
        except self._glue.exceptions.ConcurrentModificationException as error:
            raise PublishingError(f"{database}.{table['Name']} was changed by somebody else just now") from error

    def delete_table(self, name: TableName) -> None:
        """Delete a table; its files stay. One that is not there is no error."""
        try:
            self._glue.delete_table(DatabaseName=name.database, Name=name.name)
        except self._glue.exceptions.EntityNotFoundException:
            return

    def create_partitions(self, name: TableName, partitions: Iterable[Mapping[str, Any]]) -> None:
        """Create partitions.

        :param partitions: their PartitionInput
        :raises PublishingError: naming the first that Glue did not create, and why
        """
        for batch in batches(partitions, MOST_CREATED):
            answer = self._glue.batch_create_partition(
                DatabaseName=name.database, TableName=name.name, PartitionInputList=list(batch)
            )
            _check(answer.get("Errors"), f"could not create a partition of {name}")

    def update_partition(self, name: TableName, partition: Mapping[str, Any]) -> None:
        """Replace a partition's definition."""
        self._glue.update_partition(
            DatabaseName=name.database,
            TableName=name.name,
            PartitionValueList=list(partition["Values"]),
            PartitionInput=dict(partition),
        )

    def delete_partitions(self, name: TableName, values: Iterable[Values]) -> None:
        """Delete partitions; their files stay.

        :raises PublishingError: naming the first that Glue did not delete, and why
        """
        for batch in batches(values, MOST_DELETED):
            answer = self._glue.batch_delete_partition(
                DatabaseName=name.database,
                TableName=name.name,
                PartitionsToDelete=[{"Values": list(each)} for each in batch],
            )
            gone = "EntityNotFoundException"
            errors = [each for each in answer.get("Errors") or () if each["ErrorDetail"]["ErrorCode"] != gone]
            _check(errors, f"could not delete a partition of {name}")


def table_input(table: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a table's TableInput, with changed members."""
    return {name: table[name] for name in _TABLE_INPUT if name in table} | changes


def partition_input(partition: Mapping[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a partition's PartitionInput, with changed members."""
    return {name: partition[name] for name in _PARTITION_INPUT if name in partition} | changes


def location(entry: Mapping[str, Any]) -> str:
    """Return the location of a table or partition, without a slash at its end; an empty text for a view."""
    found: str = (entry.get("StorageDescriptor") or {}).get("Location") or ""
    return found.rstrip("/")


def generation(entry: Mapping[str, Any]) -> str | None:
    """Return the publication that made a table or partition public; None where it was none of ours."""
    found: str | None = (entry.get("Parameters") or {}).get(GENERATION)
    return found


def columns(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and type of a table's columns, without its partition keys."""
    found = (table.get("StorageDescriptor") or {}).get("Columns") or ()
    return [(each["Name"], each.get("Type", "")) for each in found]


def keys(table: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return name and type of a table's partition keys."""
    return [(each["Name"], each.get("Type", "")) for each in table.get("PartitionKeys") or ()]


def partition_text(keys_: Sequence[tuple[str, str]], values: Sequence[str]) -> str:
    """Return a partition as messages name it: ``year=2024/month=5``."""
    return "/".join(f"{name}={value}" for (name, _), value in zip(keys_, values, strict=True))


def batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most ``size``."""
    iterator = iter(items)
    while batch := list(islice(iterator, size)):
        yield batch


def _check(errors: Sequence[Mapping[str, Any]] | None, what: str) -> None:
    if errors:
        detail = errors[0].get("ErrorDetail") or {}
        values = errors[0].get("PartitionValues") or errors[0].get("PartitionValueList")
        raise PublishingError(
            f"Glue {what}, {values}: {detail.get('ErrorCode')}: {detail.get('ErrorMessage')} ({len(errors)} in all)"
        )
