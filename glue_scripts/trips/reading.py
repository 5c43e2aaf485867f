"""The raw files of a month, and their rows unchanged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql import types as T

from trips.columns import canonical
from trips.errors import LoadError, innermost
from trips.storage import Object, Storage

_FORMAT = re.compile(r"\.(parquet|csv(?:\.gz)?)$", re.IGNORECASE)
SOURCE_FILE = "__source_file"


@dataclass(frozen=True)
class RawFile:
    """A raw file with its rows, every column under its own name without surrounding blanks."""

    uri: str
    size: int
    etag: str
    rows: int
    frame: DataFrame
    columns: dict[str, str]
    unknown: list[str]

    def check(self) -> None:
        """Read every value.

        :raises LoadError: when one cannot be read
        """
        try:
            self.frame.write.format("noop").mode("overwrite").save()
        except Exception as error:
            raise unreadable(self.uri, error) from None


def find(storage: Storage, raw_uri: str) -> list[Object]:
    """Return the raw files of a URI: itself, or the files under it when it ends in a slash.

    :raises LoadError: when there is none, one is empty, or the month has both CSV and Parquet
    """
    if raw_uri.endswith("/"):
        found = [each for each in storage.list(raw_uri) if _FORMAT.search(each.uri)]
        beside = found
    else:
        if not _FORMAT.search(raw_uri):
            raise LoadError(f"--raw_uri is {raw_uri}; a raw file's name must end in .parquet, .csv or .csv.gz")
        beside = [each for each in storage.list(_FORMAT.sub("", raw_uri) + ".") if _FORMAT.search(each.uri)]
        found = [each for each in beside if each.uri == raw_uri]
    if not found:
        raise LoadError(f"there is no raw file at {raw_uri}: upload it, or correct --raw_uri")
    if len({_is_csv(each.uri) for each in beside}) > 1:
        names = " and ".join(each.uri for each in beside)
        raise LoadError(f"the month has both CSV and Parquet, {names}: remove one of them")
    for each in found:
        if not each.size:
            raise LoadError(f"the raw file {each.uri} is empty (0 bytes): upload it again")
    return found


def read(spark: SparkSession, found: Object) -> RawFile:
    """Return a file with its own schema; its rows are counted in the file (footers, or records).

    :raises LoadError: when it cannot be read, or lacks the columns of trips
    """
    try:
        frame = _csv(spark, found.uri) if _is_csv(found.uri) else spark.read.parquet(found.uri)
        rows = frame.count()
    except Exception as error:
        raise unreadable(found.uri, error) from None
    names = [name.strip() for name in frame.columns]
    if len({name.lower() for name in names}) < len(names):
        raise LoadError(f"the raw file {found.uri} has two columns of one name: {', '.join(sorted(names))}")
    columns, unknown = canonical(names, f"the raw file {found.uri}")
    frame = frame.toDF(*names)
    # A column of Parquet's null type holds only nulls, and Spark cannot write it.
    for field in frame.schema.fields:
        if isinstance(field.dataType, T.NullType):
            frame = frame.withColumn(field.name, F.lit(None).cast("string"))
    return RawFile(found.uri, found.size, found.etag, rows, frame, columns, unknown)


def unreadable(uri: str, error: Exception) -> LoadError:
    """Return the error of a file that Spark cannot read."""
    file_format = "CSV" if _is_csv(uri) else "Parquet"
    return LoadError(
        f"the raw file {uri} cannot be read as {file_format}: {innermost(error)}. Is it complete? Upload it again"
    )


def _is_csv(uri: str) -> bool:
    return not uri.lower().endswith(".parquet")


def _csv(spark: SparkSession, uri: str) -> DataFrame:
    # As text: numbers are recognised where values are cast.
    return spark.read.csv(uri, header=True, inferSchema=False, ignoreLeadingWhiteSpace=True, enforceSchema=True)


def together(files: Sequence[RawFile]) -> tuple[DataFrame, dict[str, str]]:
    """Return the rows of all files, and the raw column of each canonical name.

    Files of one month that disagree about a column's type have it as text: the TLC's own schemas differ by month,
    and Spark refuses to read them as one.
    """
    if len(files) == 1:
        file = files[0]
        return file.frame.withColumn(SOURCE_FILE, F.lit(file.uri)), file.columns
    types: dict[str, set[str]] = {}
    for file in files:
        raw_names = {raw: name for name, raw in file.columns.items()}
        for field in file.frame.schema.fields:
            types.setdefault(raw_names.get(field.name, field.name.lower()), set()).add(field.dataType.simpleString())
    union: DataFrame | None = None
    for file in files:
        raw_names = {raw: name for name, raw in file.columns.items()}
        frame = file.frame.select(
            F.lit(file.uri).alias(SOURCE_FILE),
            *(_as_agreed(column, raw_names.get(column, column.lower()), types) for column in file.frame.columns),
        )
        union = frame if union is None else union.unionByName(frame, allowMissingColumns=True)
    assert union is not None
    return union, {name: name for file in files for name in file.columns}


def _as_agreed(column: str, name: str, types: dict[str, set[str]]) -> Column:
    value = quoted(column)
    return (value.cast("string") if len(types[name]) > 1 else value).alias(name)


def quoted(column: str) -> Column:
    """Return a column by its name, with any characters in it."""
    return F.col("`" + column.replace("`", "``") + "`")
