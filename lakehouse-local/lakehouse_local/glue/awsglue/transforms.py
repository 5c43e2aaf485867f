"""awsglue.transforms: Glue's transforms, which call a dynamic frame's methods."""

from __future__ import annotations

from typing import Any


class _Transform:
    """A transform that calls a method of the frame: ``Transform.apply(frame=..., ...)``.

    :cvar method: name of the method
    """

    method: str

    @classmethod
    def apply(cls, frame: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(frame, cls.method)(*args, **kwargs)

    def __call__(self, frame: Any, *args: Any, **kwargs: Any) -> Any:
        return self.apply(frame, *args, **kwargs)


class ApplyMapping(_Transform):
    method = "apply_mapping"


class SelectFields(_Transform):
    method = "select_fields"


class DropFields(_Transform):
    method = "drop_fields"


class RenameField(_Transform):
    method = "rename_field"


class ResolveChoice(_Transform):
    method = "resolveChoice"


class Filter(_Transform):
    method = "filter"


class Repartition(_Transform):
    method = "repartition"


class Join:
    @classmethod
    def apply(cls, frame1: Any, frame2: Any, keys1: Any, keys2: Any, **_: Any) -> Any:
        return frame1.join(keys1, keys2, frame2)


class DropNullFields:
    @classmethod
    def apply(cls, frame: Any, **_: Any) -> Any:
        """Drop the columns that contain only NULL."""
        from pyspark.sql import functions as F

        rows = frame.toDF()
        filled = rows.agg(*(F.count(F.col(name)).alias(name) for name in rows.columns)).first()
        return frame.drop_fields([name for name in rows.columns if not filled[name]])


__all__ = [
    "ApplyMapping",
    "DropFields",
    "DropNullFields",
    "Filter",
    "Join",
    "RenameField",
    "Repartition",
    "ResolveChoice",
    "SelectFields",
]
