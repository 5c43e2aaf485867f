"""The stage of a try: a project laid out for its invocations of dbt, with environment, profile and packages."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.attempt import Attempt, Aws, Stopped
from airflow_lakehouse_provider.dbt.commands import DbtArguments
from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.invocation import Invocation
from airflow_lakehouse_provider.dbt.project import Project, UnreachableError
from airflow_lakehouse_provider.dbt.request import DbtRequest
from airflow_lakehouse_provider.dbt.scratch import Cache, Scratch
from airflow_lakehouse_provider.dbt.workspace import Workspace

PROFILES_FILE = "profiles.yml"


@dataclass(frozen=True)
class DbtStage:
    """The place in which the invocations of one try run.

    :ivar aws: the task's access to AWS, which may be more than dbt's
    :ivar executable: the beginning of dbt's command line
    :ivar environment: dbt's
    :ivar held: contexts that end with the try
    """

    request: DbtRequest
    arguments: DbtArguments
    executable: tuple[str, ...]
    project: Project
    workspace: Workspace
    scratch: Scratch
    cache: Cache
    attempt: Attempt
    aws: Aws
    log: Callable[[int, str], None]
    environment: Mapping[str, str]
    held: ExitStack = field(repr=False)

    @property
    def path(self) -> Path:
        """The try's own directory."""
        return self.scratch.path

    @property
    def target(self) -> Path:
        """The directory of the artifacts of the command itself."""
        return self.path / "target"

    @property
    def title(self) -> str:
        """The command and its project, for messages."""
        return f"dbt {self.arguments.command} of {self.project.name}"

    def line(
        self,
        arguments: DbtArguments,
        *,
        profiles: Path,
        target: Path | None = None,
        resume: Path | None = None,
        workspace: Workspace | None = None,
    ) -> list[str]:
        """Return dbt's arguments.

        :param profiles: the directory of profiles.yml
        :param target: of the artifacts; default: the command's own
        :param resume: the directory of a try to continue
        :param workspace: default: the try's own
        """
        return arguments.line(
            project=(workspace or self.workspace).directory,
            profiles=profiles,
            profile=self.request.profile,
            target_path=target or self.target,
            log_path=self.path / "logs",
            resume=resume,
        )

    def invoke(
        self,
        line: list[str],
        *,
        workspace: Workspace | None = None,
        on_event: Callable[[DbtEvent], None] | None = None,
        instead: bool = False,
    ) -> tuple[int, Invocation]:
        """Run dbt to its end; parameters and errors are those of :meth:`Attempt.invoke`."""
        directory = (workspace or self.workspace).directory
        return self.attempt.invoke(line, self.environment, directory, self.scratch, on_event=on_event, instead=instead)

    def install_packages(self, profiles: Path) -> None:
        """Install the packages that the project needs and did not bring along: from the cache, else by dbt deps.

        :raises UnreachableError: they could not be installed
        """
        workspace = self.workspace
        if not workspace.lacks_packages:
            return

        def fill(folder: Path) -> None:
            self.log(logging.INFO, "The project needs packages that it did not bring along: dbt deps")
            deps = DbtArguments.parse(command="deps", vars=self.arguments.vars, target=self.arguments.target)
            code, invocation = self.invoke(self.line(deps, profiles=profiles, target=self.path / "deps"))
            if invocation.stopping:
                raise Stopped
            if code != 0:
                reason = invocation.log.error or "\n".join(invocation.log.tail) or f"exit code {code}"
                raise UnreachableError(
                    f"dbt deps could not install the packages of {workspace.project.name}: {reason}\nWithout a way to "
                    "them, run `dbt deps` where there is one and ship dbt_packages/ with the project."
                )
            workspace.move_packages(folder)

        workspace.use_packages(self.held.enter_context(self.cache.entry("packages", self.packages_key, fill)))

    @property
    def packages_key(self) -> str:
        """The cache's key of the project's packages."""
        return "\0".join([*self.executable, str(self.workspace.project.directory), self.workspace.packages_key])


def write_profiles(folder: Path, content: Mapping[str, Any]) -> Path:
    """Write profiles.yml into a directory, and return the directory."""
    import yaml

    folder.mkdir(exist_ok=True)
    file = folder / PROFILES_FILE
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(dict(content)), encoding="utf-8")
    return folder
