"""From objects to tables: which folders are tables, which are partitions, and what their columns are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lakehouse_local.glue.crawlers.hive_types import Columns, compatible, merged
from lakehouse_local.glue.crawlers.inference import Contents, Unclassifiable, contents
from lakehouse_local.s3.store import StoredObject

SIMILAR = 0.7  # the part of columns that two schemas must share to be one table's


@dataclass(frozen=True)
class ReadObject:
    """An object, the folders that lead to it, and what it holds."""

    stored: StoredObject
    folders: tuple[str, ...]
    contents: Contents


@dataclass
class FoundPartition:
    """A partition as found: where it lies and what its objects hold."""

    values: tuple[str, ...]
    location: str
    objects: list[ReadObject] = field(default_factory=list)

    @property
    def columns(self) -> Columns:
        return merged_columns(self.objects)


@dataclass
class FoundTable:
    """A table as found. ``location`` ends in a slash unless it is a single object."""

    name: str
    location: str
    keys: tuple[str, ...]
    partitions: list[FoundPartition]

    @property
    def objects(self) -> list[ReadObject]:
        return [each for partition in self.partitions for each in partition.objects]

    @property
    def columns(self) -> Columns:
        """Every column of every object that is not a partition key."""
        return {name: kind for name, kind in merged_columns(self.objects).items() if name not in self.keys}

    @property
    def example(self) -> Contents:
        """The contents that stand for the table's format."""
        return self.objects[0].contents


def merged_columns(objects: Iterable[ReadObject]) -> Columns:
    """The columns of all objects together."""
    columns: Columns = {}
    seen: list[Columns] = []
    for each in objects:
        own = each.contents.columns
        if own not in seen:
            seen.append(own)
            columns = merged(columns, own)
    return columns


def read(
    objects: Iterable[StoredObject],
    base: str,
    *,
    sample: int | None,
    refused: Callable[[StoredObject, str], None],
) -> list[ReadObject]:
    """Read what lies under ``base``; what cannot be classified is told to ``refused`` and left out.

    :param sample: how many objects of a folder are read; all unless given
    """
    found: list[ReadObject] = []
    taken: dict[tuple[str, ...], int] = {}
    for stored in objects:
        *folders, name = stored.uri.removeprefix(base).split("/")
        if not stored.size or any(part.startswith(("_", ".")) for part in (*folders, name)):
            continue
        place = tuple(folders)
        if sample is not None and taken.get(place, 0) >= sample:
            continue
        try:
            found.append(ReadObject(stored, place, contents(stored.path)))
            taken[place] = taken.get(place, 0) + 1
        except FileNotFoundError:
            continue  # deleted while the crawl went on
        except Unclassifiable as error:
            refused(stored, str(error))
    return found


def tables(objects: list[ReadObject], base: str, name: str, *, combine: bool) -> list[FoundTable]:
    """The tables of what lies under ``base``: one when the objects belong together, else one of each folder below.

    :param combine: objects of one format and depth are one table however little their columns have in common
    """
    if not objects:
        return []
    if _together(objects, combine=combine):
        return [_table(objects, base, name)]
    found: list[FoundTable] = []
    children: dict[str, list[ReadObject]] = {}
    for each in objects:
        if each.folders:
            below = ReadObject(each.stored, each.folders[1:], each.contents)
            children.setdefault(each.folders[0], []).append(below)
        else:
            file = each.stored.uri.rpartition("/")[2]
            partition = FoundPartition((), each.stored.uri, [each])
            found.append(FoundTable(table_name(file), each.stored.uri, (), [partition]))
    for folder, below_folder in children.items():
        found += tables(below_folder, f"{base}{folder}/", table_name(folder), combine=combine)
    return found


def table_name(folder: str) -> str:
    """A table's name of a folder's."""
    return re.sub(r"[^0-9a-z_]", "_", folder.lower())


def _together(objects: list[ReadObject], *, combine: bool) -> bool:
    if len({(each.contents.format, len(each.folders)) for each in objects}) > 1:
        return False
    schemas: list[Columns] = []
    for each in objects:
        if each.contents.columns not in schemas:
            schemas.append(each.contents.columns)
    return combine or all(_similar(schemas[0], other) for other in schemas[1:])


def _similar(left: Columns, right: Columns) -> bool:
    shared = sum(name in right and compatible(kind, right[name]) for name, kind in left.items())
    return shared >= SIMILAR * max(len(left), len(right))


def _table(objects: list[ReadObject], base: str, name: str) -> FoundTable:
    depth = len(objects[0].folders)
    keys = _unique([_key([each.folders[level] for each in objects], level) for level in range(depth)])
    partitions: dict[tuple[str, ...], FoundPartition] = {}
    for each in objects:
        values = tuple(_value(folder, key) for folder, key in zip(each.folders, keys, strict=True))
        location = "".join([base, *(f"{folder}/" for folder in each.folders)])
        partitions.setdefault(values, FoundPartition(values, location)).objects.append(each)
    return FoundTable(name, base, keys, list(partitions.values()))


def _key(folders: list[str], level: int) -> str:
    """A partition key's name: of ``k=v`` folders their k, else ``partition_0`` and so on."""
    names = {folder.partition("=")[0].lower() if "=" in folder else "" for folder in folders}
    name = names.pop()
    return name if name and not names else f"partition_{level}"


def _value(folder: str, key: str) -> str:
    """A partition's value of a folder's name; Hive's escapes in it are undone."""
    text = folder[len(key) + 1 :] if folder.lower().startswith(f"{key}=") else folder
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


def _unique(keys: list[str]) -> tuple[str, ...]:
    return tuple(key if key not in keys[:level] else f"partition_{level}" for level, key in enumerate(keys))
