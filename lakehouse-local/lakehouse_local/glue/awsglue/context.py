"""awsglue.context: GlueContext over the run's Spark session."""

from __future__ import annotations

import logging
import warnings
from typing import Any

from awsglue.dynamicframe import DynamicFrameReader, DynamicFrameWriter
from pyspark.sql import SparkSession, SQLContext


class GlueContext(SQLContext):
    """Spark SQL's context with Glue's readers and writers of dynamic frames.

    :param sparkContext: the run's Spark context
    """

    def __init__(self, sparkContext: Any, **options: Any) -> None:
        session = SparkSession.builder.getOrCreate()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            super().__init__(sparkContext, session)
        self.spark_session = session
        self.create_dynamic_frame = DynamicFrameReader(self)
        self.write_dynamic_frame = DynamicFrameWriter(self)

    def get_logger(self) -> Any:
        """Return a logger that writes to the run's error log, with AWS's methods: info, warn, error, debug."""
        logger = logging.getLogger("GlueLogger")
        if not logger.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
            logger.addHandler(handler)
            logger.setLevel(logging.INFO)
        return logger

    def create_dynamic_frame_from_catalog(self, database: str, table_name: str, **options: Any) -> Any:
        return self.create_dynamic_frame.from_catalog(database=database, table_name=table_name, **options)

    def create_dynamic_frame_from_options(self, connection_type: str, **options: Any) -> Any:
        return self.create_dynamic_frame.from_options(connection_type, **options)

    def write_dynamic_frame_from_options(self, frame: Any, connection_type: str, **options: Any) -> Any:
        return self.write_dynamic_frame.from_options(frame, connection_type, **options)

    def write_dynamic_frame_from_catalog(self, frame: Any, database: str, table_name: str, **options: Any) -> Any:
        return self.write_dynamic_frame.from_catalog(frame, database=database, table_name=table_name, **options)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"GlueContext.{name} is not supported by the local AWS: use spark_session and Spark")
