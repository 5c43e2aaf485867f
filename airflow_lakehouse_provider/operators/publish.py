"""PublishOperator, RollbackOperator and SweepOperator: what dbt built becomes public, goes back, or is removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._airflow.compat import AirflowException, AirflowFailException, BaseOperator
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.operators.task_key import run_name
from airflow_lakehouse_provider.publishing.lease import LeaseError
from airflow_lakehouse_provider.publishing.names import Places, PublishingError
from airflow_lakehouse_provider.publishing.publish import Acceptance, Publisher
from airflow_lakehouse_provider.publishing.reads import ConflictCheck, QuerySettings
from airflow_lakehouse_provider.publishing.record import Publication
from airflow_lakehouse_provider.publishing.sweep import KEEP_GENERATIONS, KEEP_HOURS, Sweeper, SweepSettings
from airflow_lakehouse_provider.values import ArgumentError, parse_flag, parse_names

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context

_AWS_FIELDS = ("aws_conn_id", "region_name", "botocore_config")


class PublishingTask(BaseOperator):
    """A task that changes what is public, or clears away what nobody needs.

    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param botocore_config: arguments of botocore's Config
    """

    def __init__(
        self,
        *,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.botocore_config = botocore_config

    def _client(self, service: str) -> Any:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name or None, None, config).client(service)

    def _publisher(self, places: Places, settings: QuerySettings) -> Publisher:
        glue, s3, athena = (self._client(service) for service in ("glue", "s3", "athena"))
        conflicts = ConflictCheck(glue, s3, athena, places, settings, self.log.info)
        return Publisher(glue, s3, places, conflicts=conflicts, log=self.log.info)

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turn refusals into Airflow's exceptions: a retry can only help where another publisher is at work."""
        try:
            yield
        except LeaseError as error:
            raise AirflowException(str(error)) from error
        except (PublishingError, ArgumentError) as error:
            raise AirflowFailException(str(error)) from error


class PublishOperator(PublishingTask):
    """Make public what a build under ``audit`` has built, once its tests have passed.

    Pointers of the Glue Data Catalog are moved, one call for each partition and table; no data is copied. Readers see
    the month as it was or as it is now. A task that was killed is continued by its retry, or by the next publisher.

    Returns ``{unit, generation, tables, changes, gate, record}``: ``tables`` are the names of the tables and views that
    were changed, ``changes`` their number with partitions, ``record`` the address of the publication's record.

    All arguments are templated.

    :param attempt: the address that the build returned as ``attempt``
    :param accept: tests that may fail this once, by name or unique id: a list, or text with spaces between
    :param reason: why; needed with ``accept`` and only then
    :param accepted_by: the person who decided so, for the record
    :param work_group: Athena's work group, for EXPLAIN of queries when another publication came between
    :param s3_staging_dir: ``s3://bucket/prefix/`` of its results; may be left out where the work group has one
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param botocore_config: arguments of botocore's Config
    :raises AirflowFailException: (no retry) the gate has not passed, production was changed since it was read, or what
        was built cannot be published; production is unchanged
    :raises AirflowException: (retry) another publisher is at work for longer than an hour
    """

    template_fields: Sequence[str] = (
        *("attempt", "accept", "reason", "accepted_by", "work_group", "s3_staging_dir"),
        *_AWS_FIELDS,
    )
    ui_color = "#c8e6c9"

    def __init__(
        self,
        *,
        attempt: str,
        accept: str | Sequence[str] | None = None,
        reason: str | None = None,
        accepted_by: str | None = None,
        work_group: str | None = None,
        s3_staging_dir: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.attempt = attempt
        self.accept = accept
        self.reason = reason
        self.accepted_by = accepted_by
        self.work_group = work_group
        self.s3_staging_dir = s3_staging_dir

    def execute(self, context: Context) -> dict[str, Any]:
        with self._refusals():
            places = Places.of_attempt(self.attempt)
            acceptance = Acceptance(parse_names("accept", self.accept), self.reason or "", self.accepted_by or "")
            settings = QuerySettings(self.work_group or None, self.s3_staging_dir or None)
            publisher = self._publisher(places, settings)
            record = publisher.publish(self.attempt, acceptance=acceptance, run=run_name(context))
        return _result(record, publisher)


class RollbackOperator(PublishingTask):
    """Put a former generation of a unit back: every table of it that was published since, together.

    Returns as :class:`PublishOperator`, with ``restores``, the generation that is back. All arguments are templated.

    :param unit: the unit of the build, such as ``2024-05``
    :param s3_data_dir: ``s3://bucket/prefix`` of production's tables, as the builds have it
    :param to: the generation, as `lakehouse history` lists them; 0 is what was there before the first; default: the one
        before the last
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param botocore_config: arguments of botocore's Config
    :raises AirflowFailException: (no retry) it cannot come back; the message says why; production is unchanged
    :raises AirflowException: (retry) another publisher is at work for longer than an hour
    """

    template_fields: Sequence[str] = ("unit", "s3_data_dir", "to", *_AWS_FIELDS)
    ui_color = "#ffe0b2"

    def __init__(self, *, unit: str, s3_data_dir: str, to: int | str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.unit = unit
        self.s3_data_dir = s3_data_dir
        self.to = to

    def execute(self, context: Context) -> dict[str, Any]:
        with self._refusals():
            publisher = self._publisher(_places(self.s3_data_dir), QuerySettings())
            record = publisher.rollback(self.unit, _generation(self.to), run=run_name(context))
        return {**_result(record, publisher), "restores": record.restores}


class SweepOperator(PublishingTask):
    """Remove audit schemas that nobody needs, temporary tables of killed runs, and the files of old generations.

    Kept are what production points at, the generation before it, what a running attempt or an open publication needs,
    and everything younger than ``keep_hours``.

    Returns ``{databases, tables, files, bytes}``. All arguments are templated.

    :param schemas: production's Glue databases, a list, or text with spaces between
    :param s3_data_dir: ``s3://bucket/prefix`` of production's tables, as the builds have it
    :param keep_generations: of each unit the published one and those before it; default 2
    :param keep_hours: default 24; must be longer than any build takes
    :param list_only: log what would be removed, and remove nothing
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param botocore_config: arguments of botocore's Config
    :raises AirflowFailException: (no retry) an argument cannot be used
    """

    template_fields: Sequence[str] = (
        *("schemas", "s3_data_dir", "keep_generations", "keep_hours", "list_only"),
        *_AWS_FIELDS,
    )
    ui_color = "#eeeeee"

    def __init__(
        self,
        *,
        schemas: str | Sequence[str],
        s3_data_dir: str,
        keep_generations: int | str = KEEP_GENERATIONS,
        keep_hours: float | str = KEEP_HOURS,
        list_only: bool | str = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.schemas = schemas
        self.s3_data_dir = s3_data_dir
        self.keep_generations = keep_generations
        self.keep_hours = keep_hours
        self.list_only = list_only  # not dry_run, which is a method of every operator

    def execute(self, context: Context) -> dict[str, Any]:
        with self._refusals():
            settings = SweepSettings(
                parse_names("schemas", self.schemas),
                _number("keep_generations", self.keep_generations, int),
                _number("keep_hours", self.keep_hours, float),
                parse_flag("list_only", self.list_only),
            )
            places = _places(self.s3_data_dir)
            swept = Sweeper(self._client("glue"), self._client("s3"), places, settings, log=self.log.info).sweep()
        return {"databases": swept.databases, "tables": swept.tables, "files": swept.files, "bytes": swept.bytes}


def _result(record: Publication, publisher: Publisher) -> dict[str, Any]:
    return {
        "unit": record.unit,
        "generation": record.generation,
        "tables": sorted({str(step.table) for step in record.plan}),
        "changes": len(record.plan),
        "gate": record.gate,
        "record": publisher.history.uri(record),
    }


def _places(data: str) -> Places:
    try:
        return Places(data)
    except (ValueError, AttributeError):
        raise ArgumentError(f"s3_data_dir must be s3://bucket/prefix, not {data!r}") from None


def _generation(value: int | str | None) -> int | None:
    if value is None or value == "":
        return None
    return int(_number("to", value, int))


def _number(name: str, value: Any, kind: type) -> Any:
    try:
        if isinstance(value, bool):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError):
        whole = "a whole number" if kind is int else "a number"
        raise ArgumentError(f"{name} must be {whole}, not {value!r}") from None
