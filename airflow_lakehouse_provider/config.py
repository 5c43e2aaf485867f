"""A lakehouse.yaml, read and validated once, for the DAG, the command line and the local AWS."""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from airflow_lakehouse_provider.errors import LakehouseError
from airflow_lakehouse_provider.month import Month
from airflow_lakehouse_provider.s3_uri import split_s3_uri

SERVICES = ("yellow", "green")
DBT_PLACES = ("worker", "glue")
WORKER_TYPES = ("G.1X", "G.2X", "G.4X", "G.8X", "G.12X", "G.16X", "R.1X", "R.2X", "R.4X", "R.8X")
GLUE_VERSIONS = ("5.0", "5.1")
_KEY_FIELDS = {"service", "year", "month"}
_REQUIRED = object()
T = TypeVar("T")


class LakehouseConfigError(LakehouseError, ValueError):
    """lakehouse.yaml cannot be used; the message names the file, the key, its value and what is allowed."""


@dataclass(frozen=True)
class Zones:
    """The five zones, each ``s3://bucket`` or ``s3://bucket/prefix`` without a slash at the end."""

    raw: str
    cleaned: str
    curated: str
    results: str
    artifacts: str


@dataclass(frozen=True)
class Databases:
    """Databases of the Glue Data Catalog: the crawler's and dbt's."""

    cleaned: str
    marts: str


@dataclass(frozen=True)
class Glue:
    """The Glue job that cleans a month and the crawler that catalogues it."""

    job: str
    crawler: str
    role: str
    version: str
    worker_type: str
    workers: int
    timeout_minutes: int
    max_concurrent_runs: int

    @property
    def account(self) -> str:
        """The id of the AWS account that the role, and so the lakehouse, belongs to: twelve digits."""
        return self.role.split(":")[4]


@dataclass(frozen=True)
class Athena:
    """The work group that dbt's queries run in."""

    work_group: str


@dataclass(frozen=True)
class Dbt:
    """dbt's project and where it runs. A relative ``project`` in the file is made absolute from the file's folder.

    :ivar glue_job: the Glue job of run_dbt.py; None where there is none
    :ivar connection: the Airflow connection of dbt on a worker, whose role may use Athena
    :ivar fence_role: ARN of the IAM role whose session dbt gets when it builds under the gate; None: production's files
        are compared before and after
    """

    project: str
    target: str
    runs_in: str
    executable: str
    threads: int
    glue_job: str | None = None
    connection: str = "aws_default"
    fence_role: str | None = None

    @property
    def aws_conn_id(self) -> str:
        """The Airflow connection of the dbt tasks: in Glue, dbt has the job's role and the task only starts the job."""
        return self.connection if self.runs_in == "worker" else "aws_default"

    @property
    def fence(self) -> str | bool:
        """The argument `fence` of a build under the gate."""
        return self.fence_role or False

    @property
    def glue_job_name(self) -> str | None:
        """The Glue job that dbt runs in; None when it runs on the worker."""
        return self.glue_job if self.runs_in == "glue" else None


@dataclass(frozen=True)
class GateSettings:
    """The gate's limits for the rows of a month, beside the dbt project's own tests. Shares are numbers from 0 to 1.

    :ivar rows_of_replaced: least share of the rows that the month has in public; with fewer at all, it warns
    :ivar rows_of_neighbours: least share of the median of up to three months on each side
    :ivar daily_rows: whether every day of the month must have rows
    :ivar late_rows: share of a month's rows that may have come in other months' files before the gate warns
    """

    rows_of_replaced: float = 0.9
    rows_of_neighbours: float = 0.5
    daily_rows: bool = True
    late_rows: float = 0.01

    @property
    def dbt_vars(self) -> dict[str, float | bool]:
        """The vars of the dbt project, which have these names."""
        return asdict(self)


@dataclass(frozen=True)
class Schedule:
    """The schedule of the DAG; each run loads the month before its date."""

    cron: str
    timezone: str
    start: Month
    catchup: bool
    retries: int


@dataclass(frozen=True)
class Lakehouse:
    """A validated lakehouse.yaml.

    :raises LakehouseConfigError: from :meth:`load` and :meth:`from_mapping`, naming key, value and what is allowed
    """

    region: str
    services: tuple[str, ...]
    zones: Zones
    raw_key_template: str
    databases: Databases
    glue: Glue
    athena: Athena
    dbt: Dbt
    schedule: Schedule
    poll_seconds: float
    gate: GateSettings = GateSettings()

    @classmethod
    def load(cls, path: str | Path) -> Lakehouse:
        """Read a lakehouse.yaml."""
        import yaml

        path = Path(path)
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise LakehouseConfigError(f"{path} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise LakehouseConfigError(f"{path} is not valid YAML: {error}") from error
        return cls.from_mapping(content, where=str(path), folder=path.resolve().parent)

    @classmethod
    def from_mapping(cls, content: Any, *, where: str = "lakehouse.yaml", folder: Path | None = None) -> Lakehouse:
        """Validate the content of a lakehouse.yaml; a relative dbt project is resolved from ``folder``."""
        top = _Section(content, where, "")
        zones, databases, glue, athena, dbt, schedule = (
            top.section(name) for name in ("zones", "databases", "glue", "athena", "dbt", "schedule")
        )
        gate = top.section("gate", needed=False)
        lakehouse = cls(
            region=top.take("region", _matching(r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region such as us-east-1")),
            services=top.take("services", _services),
            zones=Zones(**{name: zones.take(name, _s3_uri) for name in Zones.__annotations__}),
            raw_key_template=top.take("raw_key", _raw_key),
            databases=Databases(**{name: databases.take(name, _database) for name in Databases.__annotations__}),
            glue=Glue(
                job=glue.take("job", _NAME),
                crawler=glue.take("crawler", _NAME),
                role=glue.take("role", _ROLE),
                version=glue.take("version", _one_of(GLUE_VERSIONS), "5.1"),
                worker_type=glue.take("worker_type", _one_of(WORKER_TYPES), "G.1X"),
                workers=glue.take("workers", _whole(2, 299), 2),
                timeout_minutes=glue.take("timeout_minutes", _whole(1, 7 * 24 * 60), 60),
                max_concurrent_runs=glue.take("max_concurrent_runs", _whole(1, 1000), 1),
            ),
            athena=Athena(work_group=athena.take("work_group", _matching(r"[a-zA-Z0-9._-]{1,128}", "a work group"))),
            dbt=Dbt(
                project=_project(dbt.take("project", _text), folder),
                target=dbt.take("target", _text),
                runs_in=dbt.take("runs_in", _one_of(DBT_PLACES), "worker"),
                executable=dbt.take("executable", _text, "dbt"),
                threads=dbt.take("threads", _whole(1, 64), 4),
                glue_job=dbt.take("glue_job", _or_none(_NAME), None),
                connection=dbt.take("connection", _NAME, "aws_default"),
                fence_role=dbt.take("fence_role", _or_none(_ROLE), None),
            ),
            schedule=Schedule(
                cron=schedule.take("cron", _matching(r"\S+( +\S+){4}", "five cron fields such as 0 6 5 * *")),
                timezone=schedule.take("timezone", _timezone, "UTC"),
                start=schedule.take("start", _month),
                catchup=schedule.take("catchup", _flag, False),
                retries=schedule.take("retries", _whole(0, 100), 2),
            ),
            poll_seconds=top.take("poll_seconds", _seconds, 30.0),
            gate=GateSettings(
                rows_of_replaced=gate.take("rows_of_replaced", _share, GateSettings.rows_of_replaced),
                rows_of_neighbours=gate.take("rows_of_neighbours", _share, GateSettings.rows_of_neighbours),
                daily_rows=gate.take("daily_rows", _flag, GateSettings.daily_rows),
                late_rows=gate.take("late_rows", _share, GateSettings.late_rows),
            ),
        )
        for section in (top, zones, databases, glue, athena, dbt, schedule, gate):
            section.nothing_left()
        if lakehouse.databases.cleaned == lakehouse.databases.marts:
            raise LakehouseConfigError(
                f"{where}: databases.marts is {lakehouse.databases.marts!r}, the same as databases.cleaned; "
                "the crawler and dbt need a database each"
            )
        if lakehouse.dbt.runs_in == "glue" and not lakehouse.dbt.glue_job:
            raise LakehouseConfigError(
                f"{where}: dbt.runs_in is 'glue', and dbt.glue_job is missing: name the Glue job of run_dbt.py"
            )
        return lakehouse

    @property
    def buckets(self) -> tuple[str, ...]:
        """The buckets of the zones, each once, in the zones' order."""
        return tuple(dict.fromkeys(split_s3_uri(getattr(self.zones, name))[0] for name in Zones.__annotations__))

    def raw_key(self, service: str, month: Month) -> str:
        """Return the key of a month's raw file in the raw zone's bucket."""
        _, prefix = split_s3_uri(self.zones.raw)
        key = self.raw_key_template.format(service=service, year=month.year_text, month=month.month_text)
        return f"{prefix}/{key}" if prefix else key

    def raw_uri(self, service: str, month: Month) -> str:
        """Return the URI of a month's raw file, ``s3://bucket/key``."""
        return f"s3://{split_s3_uri(self.zones.raw)[0]}/{self.raw_key(service, month)}"


class _Section:
    """One mapping of the file: its keys are read one by one, and a key that was not read is an error."""

    def __init__(self, content: Any, where: str, path: str) -> None:
        if not isinstance(content, Mapping):
            raise LakehouseConfigError(f"{where}: {path or 'the file'} must hold keys and values, not {content!r}")
        self._content, self._where, self._path = content, where, path
        self._read: list[str] = []

    def section(self, key: str, *, needed: bool = True) -> _Section:
        self._read.append(key)
        if key not in self._content and not needed:
            return _Section({}, self._where, self._name(key))
        if key not in self._content:
            raise LakehouseConfigError(f"{self._where}: {self._name(key)} is missing{self._near(key)}")
        return _Section(self._content[key], self._where, self._name(key))

    def take(self, key: str, check: Callable[[Any], T], default: Any = _REQUIRED) -> T:
        self._read.append(key)
        value = self._content.get(key, default)
        if value is _REQUIRED:
            raise LakehouseConfigError(f"{self._where}: {self._name(key)} is missing{self._near(key)}")
        try:
            return check(value)
        except ValueError as error:
            raise LakehouseConfigError(f"{self._where}: {self._name(key)} is {value!r}; it must be {error}") from None

    def nothing_left(self) -> None:
        for key in self._content:
            if key not in self._read:
                allowed = ", ".join(self._read)
                raise LakehouseConfigError(f"{self._where}: unknown key {self._name(key)}; allowed here: {allowed}")

    def _name(self, key: Any) -> str:
        return f"{self._path}.{key}" if self._path else str(key)

    def _near(self, key: str) -> str:
        import difflib

        near = difflib.get_close_matches(key, [str(k) for k in self._content if k not in self._read], 1)
        return f" (there is {near[0]!r}: a typo?)" if near else ""


def _matching(pattern: str, meaning: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            raise ValueError(meaning)
        return value

    return check


_ROLE = _matching(r"arn:aws[\w-]*:iam::\d{12}:role/.+", "the ARN of an IAM role")
_NAME = _matching(r"[\w][\w .@/+=-]{0,254}", "a name of 1 to 255 letters, digits, '-', '_' and '.'")


_ROLE = _matching(r"arn:aws[\w-]*:iam::\d{12}:role/.+", "the ARN of an IAM role")


def _or_none(check: Callable[[Any], str]) -> Callable[[Any], str | None]:
    return lambda value: None if value is None else check(value)


def _one_of(allowed: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(value)

    return check


def _whole(first: int, last: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not first <= value <= last:
            raise ValueError(f"a whole number from {first} to {last}")
        return value

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError("text that is not empty")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _share(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ValueError("a share from 0 to 1, such as 0.9")
    return float(value)


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.2 <= value <= 3600:
        raise ValueError("a number of seconds from 0.2 to 3600")
    return float(value)


def _services(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or len(set(map(str, value))) != len(value):
        raise ValueError(f"a list of services, each once, of {', '.join(SERVICES)}")
    return tuple(_one_of(SERVICES)(service) for service in value)


def _s3_uri(value: Any) -> str:
    # The bucket rules of AWS's page "General purpose bucket naming rules", without the reserved affixes.
    if not isinstance(value, str) or not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\s]+)*/?", value):
        raise ValueError("s3://bucket or s3://bucket/prefix (a bucket's name is 3 to 63 of a-z, 0-9, '-' and '.')")
    return value.rstrip("/")


def _database(value: Any) -> str:
    return _matching(r"[a-z][a-z0-9_]{0,127}", "a database name of a-z, 0-9 and '_', beginning with a letter")(value)


def _raw_key(value: Any) -> str:
    meaning = "a key holding {service}, {year} and {month}, such as {service}/{year}/{service}_{year}-{month}.parquet"
    if not isinstance(value, str) or value.startswith("/"):
        raise ValueError(meaning)
    try:
        fields = {field for _, field, _, _ in string.Formatter().parse(value) if field is not None}
    except ValueError:
        raise ValueError(meaning) from None
    if fields != _KEY_FIELDS:
        raise ValueError(meaning)
    return value


def _timezone(value: Any) -> str:
    import zoneinfo

    try:
        zoneinfo.ZoneInfo(_text(value))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        raise ValueError("a time zone such as UTC or America/New_York") from None
    return str(value)


def _month(value: Any) -> Month:
    try:
        return Month.parse(value)
    except ValueError:
        raise ValueError("a month written YYYY-MM, such as 2024-01") from None


def _project(project: str, folder: Path | None) -> str:
    if folder is None or project.startswith("s3://") or Path(project).is_absolute():
        return project
    return str((folder / project).resolve())
