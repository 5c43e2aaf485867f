"""TableInput and PartitionInput as a crawler writes them to the Data Catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from lakehouse_local.glue.crawlers.discovery import FoundPartition, FoundTable, ReadObject
from lakehouse_local.glue.crawlers.hive_types import Columns

Input = dict[str, Any]

UPDATED_BY = "UPDATED_BY_CRAWLER"
DEPRECATED_BY = "DEPRECATED_BY_CRAWLER"


@dataclass(frozen=True)
class HiveFormat:
    """Hive's classes for a file format: input format, output format and SerDe."""

    input: str
    output: str
    serde: str


_TEXT_IN = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
_FORMATS = {
    "parquet": HiveFormat(
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
    ),
    "orc": HiveFormat(
        "org.apache.hadoop.hive.ql.io.orc.OrcInputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcOutputFormat",
        "org.apache.hadoop.hive.ql.io.orc.OrcSerde",
    ),
    "json": HiveFormat(_TEXT_IN, _TEXT_OUT, "org.openx.data.jsonserde.JsonSerDe"),
    "csv": HiveFormat(_TEXT_IN, _TEXT_OUT, "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
}


def columns_input(columns: Columns) -> list[Input]:
    return [{"Name": name, "Type": type_} for name, type_ in columns.items()]


def table_input(found: FoundTable, name: str, crawler: str) -> Input:
    """Return the TableInput of a table; partition keys are strings.

    :param crawler: name of the crawler that writes it
    """
    parameters = {**_parameters(found, found.objects), UPDATED_BY: crawler}
    if found.keys:
        parameters["partition_filtering.enabled"] = "true"
    return {
        "Name": name,
        "Owner": "owner",
        "Retention": 0,
        "StorageDescriptor": _storage(found, found.columns, found.location, parameters),
        "PartitionKeys": [{"Name": key, "Type": "string"} for key in found.keys],
        "TableType": "EXTERNAL_TABLE",
        "Parameters": parameters,
    }


def partition_input(found: FoundTable, partition: FoundPartition, columns: Columns) -> Input:
    """Return the PartitionInput of a partition."""
    parameters = _parameters(found, partition.objects)
    return {
        "Values": list(partition.values),
        "StorageDescriptor": _storage(found, columns, partition.location, parameters),
        "Parameters": parameters,
    }


def _storage(found: FoundTable, columns: Columns, location: str, parameters: dict[str, str]) -> Input:
    example = found.example
    classes = _FORMATS[example.format]
    serde: dict[str, str] = {}
    if example.format in ("parquet", "orc"):
        serde = {"serialization.format": "1"}
    elif example.csv:
        serde = {"field.delim": example.csv.delimiter}
    elif example.format == "json":
        serde = {"paths": ",".join(sorted(columns))}
    return {
        "Columns": columns_input(columns),
        "Location": location,
        "InputFormat": classes.input,
        "OutputFormat": classes.output,
        "Compressed": example.compression != "none",
        "NumberOfBuckets": -1,
        "SerdeInfo": {"SerializationLibrary": classes.serde, "Parameters": serde},
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": parameters,
        "StoredAsSubDirectories": False,
    }


def _parameters(found: FoundTable, objects: Sequence[ReadObject]) -> dict[str, str]:
    example = found.example
    size = sum(each.stored.size for each in objects)
    records = sum(each.contents.records for each in objects)
    parameters = {
        "CrawlerSchemaDeserializerVersion": "1.0",
        "CrawlerSchemaSerializerVersion": "1.0",
        "averageRecordSize": str(size // records if records else 0),
        "classification": example.format,
        "compressionType": example.compression,
        "objectCount": str(len(objects)),
        "recordCount": str(records),
        "sizeKey": str(size),
        "typeOfData": "file",
    }
    if example.csv:
        parameters |= {
            "areColumnsQuoted": "true" if example.csv.quoted else "false",
            "columnsOrdered": "true",
            "delimiter": example.csv.delimiter,
        }
        if example.csv.header:
            parameters["skip.header.line.count"] = "1"
    return parameters
