"""The execution of a job run: its files, its process, its log, its end."""

from __future__ import annotations

import contextlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from lakehouse_local.glue.identity import RunIdentity
from lakehouse_local.glue.jobs import modules, spark
from lakehouse_local.glue.jobs.definitions import SPARK_COMMANDS
from lakehouse_local.glue.jobs.processes import GroupProcess, base_environment
from lakehouse_local.glue.logs import LogFollower, WriteLog
from lakehouse_local.http.wire import AwsError
from lakehouse_local.iam.access import AccessDenied
from lakehouse_local.iam.guarded import guarded_log, guarded_store
from lakehouse_local.iam.judged_files import CompileError
from lakehouse_local.s3.store import JOBS, ObjectStore

_AWSGLUE = Path(__file__).parents[1] / "awsglue"
_TICK = 0.2  # seconds between two checks of a run

OUTPUT, ERROR = "output", "error"

# Job arguments that Glue itself reads.
EXTRA_PY_FILES, EXTRA_FILES = "--extra-py-files", "--extra-files"
MODULES, CONF, LANGUAGE = "--additional-python-modules", "--conf", "--job-language"
SCRIPT = "--scriptLocation"
LOG_PREFIX = "--custom-logGroup-prefix"


class RunFailure(Exception):
    """The reason why a job run cannot start; it becomes the run's ErrorMessage."""


class RunStopped(Exception):
    """The end of a job run that was stopped before its process started."""


class Slot(Protocol):
    """A semaphore that limits the processes that run at once."""

    def acquire(self, blocking: bool = True, timeout: float | None = None) -> bool: ...

    def release(self) -> None: ...


@dataclass(frozen=True)
class RunRequest:
    """The settings of a job run.

    :ivar command: the job's Command
    :ivar arguments: those of the job, overridden by those of the run
    :ivar timeout: in seconds
    """

    run_id: str
    job_name: str
    command: Mapping[str, str]
    arguments: Mapping[str, str]
    timeout: float
    region: str
    identity: RunIdentity

    @property
    def is_spark(self) -> bool:
        return self.command["Name"] in SPARK_COMMANDS

    @property
    def log_groups(self) -> dict[str, str]:
        """Output and error -> log group, named as on AWS."""
        prefix = self.arguments.get(LOG_PREFIX) or log_group_prefix(self.command["Name"])
        return {name: f"{prefix}/{name}" for name in (OUTPUT, ERROR)}

    @property
    def argv(self) -> list[str]:
        """The script's arguments as Glue passes them: job name and ids first, then ``--key value``."""
        ids = {"--JOB_NAME": self.job_name, "--JOB_ID": f"j_{self.job_name}", "--JOB_RUN_ID": self.run_id}
        return [part for name, value in {**ids, **self.arguments}.items() for part in (name, value)]


def log_group_prefix(command: str) -> str:
    """Return the prefix of a run's log groups, as AWS names them.

    :param command: name of the job's Command, such as glueetl
    """
    return "/aws-glue/jobs" if command in SPARK_COMMANDS else "/aws-glue/python-jobs"


class JobRun:
    """A job run in a process of its own.

    :param slot: taken by a Spark run as long as it has a process
    :param on_started: called with the run id when the process runs
    :param on_finished: called once, with run id, final state and error message
    """

    def __init__(
        self,
        *,
        request: RunRequest,
        store: ObjectStore,
        write_log: WriteLog,
        slot: Slot,
        on_started: Callable[[str], None],
        on_finished: Callable[[str, str, str | None], None],
    ) -> None:
        self.request = request
        self._store = guarded_store(store, request.identity.judge)
        self._slot = slot
        self._on_started = on_started
        self._on_finished = on_finished
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"glue-{request.run_id}", daemon=True)
        self.directory = store.root / JOBS / request.run_id
        self._working = self.directory / "work"
        own_log = guarded_log(write_log, request.identity.judge)
        self._logs = [
            LogFollower(self.directory / f"{name}.log", own_log, request.region, group, request.run_id)
            for name, group in request.log_groups.items()
        ]

    def stop(self) -> None:
        """Request the run's end as STOPPED; return at once."""
        self._stopping.set()

    def start(self) -> None:
        self._thread.start()

    def join(self, seconds: float) -> None:
        self._thread.join(seconds)

    def _run(self) -> None:
        state, error = "FAILED", None
        try:
            with self._slot_held():
                state, error = self._execute()
        except RunStopped:
            state = "STOPPED"
        except RunFailure as failure:
            error = str(failure)
        except (AwsError, AccessDenied) as failure:
            error = failure.message
        except Exception as failure:
            error = f"The local AWS could not execute the job run: {type(failure).__name__}: {failure}"
        finally:
            if self._stopping.is_set():
                state, error = "STOPPED", None
            self._on_finished(self.request.run_id, state, error)

    @contextlib.contextmanager
    def _slot_held(self) -> Iterator[None]:
        """Wait for the slot, and hold it.

        A Python shell takes none: it is small, and it may wait for Spark runs that it started.
        """
        if not self.request.is_spark:
            yield
            return
        while not self._slot.acquire(timeout=_TICK):
            self._raise_if_stopped()
        try:
            yield
        finally:
            self._slot.release()

    def _raise_if_stopped(self) -> None:
        if self._stopping.is_set():
            raise RunStopped

    def _execute(self) -> tuple[str, str | None]:
        specification, environment = self._prepare()
        self._raise_if_stopped()
        process = GroupProcess(
            specification=specification,
            environment=environment,
            directory=self._working,
            output=self.directory / f"{OUTPUT}.log",
            error=self.directory / f"{ERROR}.log",
        )
        try:
            self._on_started(self.request.run_id)
            deadline = time.monotonic() + self.request.timeout
            while (status := process.wait(_TICK)) is None:
                for log in self._logs:
                    log.follow()
                if self._stopping.is_set():
                    return "STOPPED", None
                if time.monotonic() > deadline:
                    return "TIMEOUT", None
            return ("SUCCEEDED", None) if status == 0 else ("FAILED", self._error_message(status))
        finally:
            process.end()
            for log in self._logs:
                log.follow(to_end=True)
            shutil.rmtree(self.directory / "tmp", ignore_errors=True)

    def _prepare(self) -> tuple[Path, dict[str, str]]:
        """Fetch the run's files; return the launcher's specification and the process's environment.

        :raises RunFailure: the run cannot start
        """
        request, arguments = self.request, self.request.arguments
        if request.identity.refusal:
            raise RunFailure(request.identity.refusal)
        library, own = self.directory / "lib", self.directory / "script"
        for folder in (library, own, self._working, self.directory / "tmp"):
            folder.mkdir(parents=True, exist_ok=True)
        link = library / "awsglue"
        if not link.is_symlink():
            link.symlink_to(_AWSGLUE, target_is_directory=True)
        if arguments.get(LANGUAGE, "python") != "python":
            raise RunFailure(f"{LANGUAGE} {arguments[LANGUAGE]} is not supported by the local AWS: use python.")
        location = arguments.get(SCRIPT, request.command["ScriptLocation"])
        script = self._fetch(location, own, "The job's script (Command.ScriptLocation)")
        path = [str(library)]
        for uri in modules.listed(arguments.get(EXTRA_PY_FILES, "")):
            file = self._fetch(uri, library, f"A file of {EXTRA_PY_FILES}")
            if file.suffix != ".py":
                path.append(str(file))
        for uri in modules.listed(arguments.get(EXTRA_FILES, "")):
            self._fetch(uri, self._working, f"A file of {EXTRA_FILES}")
        try:
            if requirements := modules.listed(arguments.get(MODULES, "")):
                installed = modules.installed(requirements, self._store)
                path += [str(installed)] if installed else []
            environment = {
                **base_environment(self.directory),
                **(self._spark_environment(arguments.get(CONF, "")) if request.is_spark else {}),
                **request.identity.environment,
                "PYTHONPATH": ":".join(path),
            }  # fmt: skip
        except (ValueError, modules.ModuleInstallError, CompileError) as error:
            raise RunFailure(str(error)) from None
        specification = self.directory / "run.json"
        outcome = self.directory / "outcome.json"
        specification.write_text(
            json.dumps({"script": str(script), "arguments": request.argv, "outcome": str(outcome)})
        )
        return specification, environment

    def _spark_environment(self, conf: str) -> dict[str, str]:
        judged = self.request.identity.judge is not None
        return spark.environment(directory=self.directory, store=self._store.root, conf=conf, judged=judged)

    def _fetch(self, uri: str, folder: Path, description: str) -> Path:
        """Copy an object into a folder.

        :param description: begins the error message
        :raises RunFailure: it cannot be read
        """
        target = folder / uri.rstrip("/").rpartition("/")[2]
        try:
            target.write_bytes(self._store.read(uri))
        except AccessDenied as denied:
            raise RunFailure(f"{description} could not be read from {uri}: {denied.message}") from None
        except (AwsError, ValueError, OSError) as error:
            reason = error.message if isinstance(error, AwsError) else str(error)
            raise RunFailure(f"{description} could not be read from {uri}: {reason}. Upload it first.") from None
        return target

    def _error_message(self, status: int) -> str:
        try:
            outcome: dict[str, Any] = json.loads((self.directory / "outcome.json").read_text())
        except FileNotFoundError:
            return f"Command failed with exit code {status}"
        return str(outcome["error"])
