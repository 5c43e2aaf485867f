"""The two manifests of a gated build, production's and the audit schema's, parsed at once; production's is kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.artifacts import DbtResults
from airflow_lakehouse_provider.dbt.attempt import Stopped
from airflow_lakehouse_provider.dbt.commands import DbtArguments
from airflow_lakehouse_provider.dbt.events import DbtEvent
from airflow_lakehouse_provider.dbt.gate import forget
from airflow_lakehouse_provider.dbt.gate.kinds import FIXED_NAMING
from airflow_lakehouse_provider.dbt.gate.refused import GateRefused
from airflow_lakehouse_provider.dbt.gate.request import BUILDS
from airflow_lakehouse_provider.dbt.stage import DbtStage, write_profiles
from airflow_lakehouse_provider.dbt.verdict import judge
from airflow_lakehouse_provider.dbt.workspace import ParseCache
from airflow_lakehouse_provider.errors import LakehouseError

MANIFEST = "manifest.json"
# The options of a build that `dbt ls` knows and that change what is selected, both with values after them.
_LS_FLAGS = (
    *("--resource-type", "--resource-types", "--exclude-resource-type", "--exclude-resource-types"),
    "--indirect-selection",
)
_ENV_VAR = re.compile(r"env_var\s*\(\s*(?:(['\"])(\w+)\1)?")


class ParseFailed(LakehouseError):
    """The project could not be read by dbt; the message is dbt's.

    :ivar status: of the verdict
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Manifests:
    """The manifests of production and of an audit schema.

    :ivar folder: with production's as manifest.json, for dbt's --state
    :ivar selected: the unique ids that dbt selects, of any type
    """

    production: Mapping[str, Any]
    audit: Mapping[str, Any]
    folder: Path
    selected: Sequence[str]


def audit_profiles(profiles: Mapping[str, Any], audit: str, files: str) -> dict[str, Any]:
    """Return a profile that builds in the audit schema and differs in nothing else."""
    changed = deepcopy(dict(profiles))
    for profile in changed.values():
        for output in profile["outputs"].values():
            output |= {"schema": audit, "s3_data_dir": files}
            if output.get("s3_tmp_table_dir"):
                output["s3_tmp_table_dir"] = f"{files}/temporary"
            if output.get("s3_data_naming") in FIXED_NAMING:
                output["s3_data_naming"] = f"{output['s3_data_naming']}_unique"
    return changed


def prepare(stage: DbtStage) -> None:
    """Add the gate's macros to the try's copy of the project.

    :raises GateRefused: the project or a package has macros of these names
    """
    found = [each for folder, files in stage.workspace.sources() for each in forget.overrides(folder.parent, files)]
    if found:
        raise GateRefused.of(found)
    stage.workspace.add_macros(forget.FILE, forget.MACROS)


def audit_parse_cache(stage: DbtStage, audit: str) -> ParseCache:
    """Return dbt's parsing state of an audit schema, which its build leaves to its test on the same machine."""
    arguments = stage.arguments
    identity = (arguments.vars, arguments.target, stage.request.profile, audit)
    return ParseCache(stage.cache, stage.project, *stage.executable, *identity)


def parse(stage: DbtStage, profiles: Path, exclude: Sequence[str]) -> Manifests:
    """Return both manifests; the audit's is left in the try's target directory, where the build goes on from it.

    :param profiles: the directory of the audit's profiles.yml
    :param exclude: further selectors of nodes that are left out
    :raises ParseFailed: dbt does not read the project, or does not know a selector
    """
    arguments = replace(stage.arguments, exclude=(*stage.arguments.exclude, *exclude))
    with ThreadPoolExecutor(2) as pool:
        try:
            audit = pool.submit(_list, stage, arguments, profiles, stage.target)
            production = pool.submit(_production, stage, arguments)
            selected, folder = audit.result(), production.result()
        except BaseException:
            stage.attempt.stop()  # else the pool would wait for the other
            raise
    return Manifests(_read(folder / MANIFEST), _read(stage.target / MANIFEST), folder, selected)


def _production(stage: DbtStage, arguments: DbtArguments) -> Path:
    """Return the directory of production's manifest, from the cache where project and environment are the same."""
    profiles = write_profiles(stage.path / "production", stage.request.profiles or {})
    target = stage.path / "production-target"

    def fill(folder: Path) -> None:
        identity = (arguments.vars, arguments.target, stage.request.profiles)
        parsed = ParseCache(stage.cache, stage.project, "production", *stage.executable, *identity)
        parsed.load(target)
        _list(stage, replace(arguments, select=(), exclude=(), selector=None), profiles, target, everything=True)
        parsed.keep(target)
        shutil.copyfile(target / MANIFEST, folder / MANIFEST)

    key = _key(stage, arguments)
    if key is not None:
        return stage.held.enter_context(stage.cache.entry("manifest", key, fill))
    folder = stage.path / "state"
    folder.mkdir()
    fill(folder)
    return folder


def _key(stage: DbtStage, arguments: DbtArguments) -> str | None:
    """Return the cache's key of production's manifest: all that dbt reads; None where that is not known."""
    seen, names = hashlib.sha256(), {name for name in stage.environment if name.startswith("DBT_")}
    for folder, files in stage.workspace.sources():
        for file in files:
            content = file.read_bytes()
            seen.update(f"{file.relative_to(folder).as_posix()}\0{len(content)}\0".encode())
            seen.update(content)
            for found in _ENV_VAR.finditer(content.decode(errors="replace")):
                if found[2] is None:
                    return None  # a name that is computed
                names.add(found[2])
    program = Path(stage.executable[0])
    made = os.stat(program).st_mtime_ns if program.exists() else 0
    values = {name: stage.environment.get(name) for name in sorted(names)}
    parts = [stage.executable, made, seen.hexdigest(), arguments.vars, arguments.target, stage.request.profiles, values]
    return json.dumps(parts, default=str, sort_keys=True)


def _list(
    stage: DbtStage, arguments: DbtArguments, profiles: Path, target: Path, *, everything: bool = False
) -> list[str]:
    """Have dbt parse the project, and return the unique ids that it selects.

    :param everything: whether the selection is not asked for
    """
    flags = ["--output", "json", "--output-keys", "unique_id"]
    if not everything:
        own = _ls_flags(arguments.flags)
        types = BUILDS.get(arguments.command, ())
        typed = any(flag.partition("=")[0].startswith(("--resource-type", "--exclude-resource")) for flag in own)
        if arguments.command != "build" and not typed:
            flags += [word for each in types for word in ("--resource-type", each)]
        flags += own
    listing = replace(arguments, command="ls", flags=tuple(flags), full_refresh=False)
    found: list[str] = []

    def see(event: DbtEvent) -> None:
        if event.name in ("PrintEvent", "ListCmdOut") and event.message.startswith("{"):
            try:
                content = json.loads(event.message)
            except ValueError:
                return
            if isinstance(content, dict) and "unique_id" in content:
                found.append(str(content["unique_id"]))

    target.mkdir(exist_ok=True)
    code, invocation = stage.invoke(stage.line(listing, profiles=profiles, target=target), on_event=see, instead=True)
    if invocation.stopping:
        raise Stopped
    if code != 0 or not (target / MANIFEST).is_file():
        raise ParseFailed(*judge(code or 1, DbtResults(), invocation, listing, stage.title, allow_empty=True))
    return found


def _ls_flags(flags: Sequence[str]) -> list[str]:
    """Return the options among a build's that `dbt ls` knows, with their values."""
    found: list[str] = []
    taken = False
    for flag in flags:
        if flag.startswith("-"):
            taken = flag.partition("=")[0] in _LS_FLAGS
        if taken:
            found.append(flag)
    return found


def _read(file: Path) -> Mapping[str, Any]:
    content: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
