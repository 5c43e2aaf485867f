"""DbtAthenaOperator: dbt on Athena, as a process of its own beside Airflow."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_lakehouse_provider._compat import AirflowException, AirflowFailException, BaseOperator
from airflow_lakehouse_provider.dbt.artifacts import ArtifactError, Outcome, named
from airflow_lakehouse_provider.dbt.commands import ArgumentError, Arguments
from airflow_lakehouse_provider.dbt.invocation import ExecutableError, Invocation, find_executable
from airflow_lakehouse_provider.dbt.profile import DEFAULT_THREADS, PROFILE, AthenaProfile, AwsAccess, ProfileError
from airflow_lakehouse_provider.dbt.project import Project, ProjectError

if TYPE_CHECKING:
    from airflow_lakehouse_provider._compat import Context

DEFAULT_DATABASE = "awsdatacatalog"
# How dbt begins what it says when the project or its own arguments are wrong: no retry changes that.
PROJECT_ERRORS = ("Compilation Error", "Parsing Error", "Validation Error", "Dependency Error", "Usage: dbt")
# Of the worker's environment: its Python's paths break dbt's, and its configuration holds secrets of no use to dbt.
_NOT_FOR_DBT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")


class DbtAthenaOperator(BaseOperator):
    """Run a dbt command on Athena, with any dbt of 1.8 to 1.11 in an environment of its own.

    dbt runs as a process in its own group: a task that is killed, timed out or loses its worker has dbt stop its Athena
    queries first. The project directory is only read. The profile is written from the arguments and holds no secret;
    credentials, region and endpoint come from the connection and reach dbt through its environment.

    Returns ``{command, success, elapsed_seconds, nodes: [{unique_id, status, seconds, rows, bytes_scanned, query_id,
    message}], counts: {status: nodes}, failures: [text], invocation_id}``.

    Everything is templated.

    :param command: run, test, build, seed, snapshot, compile, parse, ls, "source freshness", "docs generate",
        run-operation, deps, clone or show
    :param project: directory of the dbt project, with dbt_project.yml in it
    :param select: dbt's selectors, a text or a list; ``exclude`` likewise
    :param selector: the name of one of the project's selectors, instead of select and exclude
    :param vars: the project's variables, a mapping or its JSON or YAML text
    :param full_refresh: drop and rebuild incremental models and seeds
    :param threads: queries at once; default 4
    :param target: the profile's target; default "airflow"
    :param database: Athena's data catalog; default awsdatacatalog
    :param schema: Glue database that dbt builds in
    :param s3_staging_dir: ``s3://bucket/prefix/`` of what queries answer; may be left out where the work group says it
    :param s3_data_dir: ``s3://bucket/prefix`` of dbt's tables; default: under the staging directory
    :param work_group: Athena's work group
    :param profile_args: further settings of dbt-athena's profile, such as ``{"num_retries": 8}``; no credentials
    :param profiles_dir: a directory with a profiles.yml of yours, instead of all the profile's arguments
    :param dbt_executable: dbt's path, or its name on the worker's PATH
    :param flags: further options of dbt, such as ``["--fail-fast"]``; of run-operation the macro's name first
    :param env: further variables of dbt's environment
    :param allow_empty: whether a selection that matches nothing is a success
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param botocore_config: for the calls that the connection itself makes, such as assuming a role
    :raises AirflowFailException: (no retry) when tests found rows, the project does not compile, nothing was selected,
        or an argument cannot be used
    :raises AirflowException: (retry) when a query failed, or dbt was stopped
    """

    template_fields: Sequence[str] = (
        "command",
        "project",
        "select",
        "exclude",
        "selector",
        "vars",
        "full_refresh",
        "threads",
        "target",
        "database",
        "schema",
        "s3_staging_dir",
        "s3_data_dir",
        "work_group",
        "profile_args",
        "profiles_dir",
        "dbt_executable",
        "flags",
        "env",
        "allow_empty",
        "aws_conn_id",
        "region_name",
        "botocore_config",
    )
    template_fields_renderers = {"vars": "json", "profile_args": "json", "env": "json"}  # noqa: RUF012 - Airflow's type
    ui_color = "#ffdccd"

    def __init__(
        self,
        *,
        command: str,
        project: str,
        select: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        selector: str | None = None,
        vars: Mapping[str, Any] | str | None = None,
        full_refresh: bool = False,
        threads: int | None = None,
        target: str | None = None,
        database: str | None = None,
        schema: str | None = None,
        s3_staging_dir: str | None = None,
        s3_data_dir: str | None = None,
        work_group: str | None = None,
        profile_args: Mapping[str, Any] | None = None,
        profiles_dir: str | None = None,
        dbt_executable: str = "dbt",
        flags: Sequence[str] | None = None,
        env: Mapping[str, str] | None = None,
        allow_empty: bool = False,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.project = project
        self.select = select
        self.exclude = exclude
        self.selector = selector
        self.vars = vars
        self.full_refresh = full_refresh
        self.threads = threads
        self.target = target
        self.database = database
        self.schema = schema
        self.s3_staging_dir = s3_staging_dir
        self.s3_data_dir = s3_data_dir
        self.work_group = work_group
        self.profile_args = profile_args
        self.profiles_dir = profiles_dir
        self.dbt_executable = dbt_executable
        self.flags = flags
        self.env = env
        self.allow_empty = allow_empty
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.botocore_config = botocore_config
        self._invocation: Invocation | None = None
        # A slip in the DAG's file shows when it is parsed; what a template will say is looked at when it has.
        if isinstance(command, str) and "{" not in command:
            self._arguments(only_command=True)

    def execute(self, context: Context) -> dict[str, Any]:
        try:
            arguments = self._arguments()
            project = Project.open(self.project)
            executable = find_executable(self.dbt_executable)
            access = AwsAccess.of_connection(self.aws_conn_id, self.region_name, self.botocore_config)
            profile = None if self.profiles_dir else self._profile(access, arguments)
            profiles_dir = _profiles_dir(self.profiles_dir) if self.profiles_dir else None
            environment = access.environment(_worker_environment(), _texts(self.env))
        except (ArgumentError, ProjectError, ExecutableError, ProfileError) as error:
            raise AirflowFailException(str(error)) from error

        # Project directories are read-only on MWAA, so whatever dbt writes goes here, and away with the task.
        with tempfile.TemporaryDirectory(prefix="lakehouse-dbt-", ignore_cleanup_errors=True) as folder:
            scratch = Path(folder)
            if profile is not None:
                profile.write(scratch, arguments.target)
            line = arguments.line(
                project=project.directory,
                profiles=profiles_dir or scratch,
                profile=PROFILE if profile is not None else None,
                target_path=scratch / "target",
                log_path=scratch / "logs",
            )
            what = (arguments.command, project.name, arguments.selection, dict(arguments.vars))
            self.log.info("dbt %s of %s, %s, vars %s", *what)
            invocation = Invocation(
                executable=executable, arguments=line, environment=environment, directory=project.directory
            )
            self._invocation = invocation
            try:
                with invocation:
                    code = invocation.wait(lambda event: self.log.log(event.level, "%s", event.message))
            except ExecutableError as error:
                raise AirflowFailException(str(error)) from error
            try:
                file = scratch / "target" / arguments.results if arguments.results else None
                outcome = Outcome.read(file, invocation.log.queries) if file else Outcome()
            except ArtifactError as error:
                raise AirflowException(str(error)) from error
        self._judge(code, outcome, invocation, arguments, project)
        for name in named(outcome.nodes, "warn"):
            self.log.warning("%s warned", name)
        return {
            "command": arguments.command,
            "success": True,
            "elapsed_seconds": round(invocation.seconds, 3),
            **outcome.as_mapping(),
            "invocation_id": invocation.log.invocation_id,
        }

    def on_kill(self) -> None:
        # Called from a signal handler: one signal sent, nothing logged, nothing waited for. execute() cleans up.
        if self._invocation is not None:
            self._invocation.stop()

    def _arguments(self, *, only_command: bool = False) -> Arguments:
        if only_command:
            flags = ("a_macro",) if self.command == "run-operation" else None
            return Arguments.of(command=self.command, flags=flags)
        return Arguments.of(
            command=self.command,
            select=self.select,
            exclude=self.exclude,
            selector=self.selector,
            vars=self.vars,
            full_refresh=self.full_refresh,
            threads=self.threads,
            target=self.target,
            flags=self.flags,
        )

    def _profile(self, access: AwsAccess, arguments: Arguments) -> AthenaProfile:
        return AthenaProfile(
            schema=self.schema or "",
            region=access.region or "",
            s3_staging_dir=self.s3_staging_dir or None,
            s3_data_dir=self.s3_data_dir or None,
            work_group=self.work_group or None,
            database=self.database or DEFAULT_DATABASE,
            threads=arguments.threads or DEFAULT_THREADS,
            more=self.profile_args or {},
        )

    def _judge(
        self, code: int, outcome: Outcome, invocation: Invocation, arguments: Arguments, project: Project
    ) -> None:
        """Raise what the outcome asks for, if anything."""
        what = f"dbt {arguments.command} of {project.name}"
        after = f"\n{what}, invocation {invocation.log.invocation_id}: its log is above."
        if invocation.stopping:
            raise AirflowException(f"{what} was stopped, and its Athena queries with it{_so_far(outcome)}.")
        if outcome.failures:
            error = AirflowFailException if outcome.only_facts_failed else AirflowException
            raise error(outcome.sentence() + after)
        if code != 0:
            said = invocation.log.error or "\n".join(invocation.log.tail) or f"nothing; its exit code is {code}"
            error = AirflowFailException if said.startswith(PROJECT_ERRORS) else AirflowException
            raise error(f"{what} failed: {said}{after}")
        if arguments.selects and not outcome.nodes and invocation.log.nothing_selected and not self.allow_empty:
            raise AirflowFailException(
                f"{what} had nothing to do: {arguments.selection} matches no enabled node of the project. "
                "Correct it, or say allow_empty=True if that may be."
            )


def _so_far(outcome: Outcome) -> str:
    counts = ", ".join(f"{number} {status}" for status, number in outcome.counts.items())
    return f"; so far: {counts}" if counts else ""


def _profiles_dir(directory: Any) -> Path:
    path = Path(str(directory)).expanduser().absolute()
    if not (path / "profiles.yml").is_file():
        raise ProfileError(f"profiles_dir {str(directory)!r} holds no profiles.yml on this worker")
    return path


def _texts(env: Mapping[str, str] | None) -> dict[str, str]:
    if env is not None and not isinstance(env, Mapping):
        raise ArgumentError(f"env must be a mapping of variables to texts, not {type(env).__name__}")
    return {str(name): str(value) for name, value in (env or {}).items() if value is not None}


def _worker_environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_FOR_DBT)}
    # dbt reports each run to its makers, and waits for it at the end where there is no way out.
    return {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"} | kept
