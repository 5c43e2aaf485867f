"""DbtAthenaOperator: dbt on Athena, as a process of its own beside Airflow or in a Glue job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_lakehouse_provider._airflow.assets import alias
from airflow_lakehouse_provider._airflow.compat import (
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
    BaseOperator,
    BaseTrigger,
    default_deferrable,
)
from airflow_lakehouse_provider._airflow.connection import AwsConnection
from airflow_lakehouse_provider.dbt.access import AwsAccess
from airflow_lakehouse_provider.dbt.commands import STATE_FLAGS, DbtArguments
from airflow_lakehouse_provider.dbt.invocation import ExecutableError, find_executable
from airflow_lakehouse_provider.dbt.profile import ProfileError
from airflow_lakehouse_provider.dbt.run import DbtRun
from airflow_lakehouse_provider.dbt.verdict import DbtVerdict
from airflow_lakehouse_provider.links import dbt as dbt_links
from airflow_lakehouse_provider.links.console import store_addresses
from airflow_lakehouse_provider.operators import dbt_end
from airflow_lakehouse_provider.operators.dbt_glue import SERVICES, DbtInGlue, InGlueSettings
from airflow_lakehouse_provider.operators.dbt_request import DbtSettings, make_request, task_uri
from airflow_lakehouse_provider.operators.job_arguments import checked_seconds
from airflow_lakehouse_provider.operators.task_run import RunSettings
from airflow_lakehouse_provider.triggers import events
from airflow_lakehouse_provider.triggers.events import EventError
from airflow_lakehouse_provider.values import parse_names

if TYPE_CHECKING:
    from airflow_lakehouse_provider._airflow.compat import Context


class DbtAthenaOperator(BaseOperator):
    """Run a dbt command on Athena, with any dbt of 1.8 to 1.11 in an environment of its own.

    dbt runs as a process in its own group: a task that is killed, timed out or loses its worker has dbt stop its Athena
    queries first. The project directory is only read. The profile is written from the arguments and holds no secret;
    credentials, region and endpoint come from the connection and reach dbt through its environment.

    A try whose queries failed is resumed by Airflow's next try as by ``dbt retry``: only what is left is run, on any
    worker, while project, variables and selection are the same.

    Returns ``{command, success, elapsed_seconds, nodes: [{unique_id, status, seconds, rows, bytes_scanned, query_id,
    message}], counts: {status: nodes}, failures: [text], artifacts_uri, invocation_id}``; of long lists the first
    hundreds, failures before all, the whole being in the artifacts.

    Everything is templated but ``emit_model_assets`` and ``deferrable``.

    :param command: run, test, build, seed, snapshot, compile, parse, ls, "source freshness", "docs generate",
        run-operation, deps, retry, clone or show
    :param project: directory of the dbt project, with dbt_project.yml in it; or a .zip of one, or s3://bucket/prefix or
        s3://bucket/key.zip, which a worker fetches once per content
    :param select: dbt's selectors, a text or a list; ``exclude`` likewise
    :param selector: the name of one of the project's selectors, instead of select and exclude
    :param vars: the project's variables, a mapping or its JSON or YAML text
    :param full_refresh: drop and rebuild incremental models and seeds
    :param threads: queries at once; default 4
    :param target: the profile's target; default "airflow"
    :param database: Athena's data catalog; default awsdatacatalog
    :param schema: Glue database that dbt builds in
    :param s3_staging_dir: ``s3://bucket/prefix/`` of query results; may be left out where the work group has one
    :param s3_data_dir: ``s3://bucket/prefix`` of dbt's tables; default: under the staging directory
    :param work_group: Athena's work group
    :param profile_args: further settings of dbt-athena's profile, such as ``{"num_retries": 8}``; no credentials
    :param profiles_dir: a directory with a profiles.yml of yours, instead of all the profile's arguments
    :param dbt_executable: dbt's path, or its name on the worker's PATH
    :param flags: further options of dbt, such as ``["--fail-fast"]``; of run-operation the macro's name first
    :param env: further variables of dbt's environment
    :param resume: whether an automatic retry runs only what the last try left
    :param allow_empty: whether a selection that matches nothing is a success
    :param artifacts_uri: ``s3://bucket/prefix`` where dbt's artifacts are kept for the next try and for you; default:
        beside the staging directory; without either none are kept
    :param audit: with build, run or seed: the unit that is published together, such as ``"{{ month() }}"``. dbt then
        builds into a new audit schema, a clone of production by pointers, and production stays as it is; the result
        gains ``attempt`` (the address of the attempt's document) and ``audit``. With test: that address, the XCom
        ``attempt`` of the build, whose audit schema is tested. Needs ``schema`` and ``s3_data_dir``
    :param fence: of a task with audit: ARN of an IAM role whose session dbt gets, with a policy that lets it write into
        the audit schema alone; or False: production's files are compared before and after the build
    :param partitions: of a build with audit: the partitions that it may touch, an expression of Glue's GetPartitions;
        the publication refuses others
    :param direct: of a build with audit: selectors of nodes that are left out, to be built by a task without audit
    :param empty: of a build with audit: the unit has no rows: the partitions that it owns (``partitions``) are removed
    :param accept: of a test with audit: tests that may fail this once, by name or unique id, a list or text with
        spaces between: the task then succeeds with a warning; PublishOperator needs the same, with a reason
    :param skip_unchanged_days: of a build with audit: skip the task if the unit was published from the same project
        within so many days, and its tables are as they were published
    :param emit_model_assets: whether each model that was built gets an asset event (dataset on Airflow 2)
    :param glue_job_name: a Glue job of ``glue_scripts/run_dbt.py`` that dbt runs in, instead of on the worker
    :param job_poll_interval: seconds between polls of the Glue job run
    :param aws_conn_id: Airflow connection for AWS; None for botocore's own way to credentials
    :param region_name: default: the connection's
    :param botocore_config: for the calls that the connection itself makes, such as assuming a role
    :param deferrable: whether the triggerer waits for the Glue job run; needs ``glue_job_name``.
        Default: Airflow's ``default_deferrable`` where there is a ``glue_job_name``
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
        "resume",
        "allow_empty",
        "artifacts_uri",
        "audit",
        "fence",
        "partitions",
        "direct",
        "empty",
        "accept",
        "skip_unchanged_days",
        "glue_job_name",
        "job_poll_interval",
        "aws_conn_id",
        "region_name",
        "botocore_config",
    )
    template_fields_renderers = {"vars": "json", "profile_args": "json", "env": "json"}  # noqa: RUF012 - Airflow's type
    operator_extra_links = dbt_links.LINKS
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
        resume: bool = True,
        allow_empty: bool = False,
        artifacts_uri: str | None = None,
        audit: str | None = None,
        fence: str | bool | None = None,
        partitions: str | None = None,
        direct: str | Sequence[str] | None = None,
        empty: bool | str = False,
        accept: str | Sequence[str] | None = None,
        skip_unchanged_days: float | str | None = None,
        emit_model_assets: bool = False,
        glue_job_name: str | None = None,
        job_poll_interval: float | str = 30,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        botocore_config: Mapping[str, Any] | None = None,
        deferrable: bool | None = None,
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
        self.resume = resume
        self.allow_empty = allow_empty
        self.artifacts_uri = artifacts_uri
        self.audit = audit
        self.fence = fence
        self.partitions = partitions
        self.direct = direct
        self.empty = empty
        self.accept = accept
        self.skip_unchanged_days = skip_unchanged_days
        self._gated = audit is not None
        self.emit_model_assets = emit_model_assets
        self.glue_job_name = glue_job_name
        self.job_poll_interval = job_poll_interval
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.botocore_config = botocore_config
        if deferrable and not glue_job_name:
            raise ValueError(
                "deferrable=True needs glue_job_name: on a worker dbt is a process that the task must wait for. Name "
                "a Glue job of glue_scripts/run_dbt.py, or leave deferrable out."
            )
        self.deferrable = bool(glue_job_name) and (default_deferrable() if deferrable is None else deferrable)
        self._run: DbtRun | None = None
        self._glue: DbtInGlue | None = None
        self._verdict: DbtVerdict | None = None
        self._alias = None
        if emit_model_assets:
            self._alias = alias(f"{self.dag_id}.{self.task_id}")
            self.outlets = [*self.outlets, self._alias]
        # A mistake in the DAG's file shows when it is parsed; a template is checked when it is rendered.
        if isinstance(command, str) and "{" not in command:
            needed = {"run-operation": ("a_macro",), "retry": tuple(STATE_FLAGS)}
            DbtArguments.parse(command=command, flags=needed.get(" ".join(command.split())))

    def execute(self, context: Context) -> dict[str, Any]:
        try:
            access = self._connection.access()
            request = make_request(self._settings(), context, access)
            executable = None if self.glue_job_name else find_executable(self.dbt_executable)
            self._glue = self._in_glue(context) if self.glue_job_name else None
        except (ValueError, ExecutableError) as error:
            raise AirflowFailException(str(error)) from error
        if self._glue is not None:
            self._verdict = self._glue.take(context, request)
            return self._end(context, access)
        if request.resume and request.task_uri is None:
            self.log.warning("This retry runs everything again: there is neither artifacts_uri nor s3_staging_dir.")
        self._run = DbtRun(
            request,
            executable=executable or "",
            aws=access.aws(),
            on_event=lambda event: self.log.log(event.level, "%s", event.message),
            log=lambda level, message: self.log.log(level, "%s", message),
        )
        self._verdict = self._run()
        return self._end(context, access)

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """Resume the task after a deferral."""
        try:
            trigger_event = events.parse(event)
        except EventError as error:
            raise AirflowException(str(error)) from error
        self._glue = self._in_glue(context)
        self._glue.prepare_kill()
        self._verdict = self._glue.resume(context, trigger_event)
        access = self._connection.access()
        return self._end(context, access)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Resume the task; Airflow calls this also for a deferral that it ended itself, past execute_complete."""
        error = str((next_kwargs or {}).get("error", ""))
        if next_method == "__fail__" and "timeout" in error.lower():
            raise AirflowTaskTimeout(f"{error}. {self._in_glue(context).stop(context)}")
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        # Called from a signal handler: nothing is logged. On a worker one signal is sent, and execute() cleans up.
        if self._run is not None:
            self._run.stop()
        if self._glue is not None:
            self._glue.kill()

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """Return the tables of the task for OpenLineage's listener, where its provider is installed."""
        return dbt_end.lineage(self._verdict)

    def get_openlineage_facets_on_failure(self, task_instance: Any) -> Any:
        """Return the tables that a failed task built, for OpenLineage's listener."""
        return dbt_end.lineage(self._verdict)

    def _settings(self) -> DbtSettings:
        if self._gated and self.audit is None:
            # A native template without a value: the task must not go past the gate.
            self.audit = ""
        return DbtSettings(**{each.name: getattr(self, each.name) for each in fields(DbtSettings)})

    @property
    def _connection(self) -> AwsConnection:
        config = dict(self.botocore_config) if self.botocore_config else None
        return AwsConnection(self.aws_conn_id, self.region_name, None, config)

    def _in_glue(self, context: Context) -> DbtInGlue:
        uri = task_uri(self._settings(), context) if "ti" in context else None
        if uri is None:
            raise ProfileError(
                "glue_job_name needs a place in S3 for request and artifacts: artifacts_uri or s3_staging_dir; and a "
                "task of a DAG run, whose key the job run carries"
            )
        if self.profiles_dir:
            raise ProfileError(
                "profiles_dir is on this worker, and dbt in Glue cannot see it: name schema and the rest"
            )
        run = RunSettings(
            self._connection,
            str(self.glue_job_name),
            self.deferrable,
            self.execution_timeout,
            services=SERVICES,
        )
        settings = InGlueSettings(run, self.command, checked_seconds("job_poll_interval", self.job_poll_interval), uri)
        return DbtInGlue(settings, context, log=self.log, defer=self._defer)

    def _defer(self, trigger: BaseTrigger) -> NoReturn:
        self.defer(trigger=trigger, method_name="execute_complete")
        raise AssertionError  # defer never returns

    def _end(self, context: Context, access: AwsAccess) -> dict[str, Any]:
        assert self._verdict is not None
        settings = dbt_end.EndSettings(
            self.log,
            lambda links: store_addresses(self, context, links),
            self._alias,
            parse_names("accept", self.accept),
        )
        place = {"region": access.region or "", "partition": access.partition}
        return dbt_end.end_task(settings, context, self._verdict, **place)
