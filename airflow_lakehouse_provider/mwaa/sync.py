"""The upload of a bundle to the artifacts zone: new and changed files alone, code before the DAGs that need it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_lakehouse_provider.errors import LakehouseError
from airflow_lakehouse_provider.mwaa.bundle import DAGS, MWAA, PLUGINS, REQUIREMENTS, SCRIPTS, STARTUP
from airflow_lakehouse_provider.s3_uri import split_s3_uri

_DIGEST = "sha256"  # in an object's metadata: with SSE-KMS the ETag is no hash of the content
# file whose version MWAA needs -> its key in Terraform's variable mwaa_object_versions
_VERSIONED = {PLUGINS: "plugins", REQUIREMENTS: "requirements", STARTUP: "startup_script"}
PARTS = {"scripts": SCRIPTS, "mwaa": MWAA}


class SyncError(LakehouseError, RuntimeError):
    """The bundle cannot be uploaded; the message gives the reason and what to do."""


@dataclass(frozen=True)
class Difference:
    """One file of the bundle, or of the zone: ``new``, ``changed``, ``same``, or ``extra`` (in the zone alone)."""

    name: str
    state: str
    version: str | None = None


class Sync:
    """A bundle's folder and the artifacts zone that it goes to.

    :param zone: ``s3://bucket`` or ``s3://bucket/prefix``
    :param part: one of :data:`PARTS`, or None for both
    """

    def __init__(self, s3: Any, folder: Path, zone: str, part: str | None = None) -> None:
        self._s3, self._folder = s3, folder
        self._bucket, prefix = split_s3_uri(zone)
        self._prefix = f"{prefix}/" if prefix else ""
        self._parts = [PARTS[part]] if part else list(PARTS.values())

    def differences(self) -> list[Difference]:
        """Return every file: scripts first, DAGs after them, and at the end files that are in the zone alone."""
        local = self._local()
        if not local:
            raise SyncError(f"{self._folder} holds no bundle: make one with `lakehouse mwaa bundle`")
        remote = set(self._remote())
        found = [self._compare(name, path, name in remote) for name, path in local.items()]
        return found + [Difference(name, "extra") for name in sorted(remote - set(local))]

    def upload(self, differences: list[Difference], *, delete: bool = False) -> dict[str, str | None]:
        """Upload new and changed files, and delete extra ones with ``delete``; return the versions that MWAA needs."""
        versions: dict[str, str | None] = {}
        for each in differences:
            version = each.version
            if each.state in ("new", "changed"):
                version = self._put(each.name)
            elif each.state == "extra" and delete:
                self._s3.delete_object(Bucket=self._bucket, Key=self._prefix + each.name)
            if each.name in _VERSIONED:
                versions[_VERSIONED[each.name]] = version
        return versions

    def check_bucket(self) -> None:
        """Check that the bucket is versioned, as MWAA requires.

        :raises SyncError: when it is not
        """
        versioning = self._s3.get_bucket_versioning(Bucket=self._bucket).get("Status")
        if versioning != "Enabled":
            raise SyncError(
                f"the bucket {self._bucket} is not versioned, and MWAA reads from versioned buckets only: apply "
                "infra/terraform, or `aws s3api put-bucket-versioning`"
            )

    def _local(self) -> dict[str, Path]:
        files = {path.relative_to(self._folder).as_posix(): path for path in self._folder.rglob("*") if path.is_file()}
        wanted = {name: path for name, path in files.items() if name.startswith(tuple(self._parts))}
        return dict(sorted(wanted.items(), key=lambda item: (item[0].startswith(DAGS), item[0])))

    def _remote(self) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2")
        for part in self._parts:
            for page in pages.paginate(Bucket=self._bucket, Prefix=self._prefix + part):
                for each in page.get("Contents", ()):
                    if not each["Key"].endswith("/"):
                        yield each["Key"][len(self._prefix) :]

    def _compare(self, name: str, path: Path, exists: bool) -> Difference:
        if not exists:
            return Difference(name, "new")
        head = self._s3.head_object(Bucket=self._bucket, Key=self._prefix + name)
        same = head.get("Metadata", {}).get(_DIGEST) == _digest(path)
        return Difference(name, "same" if same else "changed", head.get("VersionId"))

    def _put(self, name: str) -> str | None:
        path = self._folder / name
        answer = self._s3.put_object(
            Bucket=self._bucket,
            Key=self._prefix + name,
            Body=path.read_bytes(),
            Metadata={_DIGEST: _digest(path)},
        )
        version: str | None = answer.get("VersionId")
        return version


def write_tfvars(path: Path, versions: dict[str, str | None]) -> None:
    """Write the versions for Terraform, as a ``*.auto.tfvars.json`` that it reads by itself."""
    path.write_text(json.dumps({"mwaa_object_versions": versions}, indent=2) + "\n", encoding="utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
