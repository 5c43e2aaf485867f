"""Where a dbt project comes from: a directory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PROJECT_FILE = "dbt_project.yml"


class ProjectError(ValueError):
    """The project cannot be used; the message names it and what is needed."""


@dataclass(frozen=True)
class Project:
    """A dbt project that was found to be one.

    :param directory: where its ``dbt_project.yml`` lies; nothing is ever written there
    :param name: what it calls itself
    """

    directory: Path
    name: str

    @classmethod
    def open(cls, project: str | Path) -> Project:
        """Look at a project directory.

        :raises ProjectError: naming the directory, what is wrong with it and what is needed
        """
        import yaml

        if not isinstance(project, (str, Path)) or not str(project).strip():
            raise ProjectError(f"project must be the directory of a dbt project, not {project!r}")
        if str(project).startswith("s3://") or str(project).endswith(".zip"):
            raise ProjectError(f"project must be a directory on the worker, not {str(project)!r}")
        directory = Path(project).expanduser().absolute()
        file = directory / PROJECT_FILE
        if not directory.is_dir():
            raise ProjectError(f"project {str(project)!r} is not a directory on this worker ({directory})")
        if not file.is_file():
            raise ProjectError(f"project {str(project)!r} holds no {PROJECT_FILE}: it must be the directory that does")
        try:
            content = yaml.safe_load(file.read_text(encoding="utf-8"))
        except OSError as error:
            raise ProjectError(f"{file} cannot be read: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ProjectError(f"{file} is not valid YAML: {error}") from error
        name = content.get("name") if isinstance(content, dict) else None
        if not isinstance(name, str) or not name:
            raise ProjectError(f"{file} has no name: a dbt project begins with `name: ...`")
        return cls(directory, name)
