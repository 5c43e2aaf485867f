"""dbt's commands, their arguments, checked, and the command line made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.values import ArgumentError, parse_flag


@dataclass(frozen=True)
class DbtCommand:
    """One of dbt's commands.

    :param selects: takes --select, --exclude and --selector, and does nothing for an empty selection
    :param builds: takes --full-refresh
    :param results: the artifact with the result of each node; None where there is none
    :param resumes: whether `dbt retry` can continue it
    """

    words: tuple[str, ...]
    selects: bool = True
    builds: bool = False
    results: str | None = "run_results.json"
    resumes: bool = True


COMMANDS = {
    " ".join(command.words): command
    for command in (
        DbtCommand(("run",), builds=True),
        DbtCommand(("test",)),
        DbtCommand(("build",), builds=True),
        DbtCommand(("seed",), builds=True),
        DbtCommand(("snapshot",)),
        DbtCommand(("compile",), builds=True),
        DbtCommand(("parse",), selects=False, results=None, resumes=False),
        DbtCommand(("ls",), results=None, resumes=False),
        DbtCommand(("source", "freshness"), results="sources.json", resumes=False),
        DbtCommand(("docs", "generate"), resumes=False),
        DbtCommand(("run-operation",), selects=False, resumes=False),
        DbtCommand(("deps",), selects=False, results=None, resumes=False),
        DbtCommand(("retry",), selects=False, resumes=False),
        DbtCommand(("clone",), builds=True),
        DbtCommand(("show",), resumes=False),
    )
}
# Options that the operator sets itself: of two, dbt takes the last one, and would write its results elsewhere.
OWN_FLAGS = frozenset(
    {
        *("--project-dir", "--profiles-dir", "--profile", "--target-path", "--log-path"),
        *("--log-format", "--log-format-file", "--log-level", "--log-level-file", "--use-colors", "--no-use-colors"),
        *("--write-json", "--no-write-json", "--quiet", "--no-quiet", "-q"),
        *("--select", "-s", "--models", "-m", "--exclude", "--selector", "--vars", "--threads"),
        *("--target", "-t", "--full-refresh", "-f"),
    }
)


@dataclass(frozen=True)
class DbtArguments:
    """A dbt command and its arguments, checked.

    :raises ArgumentError: naming the argument, its value and what is allowed
    """

    command: str
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    selector: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    full_refresh: bool = False
    threads: int | None = None
    target: str | None = None
    flags: tuple[str, ...] = ()

    @classmethod
    def parse(
        cls,
        *,
        command: str,
        select: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        selector: str | None = None,
        vars: Mapping[str, Any] | str | None = None,
        full_refresh: bool | str = False,
        threads: int | str | None = None,
        target: str | None = None,
        flags: Sequence[str] | None = None,
    ) -> DbtArguments:
        """Check arguments whose templates are rendered: numbers may be digits, and lists one text."""
        known = _command(command)
        name = " ".join(known.words)
        arguments = cls(
            command=name,
            select=_selection("select", select),
            exclude=_selection("exclude", exclude),
            selector=_text("selector", selector),
            vars=_vars(vars),
            full_refresh=parse_flag("full_refresh", full_refresh, blank=False),
            threads=_threads(threads),
            target=_text("target", target),
            flags=_flags(flags),
        )
        for argument in ("select", "exclude", "selector"):
            if getattr(arguments, argument) and not known.selects:
                raise ArgumentError(f"dbt {name} takes no {argument}, and it is {getattr(arguments, argument)!r}")
        if arguments.selector and (arguments.select or arguments.exclude):
            raise ArgumentError("selector stands alone: dbt ignores select and exclude beside it")
        if arguments.full_refresh and not known.builds:
            builds = ", ".join(name for name, command in COMMANDS.items() if command.builds)
            raise ArgumentError(f"dbt {arguments.command} takes no full_refresh; these do: {builds}")
        if name == "run-operation" and not arguments.flags:
            raise ArgumentError("dbt run-operation needs the macro's name: flags=['my_macro', '--args', '{...}']")
        if name == "retry" and not _options(arguments.flags) & STATE_FLAGS:
            raise ArgumentError(
                "dbt retry needs the artifacts of the run that it continues: flags=['--state', <their directory, or "
                "the failed task's XCom artifacts_uri>]. (A task's own automatic retries need none: resume=True)"
            )
        return arguments

    @property
    def results(self) -> str | None:
        """The artifact with the result of each node; None where there is none."""
        return COMMANDS[self.command].results

    @property
    def selects(self) -> bool:
        """True if the command takes selectors."""
        return COMMANDS[self.command].selects

    @property
    def resumes(self) -> bool:
        """True if `dbt retry` can continue the command."""
        return COMMANDS[self.command].resumes

    @property
    def selection(self) -> str:
        """The selectors as one would type them, for messages."""
        parts = [(f"--{name}", getattr(self, name)) for name in ("select", "exclude")]
        text = [f"{name} {' '.join(values)}" for name, values in parts if values]
        return " ".join([*text, *([f"--selector {self.selector}"] if self.selector else [])]) or "no selector"

    def line(
        self,
        *,
        project: Path,
        profiles: Path,
        profile: str | None,
        target_path: Path,
        log_path: Path,
        resume: Path | None = None,
    ) -> list[str]:
        """Return dbt's arguments, without the executable. The log comes as JSON on standard output, at level debug:
        only there does dbt-athena name its queries.

        :param project: the project's directory
        :param profiles: the directory of profiles.yml
        :param profile: the profile in it; None for the project's own
        :param resume: a directory with the artifacts of a try to continue; its arguments are among them
        """
        line = ["--log-format", "json", "--log-level", "debug", "--log-level-file", "none"]
        line += ["--no-use-colors", "--no-quiet", "--write-json"]
        line += ["retry", "--state", str(resume)] if resume else [*COMMANDS[self.command].words, *self.flags]
        line += ["--project-dir", str(project), "--profiles-dir", str(profiles)]
        line += ["--target-path", str(target_path)] if self.command != "deps" else []
        line += ["--log-path", str(log_path)]
        line += ["--profile", profile] if profile else []
        line += ["--target", self.target] if self.target else []
        line += ["--threads", str(self.threads)] if self.threads and self.command not in _WITHOUT_THREADS else []
        line += ["--vars", json.dumps(dict(self.vars), default=str)] if self.vars else []
        if resume:
            return line
        line += ["--select", *self.select] if self.select else []
        line += ["--exclude", *self.exclude] if self.exclude else []
        line += ["--selector", self.selector] if self.selector else []
        line += ["--full-refresh"] if self.full_refresh else []
        return line


_WITHOUT_THREADS = frozenset({"deps", "ls", "parse"})
# Options whose value is a directory of artifacts, which may lie in S3.
STATE_FLAGS = frozenset({"--state", "--defer-state"})


def _options(flags: Sequence[str]) -> set[str]:
    return {flag.partition("=")[0] for flag in flags}


def _command(command: Any) -> DbtCommand:
    words = " ".join(command.split()) if isinstance(command, str) else command
    found = COMMANDS.get(words) if isinstance(words, str) else None
    if found is None:
        raise ArgumentError(f"command is {command!r}, which is none of {', '.join(COMMANDS)}")
    return found


def _selection(name: str, value: str | Sequence[str] | None) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value or ()
    if not isinstance(items, (list, tuple, set)) or not all(isinstance(item, str) for item in items):
        raise ArgumentError(f"{name} must be text or a list of texts, not {value!r}")
    words = tuple(word for item in items for word in item.split())
    if any(word.startswith("-") for word in words):
        raise ArgumentError(f"{name} holds {value!r}: a selector does not begin with '-'")
    return words


def _text(name: str, value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or value.startswith("-"):
        raise ArgumentError(f"{name} must be a name, not {value!r}")
    return value


def _vars(value: Mapping[str, Any] | str | None) -> dict[str, Any]:
    import yaml

    if isinstance(value, str):
        try:
            value = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ArgumentError(f"vars must be a mapping or its JSON or YAML text, not {value!r}") from None
    if value is None:
        return {}
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ArgumentError(f"vars must be a mapping of names to values, not {value!r}")
    return dict(value)


def _threads(value: Any) -> int | None:
    if value is None or value == "":
        return None
    try:
        threads = int(value)
    except (TypeError, ValueError):
        threads = 0
    if isinstance(value, bool) or not 1 <= threads <= 256:
        raise ArgumentError(f"threads must be a whole number from 1 to 256, not {value!r}")
    return threads


def _flags(value: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(value, str) or not all(isinstance(flag, str) for flag in value or ()):
        raise ArgumentError(f"flags must be a list of dbt's options such as ['--fail-fast'], not {value!r}")
    taken = sorted(_options(value or ()) & OWN_FLAGS)
    if taken:
        raise ArgumentError(f"flags holds {', '.join(taken)}, which the operator sets itself (from its own arguments)")
    return tuple(value or ())
