"""JSON documents that one process leaves in S3 for another, each with the version of its layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_lakehouse_provider.errors import LakehouseError

# Raised whenever a document changes in a way that an older reader would misunderstand.
VERSION = 2


class VersionError(LakehouseError):
    """A document that another version of the provider wrote; the message names it, both versions and the remedy."""


def dump(content: Mapping[str, Any]) -> bytes:
    """Return a document of this version."""
    return json.dumps({"version": VERSION, **content}).encode()


def load(document: bytes, uri: str, remedy: str) -> dict[str, Any]:
    """Return the content of a document, without its version.

    :param uri: of the document, for the error
    :param remedy: the end of the error's sentence: why the versions differ, and what to do
    :raises VersionError: another version wrote it
    :raises ValueError: it is no JSON object
    """
    content = json.loads(document)
    if not isinstance(content, dict):
        raise ValueError(f"{uri} is not a JSON object")
    version = content.pop("version", None)
    if version != VERSION:
        written = "no version" if version is None else f"version {version!r}"
        raise VersionError(f"{uri} has {written} and version {VERSION} is expected: {remedy}")
    return content
