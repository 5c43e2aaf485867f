"""A run of dbt from request to verdict, the same on a worker and in a Glue job."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.artifacts import ArtifactError, DbtResults, merge, names_with_status
from airflow_lakehouse_provider.dbt.attempt import Attempt, Aws, Stopped
from airflow_lakehouse_provider.dbt.commands import STATE_FLAGS, DbtArguments
from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.gate.marker import AttemptLost
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.dbt.gate.run import gated_run
from airflow_lakehouse_provider.dbt.invocation import ExecutableError, Invocation
from airflow_lakehouse_provider.dbt.manifest import built_tables
from airflow_lakehouse_provider.dbt.project import Project, ProjectError, UnreachableError
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.scratch import Cache, Scratch, digest
from airflow_lakehouse_provider.dbt.stage import DbtStage, write_profiles
from airflow_lakehouse_provider.dbt.store import RESULTS, LastTry, Store, fetch
from airflow_lakehouse_provider.dbt.verdict import PERMANENT, RETRYABLE, STOPPED, SUCCESS, DbtVerdict, judge
from airflow_lakehouse_provider.dbt.workspace import ParseCache, Workspace
from airflow_lakehouse_provider.publishing.names import PublishingError


class DbtRun:
    """A run of dbt; it is called once.

    :param executable: dbt's path, or the beginning of its command line
    :param on_event: called with every event of dbt's log that has a message
    :param log: called with the level and the message of a line for the task's log
    :param cache: default: this user's on this machine
    """

    def __init__(
        self,
        request: DbtRequest,
        *,
        executable: str | Sequence[str],
        aws: Aws,
        on_event: Callable[[DbtEvent], None],
        log: Callable[[int, str], None],
        cache: Cache | None = None,
    ) -> None:
        self._request = request
        self._arguments = DbtArguments.parse(**request.arguments)
        self._executable = (executable,) if isinstance(executable, str) else tuple(executable)
        self._aws = aws
        self._log = log
        self._cache = cache
        self._attempt = Attempt(
            executable=self._executable, aws=aws, work_group=request.work_group, on_event=on_event, log=log
        )

    def stop(self) -> None:
        """Stop dbt and its Athena queries. Returns at once; safe in a signal handler."""
        self._attempt.stop()

    def __call__(self) -> DbtVerdict:
        """Run dbt and return the verdict; nothing is raised but the exception of a signal's handler."""
        try:
            return self._run()
        except (ProjectError, ExecutableError, GateRefused, PublishingError) as error:
            return DbtVerdict(PERMANENT, str(error))
        except (UnreachableError, AttemptLost) as error:
            return DbtVerdict(RETRYABLE, str(error))
        except Stopped:
            return DbtVerdict(
                STOPPED, f"dbt {self._arguments.command} of {self._request.project} was stopped at its start."
            )
        except Exception as error:
            if not type(error).__module__.startswith(("botocore.", "boto3.")):
                raise
            return DbtVerdict(RETRYABLE, f"dbt {self._arguments.command}: a call of AWS failed: {error}")

    def _run(self) -> DbtVerdict:
        request, arguments = self._request, self._arguments
        cache = self._cache or Cache()
        gated = gated_run(request, arguments, self._aws)
        with Scratch() as scratch, Project.at(request.project, cache, lambda: self._aws.client("s3")) as project:
            installs = arguments.command == "deps"
            workspace = Workspace(project, scratch.path / "project", installs=installs)
            self._log(
                logging.INFO,
                f"dbt {arguments.command} of {project.name}, {arguments.selection}, vars {dict(arguments.vars)}",
            )
            with ExitStack() as held:
                aws = gated.access() if gated else self._aws
                environment = held.enter_context(self._attempt.environment(request.environment, scratch.path, aws))
                stage = DbtStage(
                    request=request,
                    arguments=arguments,
                    executable=self._executable,
                    project=project,
                    workspace=workspace,
                    scratch=scratch,
                    cache=cache,
                    attempt=self._attempt,
                    aws=self._aws,
                    log=self._log,
                    environment=environment,
                    held=held,
                )
                profiles = (
                    Path(str(request.profiles_dir))
                    if request.profiles is None
                    else write_profiles(scratch.path, request.profiles)
                )
                stage.install_packages(profiles)
                if gated:
                    return gated(stage, self._conclude)
                return self._direct(stage, profiles)

    def _direct(self, stage: DbtStage, profiles: Path) -> DbtVerdict:
        """Run the command, or what the last try has left of it."""
        request, arguments = self._request, self._arguments
        store = self._store()
        fingerprint = digest(json.dumps([self._identity(), stage.project.fingerprint()], default=str))
        last = self._last_try(store, fingerprint)
        state = stage.path / "state"
        if last is not None and not (store and store.fetch(last.folder, state)):
            last = None
        if last is not None:
            self._log(logging.INFO, f"Only what the last try left is run: dbt retry of {last.folder}.")
        command = self._with_states(arguments, stage.path)
        identity = self._identity()[1:]
        parsed = ParseCache(stage.cache, stage.project, *self._executable, identity, request.profile)
        parsed.load(stage.target)
        line = stage.line(command, profiles=profiles, resume=state if last else None)
        code, invocation = stage.invoke(line)
        parsed.keep(stage.target)
        workspace = stage.workspace
        if arguments.command == "deps" and code == 0 and workspace.wanted:
            stage.held.enter_context(stage.cache.entry("packages", stage.packages_key, workspace.move_packages))
        return self._conclude(stage, code, invocation, fingerprint, last)

    def _store(self) -> Store | None:
        uri = self._request.task_uri
        return Store(self._aws.client("s3"), uri) if uri else None

    def _identity(self) -> list[Any]:
        """Return the values that two runs of a project share when they are the same; parsing depends on the second."""
        arguments, request = asdict(self._arguments), self._request
        arguments.pop("threads")
        profiles = _without_threads(request.profiles)
        return [arguments, [arguments["vars"], arguments["target"], profiles, request.profiles_dir]]

    def _with_states(self, arguments: DbtArguments, scratch: Path) -> DbtArguments:
        """Return the arguments with the --state and --defer-state that lie in S3 fetched to this machine."""
        flags = list(arguments.flags)
        for index, flag in enumerate(flags):
            name, _, value = flag.partition("=")
            holder, uri = (index, value) if value else (index + 1, flags[index + 1] if index + 1 < len(flags) else "")
            if name not in STATE_FLAGS or not uri.startswith("s3://"):
                continue
            folder = scratch / name.lstrip("-")
            if not fetch(self._aws.client("s3"), uri, folder):
                raise ProjectError(f"{name} is {uri!r}, and there are no artifacts of dbt's")
            flags[holder] = f"{name}={folder}" if value else str(folder)
        return DbtArguments(**{**vars(arguments), "flags": tuple(flags)})

    def _last_try(self, store: Store | None, fingerprint: str) -> LastTry | None:
        """Return the try to continue; None runs everything."""
        request = self._request
        if store is None or not request.resume or not request.run_key or not self._arguments.resumes:
            return None
        try:
            last = store.last()
        except Exception as error:
            self._log(
                logging.WARNING, f"The last try's artifacts could not be read, and everything is run again: {error}"
            )
            return None
        if last is None or last.run_key != request.run_key or not last.resumable:
            return None
        if last.fingerprint != fingerprint:
            self._log(logging.INFO, "Project, variables or selection are not those of the last try: everything is run.")
            return None
        return last

    def _conclude(
        self,
        stage: DbtStage,
        code: int,
        invocation: Invocation,
        fingerprint: str = "",
        last: LastTry | None = None,
    ) -> DbtVerdict:
        """Return the verdict, once the artifacts are kept.

        :param fingerprint: of a try that a later one may continue; none otherwise
        """
        target, arguments, title = stage.target, self._arguments, stage.title
        store = self._store()
        query_ids = {**(last.queries if last else {}), **invocation.log.queries}
        file = target / arguments.results if arguments.results else None
        try:
            if last is not None and file is not None:
                _merge(stage.path / "state" / RESULTS, file)
            results = DbtResults.read(file, query_ids) if file else DbtResults()
            status, message = judge(code, results, invocation, arguments, title, self._request.allow_empty)
        except ArtifactError as error:
            results, status, message = DbtResults(), RETRYABLE, str(error)
        retryable = status == RETRYABLE
        resumable = bool(fingerprint) and retryable and bool(results.failures) and code in (1, 2)
        this = LastTry(self._request.run_key, fingerprint, "", resumable, query_ids if resumable else {})
        # A try that died is not remembered: the one before it is the try to continue.
        folder, artifacts = self._keep(store, target, invocation, this, remember=resumable or not retryable)
        for name in names_with_status(results.nodes, "warn"):
            self._log(logging.WARNING, f"{name} warned")
        result = {
            "command": arguments.command,
            "success": status == SUCCESS,
            "elapsed_seconds": round(invocation.seconds, 3),
            **results.as_mapping(),
            "artifacts_uri": folder,
            "invocation_id": invocation.log.invocation_id,
        }
        if len(result["nodes"]) < len(results.nodes):
            count = f"{len(result['nodes'])} of {len(results.nodes)} nodes"
            self._log(logging.INFO, f"The result names {count}; all: {folder}")
        models = built_tables(target / "manifest.json", results, self._request.region)
        return DbtVerdict(status, message, result, results.first_query, artifacts, models)

    def _keep(
        self, store: Store | None, target: Path, invocation: Invocation, this: LastTry, *, remember: bool
    ) -> tuple[str | None, dict[str, str]]:
        """Keep the artifacts; return their folder and the address of each, or nothing where they cannot be kept."""
        name = invocation.log.invocation_id
        if store is None or name is None or invocation.stopping:
            return None, {}
        try:
            folder, artifacts = store.save(target, name)
            if remember:
                store.remember(replace(this, folder=folder))
        except Exception as error:
            uri = self._request.task_uri
            self._log(
                logging.WARNING, f"The artifacts could not be kept in {uri}, a retry runs everything again: {error}"
            )
            return None, {}
        return folder, artifacts


def _merge(before: Path, file: Path) -> None:
    """Write the results of the last try and of this one as this one's."""
    try:
        now = json.loads(file.read_text(encoding="utf-8"))
        both = merge(json.loads(before.read_text(encoding="utf-8")), now)
    except FileNotFoundError:
        return  # dbt ended before it had any
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file.name} of dbt cannot be read: {type(error).__name__}: {error}") from error
    file.write_text(json.dumps(both), encoding="utf-8")


def _without_threads(profiles: Any) -> Any:
    if isinstance(profiles, dict):
        return {name: _without_threads(value) for name, value in profiles.items() if name != "threads"}
    return profiles
