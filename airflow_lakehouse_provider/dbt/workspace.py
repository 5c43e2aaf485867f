"""A project as dbt sees it: a directory of links, so that a read-only project can have packages and a query comment.

dbt writes the lock file and the packages beside dbt_project.yml, and takes the comment of its queries from inside it.
Neither may touch the project itself, which concurrent tasks share and MWAA mounts read-only.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.dbt.project import PROJECT_FILE, Project, ProjectError, files
from airflow_lakehouse_provider.dbt.scratch import Cache
from airflow_lakehouse_provider.starter import LEFT_BEHIND

# dbt's own comment (dbt.adapters.base.query_headers) and the invocation: nothing else identifies a query whose dbt was
# killed between the query's start and its log line.
_COMMENT = """
query-comment: |
  {%- set comment_dict = {} -%}
  {%- do comment_dict.update(
      app='dbt',
      dbt_version=dbt_version,
      profile_name=target.get('profile_name'),
      target_name=target.get('target_name'),
      invocation_id=invocation_id,
  ) -%}
  {%- if node is not none -%}
    {%- do comment_dict.update(node_id=node.unique_id) -%}
  {%- else -%}
    {%- do comment_dict.update(connection_name=connection_name) -%}
  {%- endif -%}
  {{ return(tojson(comment_dict)) }}
"""
PACKAGE_FILES = ("packages.yml", "dependencies.yml")
LOCK_FILE = "package-lock.yml"


class Workspace:
    """A project laid out for one invocation.

    :ivar directory: the project directory that dbt is given
    :param installs: whether the invocation is `dbt deps` itself, which empties the packages' directory first: that of
        the project or of the cache must not be linked from here
    """

    def __init__(self, project: Project, directory: Path, *, installs: bool = False) -> None:
        self.project = project
        self.directory = directory
        directory.mkdir()
        content = project.content or {}
        self._packages = str(content.get("packages-install-path") or "dbt_packages")
        skipped = (LEFT_BEHIND - {"dbt_packages", "dbt_modules"}) | {PROJECT_FILE}
        for item in project.directory.iterdir():
            if item.name not in skipped and item.name not in (self._packages, LOCK_FILE):
                (directory / item.name).symlink_to(item)
        _absolute_local_packages(project, directory)
        lock = project.directory / LOCK_FILE
        if lock.is_file():  # dbt deps writes it anew: a copy
            (directory / LOCK_FILE).write_bytes(lock.read_bytes())
        (directory / PROJECT_FILE).write_text(with_query_comment(project), encoding="utf-8")
        self._installs = installs
        if self.installed and not installs:
            (directory / self._packages).symlink_to(self._own_packages)

    @property
    def _own_packages(self) -> Path:
        return self.project.directory / self._packages

    @property
    def wanted(self) -> int:
        """The number of packages that the project declares."""
        return sum(len(_declared(self.project.directory / name)) for name in PACKAGE_FILES)

    @property
    def installed(self) -> bool:
        """True if the project came with its packages."""
        own = self._own_packages
        return own.is_dir() and 0 < self.wanted <= sum(1 for item in own.iterdir() if item.is_dir())

    @property
    def lacks_packages(self) -> bool:
        """True if packages must be installed before dbt can run."""
        return not self._installs and self.wanted > 0 and not (self.directory / self._packages).exists()

    @property
    def packages_key(self) -> str:
        """The cache's key of the packages: the files that declare them, and the lock file."""
        found = [self.project.directory / name for name in (*PACKAGE_FILES, LOCK_FILE)]
        return "\0".join(file.read_text(encoding="utf-8") if file.is_file() else "" for file in found)

    def add_macros(self, name: str, text: str) -> None:
        """Add a file of macros to the root project; the project itself is not touched.

        :raises ProjectError: its macro-paths are not known before dbt reads them
        """
        paths = (self.project.content or {}).get("macro-paths") or ["macros"]
        first = str(paths[0])
        if "{" in first or Path(first).is_absolute() or ".." in Path(first).parts:
            raise ProjectError(f"macro-paths of {self.project.name} begin with {first!r}: name a folder of the project")
        folder = self.directory
        for part in Path(first).parts:
            folder = folder / part
            if folder.is_symlink():  # a folder of links takes the place of the link to the folder
                theirs = folder.resolve()
                folder.unlink()
                folder.mkdir()
                for item in theirs.iterdir():
                    (folder / item.name).symlink_to(item)
            folder.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")

    def sources(self) -> list[tuple[Path, list[Path]]]:
        """Return the folders of the project and of its packages, each with its files."""
        packages = self.directory / self._packages
        folders = [item for item in packages.iterdir() if item.is_dir()] if packages.is_dir() else []
        return [(folder, files(folder)) for folder in (self.project.directory, *sorted(folders))]

    def use_packages(self, folder: Path) -> None:
        """Link to packages that were installed for an earlier task."""
        (self.directory / self._packages).symlink_to(folder / "packages")
        lock = folder / LOCK_FILE
        if lock.is_file():
            (self.directory / LOCK_FILE).write_bytes(lock.read_bytes())

    def move_packages(self, folder: Path) -> None:
        """Move the packages that dbt deps installed here into the cache.

        :raises ProjectError: it installed none
        """
        import shutil

        installed = self.directory / self._packages
        if not installed.is_dir():
            raise ProjectError(f"dbt deps installed nothing into {self._packages}")
        # Links of local packages are kept as they are: they lead to the project, not to here.
        shutil.copytree(installed, folder / "packages", symlinks=True)
        shutil.rmtree(installed)
        lock = self.directory / LOCK_FILE
        if lock.is_file():
            shutil.copyfile(lock, folder / LOCK_FILE)


def with_query_comment(project: Project) -> str:
    """Return dbt_project.yml with a query comment that names the invocation; a comment of the user's own is kept."""
    import yaml

    text = (project.directory / PROJECT_FILE).read_text(encoding="utf-8")
    content: dict[str, Any] = project.content or {}
    if "query-comment" in content or "query_comment" in content:
        return text
    longer = text.rstrip() + "\n" + _COMMENT
    try:
        read = yaml.safe_load(longer)
    except yaml.YAMLError:
        return text  # written in a style that nothing can be put after
    comment = read.pop("query-comment", None) if isinstance(read, dict) else None
    return longer if comment and read == content else text


def _declared(file: Path) -> list[Any]:
    import yaml

    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else None
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProjectError(f"{file} cannot be read: {error}") from error
    found = content.get("packages") if isinstance(content, dict) else None
    return found if isinstance(found, list) else []


def _absolute_local_packages(project: Project, directory: Path) -> None:
    """Write the paths of local packages beside the project (``local: ../shared``), which are not beside its links."""
    for name in PACKAGE_FILES:
        file = project.directory / name
        locals_ = [str(item["local"]) for item in _declared(file) if isinstance(item, dict) and "local" in item]
        if not any(path.startswith("..") for path in locals_):
            continue
        text = file.read_text(encoding="utf-8")
        for path in sorted(set(locals_), key=len, reverse=True):
            absolute = (project.directory / path).resolve()
            text = re.sub(rf"(local:\s*)(['\"]?){re.escape(path)}\2\s*$", rf"\g<1>{absolute}", text, flags=re.M)
        (directory / name).unlink()
        (directory / name).write_text(text, encoding="utf-8")


class ParseCache:
    """dbt's partial parsing state, kept from one task to the next.

    dbt discards it when variables, profile, target or its own version differ; so each of these has a file of its own.

    :param identity: the values that the state depends on besides the project
    """

    FILE = "partial_parse.msgpack"

    def __init__(self, cache: Cache, project: Project, *identity: Any) -> None:
        self._cache = cache
        self._key = "\0".join([project.source, str(project.directory), *map(str, identity)])

    def load(self, target: Path) -> None:
        """Put the state into dbt's target directory."""
        target.mkdir(exist_ok=True)
        self._cache.load("parsed", self._key, target / self.FILE)

    def keep(self, target: Path) -> None:
        """Keep the state of dbt's target directory."""
        file = target / self.FILE
        if file.is_file():
            self._cache.keep("parsed", self._key, file)
