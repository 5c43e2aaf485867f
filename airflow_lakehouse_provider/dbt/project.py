"""A dbt project from a directory, a zip, an S3 prefix or a zip in S3; each content is fetched once."""

from __future__ import annotations

import hashlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from airflow_lakehouse_provider.dbt.scratch import Cache
from airflow_lakehouse_provider.errors import LakehouseError
from airflow_lakehouse_provider.s3_uri import split_s3_uri
from airflow_lakehouse_provider.starter import LEFT_BEHIND

PROJECT_FILE = "dbt_project.yml"
# Above any project of models; a small archive can be made to unpack to terabytes.
MOST_FILES = 50_000
MOST_BYTES = 1024**3


class ProjectError(LakehouseError):
    """The project cannot be used; the message names it and what is needed."""


class UnreachableError(LakehouseError):
    """The project could not be fetched; a retry may succeed."""


@dataclass(frozen=True)
class Project:
    """A dbt project that was found to be one.

    :param directory: the one with its ``dbt_project.yml``; nothing is ever written there
    :param name: the name in ``dbt_project.yml``
    :param source: the operator's argument
    :param content: the content of its ``dbt_project.yml``
    """

    directory: Path
    name: str
    source: str = ""
    content: dict[str, Any] | None = None

    @classmethod
    def open(cls, project: str | Path) -> Project:
        """Read a project directory.

        :raises ProjectError: naming the directory, what is wrong with it and what is needed
        """
        import yaml

        if not isinstance(project, (str, Path)) or not str(project).strip():
            raise ProjectError(
                f"project must be a directory, a .zip, s3://bucket/prefix or s3://bucket/key.zip, not {project!r}"
            )
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
        return cls(directory, name, str(project), content)

    @classmethod
    @contextmanager
    def at(cls, project: str | Path, cache: Cache, s3: Callable[[], Any]) -> Iterator[Project]:
        """Fetch a project, which stays on this machine for as long as the context is entered.

        :param s3: returns a client of S3; called only for a project in S3
        :raises ProjectError: naming the project, what is wrong with it and what is needed
        :raises UnreachableError: S3 did not answer
        """
        text = str(project)
        if text.startswith("s3://"):
            try:
                bucket, key = split_s3_uri(text)
            except ValueError as error:
                raise ProjectError(f"project: {error}") from error
            fetch = _s3_zip if key.endswith(".zip") else _s3_prefix
            found, fill = fetch(s3(), text, bucket, key)
        elif text.endswith(".zip"):
            archive = Path(text).expanduser().absolute()
            if not archive.is_file():
                raise ProjectError(f"project {text!r} is not a file on this worker ({archive})")
            found, fill = f"zip {_file_digest(archive)}", lambda folder: unpack(archive, folder, text)
        else:
            yield cls.open(project)
            return
        with cache.entry("project", found, fill) as folder:
            yield cls(**{**vars(cls.open(_root(folder, text))), "source": text})

    def fingerprint(self) -> str:
        """Return a digest of the project's files."""
        seen = hashlib.sha256()
        for file in files(self.directory):
            seen.update(f"{file.relative_to(self.directory).as_posix()}\0".encode())
            seen.update(hashlib.sha256(file.read_bytes()).digest())
        return seen.hexdigest()


def files(directory: Path) -> list[Path]:
    """Return a project's own files, in order; links are followed, as dbt does."""
    found = []
    for folder, folders, names in os.walk(directory, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in LEFT_BEHIND)
        found += [Path(folder, name) for name in sorted(names) if name not in LEFT_BEHIND]
    return [file for file in found if file.is_file()]


def pack(project: Project, archive: Path) -> None:
    """Write the project as a zip that is the same for the same files."""
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        for file in files(project.directory):
            info = zipfile.ZipInfo(file.relative_to(project.directory).as_posix(), (1980, 1, 1, 0, 0, 0))
            info.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(info, file.read_bytes())


def unpack(archive: Path, folder: Path, source: str) -> None:
    """Unpack a zip of a project into an empty folder; nothing is written outside of it.

    :param source: the operator's argument, for errors
    :raises ProjectError: it is no zip, is too big, or a path in it leads elsewhere
    """
    try:
        with zipfile.ZipFile(archive) as packed:
            members = [member for member in packed.infolist() if not member.is_dir()]
            if len(members) > MOST_FILES or sum(member.file_size for member in members) > MOST_BYTES:
                raise ProjectError(
                    f"{source} unpacks to more than {MOST_FILES} files or {MOST_BYTES >> 20} MB; a project is smaller"
                )
            for member in members:
                target = folder / _inside(member.filename, source)
                if (member.external_attr >> 16) & 0o170000 == 0o120000:
                    raise ProjectError(
                        f"{source} holds a symbolic link, {member.filename!r}; put the file there itself"
                    )
                target.parent.mkdir(parents=True, exist_ok=True)
                with packed.open(member) as content, target.open("xb") as copy:
                    _copy(content, copy, member.file_size, source)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ProjectError(f"{source} is not a zip that can be read: {error}") from error
    except FileExistsError as error:
        raise ProjectError(f"{source} holds {Path(str(error.filename)).name!r} twice, or as file and folder") from error


def _copy(content: Any, copy: Any, size: int, source: str) -> None:
    # The size that an archive states is only a claim.
    left = size
    while chunk := content.read(1 << 20):
        left -= len(chunk)
        if left < 0:
            raise ProjectError(f"{source} holds more than its directory states")
        copy.write(chunk)


def _inside(name: str, source: str) -> PurePosixPath:
    """Return a path of an archive or of a key, which must not lead out of the project."""
    path = PurePosixPath(name)
    if "\\" in name or "\0" in name or ":" in name.partition("/")[0] or path.is_absolute() or ".." in path.parts:
        raise ProjectError(f"{source} holds the path {name!r}, which leads out of the project; it was not used")
    if not path.parts:
        raise ProjectError(f"{source} holds an empty path")
    return path


def _root(folder: Path, source: str) -> Path:
    """Return the folder of dbt_project.yml: the top, or the one folder there that has it."""
    if (folder / PROJECT_FILE).is_file():
        return folder
    found = [file.parent for file in folder.glob(f"*/{PROJECT_FILE}")]
    if len(found) != 1:
        raise ProjectError(
            f"project {source!r} holds no {PROJECT_FILE}: it must lie at the top, or in one folder there"
            f"{f'; there are {len(found)}' if found else ''}"
        )
    return found[0]


def _file_digest(file: Path) -> str:
    seen = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            seen.update(chunk)
    return seen.hexdigest()


def _s3_zip(s3: Any, uri: str, bucket: str, key: str) -> tuple[str, Callable[[Path], None]]:
    with _s3_errors(uri):
        found = s3.head_object(Bucket=bucket, Key=key)
    etag = found["ETag"]

    def fill(folder: Path) -> None:
        archive = folder / ".project.zip"
        # The object of the cache's key and no other that was put in its place since. By its ETag: a read by version
        # needs s3:GetObjectVersion.
        with _s3_errors(uri):
            answer = s3.get_object(Bucket=bucket, Key=key, IfMatch=etag)
            with archive.open("wb") as copy:
                shutil.copyfileobj(answer["Body"], copy)
        content = folder / "content"
        content.mkdir()
        unpack(archive, content, uri)
        archive.unlink()
        for item in content.iterdir():
            item.rename(folder / item.name)
        content.rmdir()

    return f"s3 zip {uri} {etag}", fill


def _s3_prefix(s3: Any, uri: str, bucket: str, key: str) -> tuple[str, Callable[[Path], None]]:
    prefix = f"{key.rstrip('/')}/" if key else ""
    objects: dict[str, str] = {}
    with _s3_errors(uri):
        total = 0
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents") or ():
                name = found["Key"].removeprefix(prefix)
                if not name or name.endswith("/") or LEFT_BEHIND & set(PurePosixPath(name).parts):
                    continue
                objects[name] = found["ETag"]
                total += found["Size"]
                if len(objects) > MOST_FILES or total > MOST_BYTES:
                    raise ProjectError(f"{uri} holds more than {MOST_FILES} files or {MOST_BYTES >> 20} MB")
    if not objects:
        raise ProjectError(f"project {uri!r} holds nothing: name the prefix that {PROJECT_FILE} lies under")
    paths = {name: _inside(name, uri) for name in objects}

    def fill(folder: Path) -> None:
        def fetch(name: str) -> None:
            target = folder / paths[name]
            target.parent.mkdir(parents=True, exist_ok=True)
            answer = s3.get_object(Bucket=bucket, Key=prefix + name, IfMatch=objects[name])
            target.write_bytes(answer["Body"].read())

        with _s3_errors(uri), ThreadPoolExecutor(max_workers=8) as pool:
            list(pool.map(fetch, objects))

    return f"s3 prefix {uri} {sorted(objects.items())}", fill


@contextmanager
def _s3_errors(uri: str) -> Iterator[None]:
    """Turn errors of S3 into a sentence that names the project and the remedy."""
    try:
        yield
    except (ProjectError, OSError):
        raise
    except Exception as error:
        answer = getattr(error, "response", None) or {}
        status = (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode", 0)
        code = str((answer.get("Error") or {}).get("Code") or type(error).__name__)
        if code in ("404", "NoSuchKey", "NoSuchBucket"):
            raise ProjectError(f"project {uri!r} does not exist ({code})") from error
        if code in ("403", "AccessDenied"):
            raise ProjectError(
                f"project {uri!r} may not be read ({code}): allow s3:GetObject and s3:ListBucket in the role that "
                "Airflow's connection uses"
            ) from error
        changed = "; it was changed while it was read" if status == 412 else ""
        raise UnreachableError(f"project {uri!r} could not be fetched: {error}{changed}") from error
