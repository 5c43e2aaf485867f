"""awsglue.dynamicframe: the methods of dynamic frames that plain jobs use, over DataFrames, without choice types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from awsglue import tables
from pyspark.sql import DataFrame
from pyspark.sql import functions as F


class DynamicFrame:
    """Glue's dynamic frame, over a DataFrame."""

    def __init__(self, frame: DataFrame, glue_ctx: Any, name: str = "") -> None:
        self._frame = frame
        self.glue_ctx = glue_ctx
        self.name = name

    @classmethod
    def fromDF(cls, dataframe: DataFrame, glue_ctx: Any, name: str) -> DynamicFrame:
        return cls(dataframe, glue_ctx, name)

    def toDF(self, options: Any = None) -> DataFrame:
        return self._frame

    def schema(self) -> Any:
        return self._frame.schema

    def printSchema(self) -> None:
        self._frame.printSchema()

    def show(self, num_rows: int = 20) -> None:
        for row in self._frame.limit(num_rows).toJSON().collect():
            print(row)

    def count(self) -> int:
        return self._frame.count()

    def getNumPartitions(self) -> int:
        return self._frame.rdd.getNumPartitions()

    def repartition(self, num_partitions: int, *_: Any, **__: Any) -> DynamicFrame:
        return self._with_frame(self._frame.repartition(num_partitions))

    def coalesce(self, num_partitions: int, *_: Any, **__: Any) -> DynamicFrame:
        return self._with_frame(self._frame.coalesce(num_partitions))

    def select_fields(self, paths: Sequence[str], *_: Any, **__: Any) -> DynamicFrame:
        return self._with_frame(self._frame.select(*([paths] if isinstance(paths, str) else paths)))

    def drop_fields(self, paths: Sequence[str], *_: Any, **__: Any) -> DynamicFrame:
        return self._with_frame(self._frame.drop(*([paths] if isinstance(paths, str) else paths)))

    def rename_field(self, oldName: str, newName: str, *_: Any, **__: Any) -> DynamicFrame:
        return self._with_frame(self._frame.withColumnRenamed(oldName, newName))

    def filter(self, f: Callable[[Any], bool], *_: Any, **__: Any) -> DynamicFrame:
        rows = self._frame.rdd.filter(f)
        return self._with_frame(self.glue_ctx.spark_session.createDataFrame(rows, self._frame.schema))

    def union(self, frame2: DynamicFrame, *_: Any, **__: Any) -> DynamicFrame:
        return self._with_frame(self._frame.unionByName(frame2.toDF(), allowMissingColumns=True))

    def join(
        self, paths1: Sequence[str], paths2: Sequence[str], frame2: DynamicFrame, *_: Any, **__: Any
    ) -> DynamicFrame:
        other = frame2.toDF()
        on = [self._frame[left] == other[right] for left, right in zip(paths1, paths2, strict=True)]
        return self._with_frame(self._frame.join(other, on))

    def apply_mapping(self, mappings: Sequence[Any], *_: Any, **__: Any) -> DynamicFrame:
        """Select columns by (source, target) or (source, source type, target, target type)."""
        columns = []
        for mapping in mappings:
            source, target = mapping[0], mapping[2 if len(mapping) == 4 else 1]
            column = F.col(source)
            columns.append((column.cast(_spark_type(mapping[3])) if len(mapping) == 4 else column).alias(target))
        return self._with_frame(self._frame.select(*columns))

    def resolveChoice(
        self, specs: Sequence[tuple[str, str]] | None = None, choice: str = "", *_: Any, **__: Any
    ) -> DynamicFrame:
        """Cast the columns of ``(path, "cast:type")``; other actions have no effect, as there are no choice types."""
        frame = self._frame
        for path, action in specs or ():
            if action.startswith("cast:"):
                frame = frame.withColumn(path, F.col(path).cast(_spark_type(action.removeprefix("cast:"))))
        return self._with_frame(frame)

    def _with_frame(self, frame: DataFrame) -> DynamicFrame:
        return DynamicFrame(frame, self.glue_ctx, self.name)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"DynamicFrame.{name} is not supported by the local AWS: use toDF() and Spark")


class DynamicFrameReader:
    """GlueContext.create_dynamic_frame."""

    def __init__(self, glue_context: Any) -> None:
        self._context = glue_context

    def from_catalog(
        self, database: str = "", table_name: str = "", *, push_down_predicate: str = "", name_space: str = "", **_: Any
    ) -> DynamicFrame:
        """Return the rows of a table of the Data Catalog that satisfy the predicate."""
        frame = tables.read(self._context.spark_session, database or name_space, table_name)
        frame = frame.where(push_down_predicate) if push_down_predicate else frame
        return DynamicFrame(frame, self._context, table_name)

    def from_options(
        self,
        connection_type: str,
        connection_options: dict[str, Any] | None = None,
        format: str | None = None,
        format_options: dict[str, Any] | None = None,
        **_: Any,
    ) -> DynamicFrame:
        """Return the rows of objects in S3."""
        tables.only_s3(connection_type)
        paths = (connection_options or {}).get("paths") or [(connection_options or {})["path"]]
        frame = tables.reader(self._context.spark_session, format or "parquet", format_options or {}).load(paths)
        return DynamicFrame(frame, self._context)

    def from_rdd(self, data: Any, name: str, schema: Any = None, *_: Any, **__: Any) -> DynamicFrame:
        return DynamicFrame(self._context.spark_session.createDataFrame(data, schema), self._context, name)


class DynamicFrameWriter:
    """GlueContext.write_dynamic_frame, which appends as on AWS."""

    def __init__(self, glue_context: Any) -> None:
        self._context = glue_context

    def from_options(
        self,
        frame: DynamicFrame,
        connection_type: str = "s3",
        connection_options: dict[str, Any] | None = None,
        format: str = "parquet",
        format_options: dict[str, Any] | None = None,
        **_: Any,
    ) -> DynamicFrame:
        tables.only_s3(connection_type)
        options = connection_options or {}
        tables.write(frame.toDF(), format, format_options or {}, options["path"], options.get("partitionKeys") or [])
        return frame

    def from_catalog(
        self, frame: DynamicFrame, database: str = "", table_name: str = "", *, name_space: str = "", **_: Any
    ) -> DynamicFrame:
        """Append rows to a table's location; new partitions are registered by the next crawl."""
        tables.append(frame.toDF(), database or name_space, table_name)
        return frame


def _spark_type(name: str) -> str:
    return {"long": "bigint", "short": "smallint", "byte": "tinyint"}.get(name.lower(), name)
