"""One run of dbt from request to verdict, the same on a worker and in a Glue job."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt import queries
from airflow_lakehouse_provider.dbt.artifacts import ArtifactError, Outcome, merge, named
from airflow_lakehouse_provider.dbt.commands import STATE_FLAGS, Arguments
from airflow_lakehouse_provider.dbt.events import Event
from airflow_lakehouse_provider.dbt.invocation import ExecutableError, Invocation
from airflow_lakehouse_provider.dbt.manifest import built
from airflow_lakehouse_provider.dbt.project import Project, ProjectError, UnreachableError
from airflow_lakehouse_provider.dbt.scratch import Cache, Scratch, digest
from airflow_lakehouse_provider.dbt.store import RESULTS, LastTry, Store, fetch
from airflow_lakehouse_provider.dbt.verdict import ACCIDENT, FACT, STOPPED, SUCCESS, Verdict, judge
from airflow_lakehouse_provider.dbt.workspace import ParseCache, Workspace

PROFILES_FILE = "profiles.yml"
# Of the worker's environment: its Python's paths break dbt's, and its configuration holds secrets of no use to dbt.
_NOT_FOR_DBT = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "AIRFLOW__", "AIRFLOW_CONN_", "AIRFLOW_VAR_")
# Seconds for the queries that a stopped dbt left; Airflow 3 sends SIGKILL five after it asked a task to end.
_SWEEP_SECONDS = 1.5
# A query that a killed dbt was just starting shows in the work group's list within this.
_SETTLE_SECONDS = 0.6


class Stopped(RuntimeError):
    """The run was stopped before dbt was started."""


@dataclass(frozen=True)
class Request:
    """What is asked for, in plain JSON types and without a secret.

    :param asked: the arguments of :meth:`Arguments.of`
    :param project: a directory, a zip, or either in S3
    :param profiles: the content of profiles.yml; None for ``profiles_dir``
    :param profile: the name of the profile in it; None for the project's own
    :param region: of Athena
    :param work_group: of Athena, where it is known
    :param home: ``s3://...`` where the artifacts of this task's run are kept; None keeps none
    :param generation: the task's run key; a retry that has the same may go on where the last try ended
    :param resume: whether it does
    """

    asked: dict[str, Any]
    project: str
    profiles: dict[str, Any] | None = None
    profiles_dir: str | None = None
    profile: str | None = None
    region: str = ""
    work_group: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    allow_empty: bool = False
    home: str | None = None
    generation: str | None = None
    resume: bool = False

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Aws:
    """How a run reaches AWS.

    :ivar client: gives a boto3 client of a service
    :ivar variables: of dbt's environment
    :ivar dropped: variables that dbt must not have
    :ivar serve: for credentials that expire: makes, of the task's directory and of what to tell the supervisor, a
        context that gives further variables of dbt's environment
    """

    client: Callable[[str], Any]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    dropped: tuple[str, ...] = ()
    serve: Callable[[Path, Callable[[dict[str, str]], None]], AbstractContextManager[dict[str, str]]] | None = None


class Run:
    """A run of dbt; it is made to be called once.

    :param heard: is given every event of dbt's log
    :param say: is given what is worth a line in the task's log, with its level
    """

    def __init__(
        self,
        request: Request,
        *,
        executable: str | Sequence[str],
        aws: Aws,
        heard: Callable[[Event], None],
        say: Callable[[int, str], None],
        cache: Cache | None = None,
    ) -> None:
        self._request = request
        self._arguments = Arguments.of(**request.asked)
        self._executable = (executable,) if isinstance(executable, str) else tuple(executable)
        self._aws = aws
        self._heard = heard
        self._say = say
        self._cache = cache
        self._invocation: Invocation | None = None
        self._stopping = False
        self._athena: Any = None
        self._last_environment = _python_path()

    def stop(self) -> None:
        """Have it end, its Athena queries too. Returns at once; safe in a signal handler."""
        self._stopping = True
        if self._invocation is not None:
            self._invocation.stop()

    def __call__(self) -> Verdict:
        """Do it; whatever it comes to is a verdict, but for the exception that a signal's handler raises."""
        try:
            return self._run()
        except (ProjectError, ExecutableError) as error:
            return Verdict(FACT, str(error))
        except UnreachableError as error:
            return Verdict(ACCIDENT, str(error))
        except Stopped:
            return Verdict(
                STOPPED, f"dbt {self._arguments.command} of {self._request.project} was stopped at its start."
            )

    def _run(self) -> Verdict:
        request, arguments = self._request, self._arguments
        cache = self._cache or Cache()
        with Scratch() as scratch, Project.at(request.project, cache, lambda: self._aws.client("s3")) as project:
            installs = arguments.command == "deps"
            workspace = Workspace(project, scratch.path / "project", installs=installs)
            profiles = self._profiles(scratch.path)
            what = f"dbt {arguments.command} of {project.name}"
            self._say(20, f"{what}, {arguments.selection}, vars {dict(arguments.vars)}")
            with ExitStack() as stack:
                environment = self._environment()
                if self._aws.serve is not None:
                    environment |= stack.enter_context(self._aws.serve(scratch.path, self._renewed))
                place: dict[str, Any] = {
                    "project": workspace.directory,
                    "profiles": profiles,
                    "profile": request.profile,
                }
                place |= {"target_path": scratch.path / "target", "log_path": scratch.path / "logs"}
                self._install(workspace, cache, stack, scratch, environment, place)
                store = Store(self._aws.client("s3"), request.home) if request.home else None
                fingerprint = digest(json.dumps([self._wanted(), project.fingerprint()], default=str))
                last = self._last(store, fingerprint)
                state = scratch.path / "state"
                if last is not None and not (store and store.fetch(last.folder, state)):
                    last = None
                if last is not None:
                    self._say(20, f"Only what the last try left is run: dbt retry of {last.folder}.")
                command = self._with_states(arguments, scratch.path)
                parsed = ParseCache(cache, project, *self._executable, self._wanted()[1:], request.profile)
                parsed.load(scratch.path / "target")
                line = command.line(**place, resume=state if last else None)
                code, invocation = self._invoke(line, environment, workspace.directory, scratch)
                parsed.keep(scratch.path / "target")
                if installs and code == 0 and workspace.wanted:
                    key = self._packages_key(workspace)
                    stack.enter_context(cache.entry("packages", key, workspace.move_packages))
                return self._told(code, invocation, what, scratch.path, store, fingerprint, last)

    def _environment(self) -> dict[str, str]:
        dropped = {*self._aws.dropped}
        kept = {n: v for n, v in os.environ.items() if not n.startswith(_NOT_FOR_DBT) and n not in dropped}
        # dbt reports each run to its makers, and waits for it at the end where there is no way out.
        usual = {"DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        return {**usual, **kept, **self._aws.variables, **self._request.environment}

    def _profiles(self, folder: Path) -> Path:
        request = self._request
        if request.profiles is None:
            return Path(str(request.profiles_dir))
        import yaml

        file = folder / PROFILES_FILE
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(request.profiles), encoding="utf-8")
        return folder

    def _wanted(self) -> list[Any]:
        """What, besides the project, makes a run the same as another; the second part is what parsing depends on."""
        arguments, request = asdict(self._arguments), self._request
        arguments.pop("threads")
        parsing = [arguments["vars"], arguments["target"], _but_threads(request.profiles), request.profiles_dir]
        return [arguments, parsing]

    def _install(
        self,
        workspace: Workspace,
        cache: Cache,
        stack: ExitStack,
        scratch: Scratch,
        environment: Mapping[str, str],
        place: Mapping[str, Any],
    ) -> None:
        """The packages that the project asks for and did not bring along: of the cache, else by dbt deps."""
        if not workspace.lacks_packages:
            return

        def fill(folder: Path) -> None:
            self._say(20, "The project asks for packages that it did not bring along: dbt deps")
            deps = Arguments.of(command="deps", vars=self._arguments.vars, target=self._arguments.target)
            line = deps.line(**{**place, "target_path": scratch.path / "deps"})
            code, invocation = self._invoke(line, environment, workspace.directory, scratch)
            if invocation.stopping:
                raise Stopped
            if code != 0:
                said = invocation.log.error or "\n".join(invocation.log.tail) or f"exit code {code}"
                raise UnreachableError(
                    f"dbt deps could not install the packages of {workspace.project.name}: {said}\nWithout a way to "
                    "them, run `dbt deps` where there is one and ship dbt_packages/ with the project."
                )
            workspace.move_packages(folder)

        workspace.use_packages(stack.enter_context(cache.entry("packages", self._packages_key(workspace), fill)))

    def _packages_key(self, workspace: Workspace) -> str:
        return "\0".join([*self._executable, str(workspace.project.directory), workspace.packages_key])

    def _with_states(self, arguments: Arguments, scratch: Path) -> Arguments:
        """--state and --defer-state that lie in S3, fetched."""
        flags = list(arguments.flags)
        for at, flag in enumerate(flags):
            name, _, value = flag.partition("=")
            holder, uri = (at, value) if value else (at + 1, flags[at + 1] if at + 1 < len(flags) else "")
            if name not in STATE_FLAGS or not uri.startswith("s3://"):
                continue
            folder = scratch / name.lstrip("-")
            if not fetch(self._aws.client("s3"), uri, folder):
                raise ProjectError(f"{name} is {uri!r}, and there are no artifacts of dbt's")
            flags[holder] = f"{name}={folder}" if value else str(folder)
        return Arguments(**{**vars(arguments), "flags": tuple(flags)})

    def _last(self, store: Store | None, fingerprint: str) -> LastTry | None:
        """The try to go on with."""
        request = self._request
        if store is None or not request.resume or not request.generation or not self._arguments.resumes:
            return None
        try:
            last = store.last()
        except Exception as error:
            self._say(30, f"The last try's artifacts could not be read, everything is run: {error}")
            return None
        if last is None or last.generation != request.generation or not last.resumable:
            return None
        if last.fingerprint != fingerprint:
            self._say(20, "Project, variables or selection are not those of the last try: everything is run.")
            return None
        return last

    def _invoke(
        self, line: list[str], environment: Mapping[str, str], directory: Path, scratch: Scratch
    ) -> tuple[int, Invocation]:
        invocation = Invocation(
            executable=self._executable,
            arguments=line,
            environment=environment,
            directory=directory,
            inherited=[scratch.lock],
        )
        self._invocation = invocation
        if self._stopping:
            raise Stopped
        told: tuple[str | None, int] = (None, 0)

        def heard(event: Event) -> None:
            nonlocal told
            log = invocation.log
            if (log.invocation_id, len(log.queries)) != told:
                told = (log.invocation_id, len(log.queries))
                invocation.order(input=self._orders(invocation))
            if event.message:
                self._heard(event)

        ended = False
        try:
            with invocation:
                invocation.order(command=[sys.executable, "-c", queries.PROGRAM], environment=self._last_environment)
                threading.Thread(target=self._prepare_stop, name="dbt-stop", daemon=True).start()
                code = invocation.wait(heard)
                ended = not invocation.stopping and code in (0, 1, 2)
        finally:
            if not ended:
                self._sweep(invocation)
        return code, invocation

    def _orders(self, invocation: Invocation) -> dict[str, Any]:
        log = invocation.log
        return {
            "query_ids": list(log.running),
            "invocation_id": log.invocation_id,
            "work_group": self._request.work_group,
            "settle": _SETTLE_SECONDS,
        }

    def _renewed(self, variables: dict[str, str]) -> None:
        """Credentials that the supervisor will need when this process has died."""
        self._last_environment = {**_python_path(), **variables}
        if self._invocation is not None:
            self._invocation.order(environment=self._last_environment)

    def _prepare_stop(self) -> None:
        # Made while dbt starts: a kill leaves no time for it, nor may it ask Airflow for anything.
        try:
            self._athena = self._aws.client("athena")
        except Exception as error:
            self._say(30, f"Athena cannot be asked to stop queries: {error}")

    def _sweep(self, invocation: Invocation) -> None:
        """Stop what runs of an invocation that did not end by itself."""
        if invocation.log.invocation_id is None:
            return
        try:
            if self._athena is None:
                self._prepare_stop()
            orders = {**self._orders(invocation), "within": _SWEEP_SECONDS}
            stopped = queries.stop_running(self._athena, **orders)
        except Exception as error:
            self._say(30, f"Athena queries of invocation {invocation.log.invocation_id} may be running: {error}")
            return
        if stopped:
            self._say(20, f"Stopped the Athena queries {', '.join(stopped)}.")

    def _told(
        self,
        code: int,
        invocation: Invocation,
        what: str,
        scratch: Path,
        store: Store | None,
        fingerprint: str,
        last: LastTry | None,
    ) -> Verdict:
        """The verdict; the artifacts are kept."""
        target, arguments = scratch / "target", self._arguments
        asked = {**(last.queries if last else {}), **invocation.log.queries}
        file = target / arguments.results if arguments.results else None
        try:
            if last is not None and file is not None:
                _merge(scratch / "state" / RESULTS, file)
            outcome = Outcome.read(file, asked) if file else Outcome()
            kind, message = judge(code, outcome, invocation, arguments, what, self._request.allow_empty)
        except ArtifactError as error:
            outcome, kind, message = Outcome(), ACCIDENT, str(error)
        resumable = kind == ACCIDENT and bool(outcome.failures) and code in (1, 2)
        folder, artifacts = self._kept(store, target, invocation, fingerprint, kind == ACCIDENT, resumable, asked)
        for name in named(outcome.nodes, "warn"):
            self._say(30, f"{name} warned")
        result = {
            "command": arguments.command,
            "success": kind == SUCCESS,
            "elapsed_seconds": round(invocation.seconds, 3),
            **outcome.as_mapping(),
            "artifacts_uri": folder,
            "invocation_id": invocation.log.invocation_id,
        }
        if len(result["nodes"]) < len(outcome.nodes):
            self._say(20, f"The result names {len(result['nodes'])} of {len(outcome.nodes)} nodes; all: {folder}")
        models = built(target / "manifest.json", outcome, self._request.region)
        return Verdict(kind, message, result, outcome.first_query, artifacts, models)

    def _kept(
        self,
        store: Store | None,
        target: Path,
        invocation: Invocation,
        fingerprint: str,
        accident: bool,
        resumable: bool,
        asked: dict[str, str],
    ) -> tuple[str | None, dict[str, str]]:
        name = invocation.log.invocation_id
        if store is None or name is None or invocation.stopping:
            return None, {}
        try:
            folder, artifacts = store.save(target, name)
            if resumable or not accident:  # of one that died, the try before tells more
                given = self._request.generation, fingerprint, folder, resumable
                store.remember(LastTry(*given, asked if resumable else {}))
        except Exception as error:
            self._say(30, f"The artifacts could not be kept in {self._request.home}, a retry starts over: {error}")
            return None, {}
        return folder, artifacts


def _merge(before: Path, file: Path) -> None:
    """The results of the last try and of this one, as this one's."""
    try:
        now = json.loads(file.read_text(encoding="utf-8"))
        both = merge(json.loads(before.read_text(encoding="utf-8")), now)
    except FileNotFoundError:
        return  # dbt ended before it had any
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{file.name} of dbt cannot be read: {type(error).__name__}: {error}") from error
    file.write_text(json.dumps(both), encoding="utf-8")


def _but_threads(profiles: Any) -> Any:
    if isinstance(profiles, dict):
        return {name: _but_threads(value) for name, value in profiles.items() if name != "threads"}
    return profiles


def _python_path() -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
