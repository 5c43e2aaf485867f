"""Reading and writing tables of the Data Catalog and objects in S3 with Spark."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

# Glue's name of a format, and part of a SerDe's name -> Spark's name of the format
_FORMATS = {"parquet": "parquet", "glueparquet": "parquet", "orc": "orc", "csv": "csv", "json": "json"}
_SERDES = (("parquet", "parquet"), ("orc", "orc"), ("json", "json"), ("csv", "csv"), ("lazysimple", "csv"))
_INFERENCE = "spark.sql.sources.partitionColumnTypeInference.enabled"


def only_s3(connection_type: str) -> None:
    """Check that a connection is to S3.

    :raises ValueError: for any other connection
    """
    if connection_type != "s3":
        raise ValueError(f"connection_type {connection_type!r} is not supported by the local AWS: use s3")


def spark_format(name: str) -> str:
    """Return Spark's name of one of Glue's formats.

    :raises ValueError: the local AWS does not support the format
    """
    if name not in _FORMATS:
        raise ValueError(f"format {name!r} is not supported by the local AWS: use one of {', '.join(_FORMATS)}")
    return _FORMATS[name]


def reader(session: SparkSession, name: str, options: dict[str, Any]) -> Any:
    format_ = spark_format(name)
    found = session.read.format(format_)
    if format_ == "csv":
        found = found.option("header", bool(options.get("withHeader", False)))
        found = found.option("sep", options.get("separator", ",")).option("quote", options.get("quoteChar", '"'))
    if format_ == "json":
        found = found.option("multiLine", bool(options.get("multiline", False)))
    return found.option("mergeSchema", True) if format_ in ("parquet", "orc") else found


def write(frame: DataFrame, name: str, options: dict[str, Any], path: str, keys: list[str]) -> None:
    format_ = spark_format(name)
    writer = frame.write.mode("append").format(format_)
    if format_ == "csv":
        writer = writer.option("header", bool(options.get("writeHeader", True)))
        writer = writer.option("sep", options.get("separator", ","))
    if compression := options.get("compression"):
        writer = writer.option("compression", compression)
    (writer.partitionBy(*keys) if keys else writer).save(path)


def read(session: SparkSession, database: str, table_name: str) -> DataFrame:
    """Return a table's rows: columns as in its files, partition keys with their types in the Data Catalog."""
    glue = _glue()
    table = glue.get_table(DatabaseName=database, Name=table_name)["Table"]
    storage, keys = table["StorageDescriptor"], table.get("PartitionKeys") or []
    format_, options = _format(table), _options(table)
    schema = ", ".join(f"`{column['Name']}` {column['Type']}" for column in storage["Columns"])
    own = reader(session, format_, options)
    if format_ not in ("parquet", "orc"):
        own = own.schema(schema)
    if not keys:
        whole: DataFrame = own.load(storage["Location"])
        return whole
    pages = glue.get_paginator("get_partitions").paginate(DatabaseName=database, TableName=table_name)
    frames: list[DataFrame] = []
    for partition in (partition for page in pages for partition in page["Partitions"]):
        with _untyped_keys(session):
            frame = own.load(partition["StorageDescriptor"]["Location"])
        for key, value in zip(keys, partition["Values"], strict=True):
            frame = frame.withColumn(key["Name"], F.lit(value).cast(key["Type"]))
        frames.append(frame)
    if not frames:
        typed = ", ".join(f"`{key['Name']}` {key['Type']}" for key in keys)
        return session.createDataFrame([], f"{schema}, {typed}")
    return reduce(lambda left, right: left.unionByName(right, allowMissingColumns=True), frames)


def append(frame: DataFrame, database: str, table_name: str) -> None:
    table = _glue().get_table(DatabaseName=database, Name=table_name)["Table"]
    keys = [key["Name"] for key in table.get("PartitionKeys") or []]
    options = {**_options(table), "writeHeader": False}
    write(frame, _format(table), options, table["StorageDescriptor"]["Location"], keys)


def _format(table: dict[str, Any]) -> str:
    storage = table["StorageDescriptor"]
    serde = storage.get("SerdeInfo", {}).get("SerializationLibrary", "").lower()
    for part, name in _SERDES:
        if part in serde:
            return name
    return spark_format(table.get("Parameters", {}).get("classification", "parquet"))


def _options(table: dict[str, Any]) -> dict[str, Any]:
    parameters = table["StorageDescriptor"].get("SerdeInfo", {}).get("Parameters") or {}
    header = {**table.get("Parameters", {}), **parameters}.get("skip.header.line.count", "0") != "0"
    return {"withHeader": header, "separator": parameters.get("field.delim", parameters.get("separatorChar", ","))}


def _glue() -> Any:
    import boto3

    return boto3.client("glue")


@contextmanager
def _untyped_keys(session: SparkSession) -> Iterator[None]:
    before = str(session.conf.get(_INFERENCE, "true"))
    session.conf.set(_INFERENCE, "false")
    try:
        yield
    finally:
        session.conf.set(_INFERENCE, before)
