"""Discovery of tables: from objects to the folders that are tables or partitions, and to their columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from lakehouse_local.glue.crawlers.hive_types import Columns, compatible, merged
from lakehouse_local.glue.crawlers.inference import Contents, Unclassifiable, contents
from lakehouse_local.s3.store import StoredObject

SIMILAR = 0.7  # share of columns that two schemas must have in common to belong to one table


@dataclass(frozen=True)
class ReadObject:
    """An object that was read: the folders that lead to it, and its contents."""

    stored: StoredObject
    folders: tuple[str, ...]
    contents: Contents


@dataclass
class FoundPartition:
    """A partition that was found: its values, location and objects."""

    values: tuple[str, ...]
    location: str
    objects: list[ReadObject] = field(default_factory=list)

    @property
    def columns(self) -> Columns:
        return merged_columns(self.objects)


@dataclass
class FoundTable:
    """A table that was found.

    :ivar location: ends in a slash unless it is a single object
    """

    name: str
    location: str
    keys: tuple[str, ...]
    partitions: list[FoundPartition]

    @property
    def objects(self) -> list[ReadObject]:
        return [each for partition in self.partitions for each in partition.objects]

    @property
    def columns(self) -> Columns:
        """The columns of all objects, without the partition keys."""
        return {name: type_ for name, type_ in merged_columns(self.objects).items() if name not in self.keys}

    @property
    def example(self) -> Contents:
        """The contents of the first object, whose format is the table's."""
        return self.objects[0].contents


def merged_columns(objects: Iterable[ReadObject]) -> Columns:
    """Return the columns of all objects together."""
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
    on_unclassified: Callable[[StoredObject, str], None],
) -> list[ReadObject]:
    """Read the objects under ``base``; those that cannot be classified are left out.

    :param sample: how many objects of a folder are read; None reads all
    :param on_unclassified: called with each object that is left out, and the reason
    """
    found: list[ReadObject] = []
    counts: dict[tuple[str, ...], int] = {}
    for stored in objects:
        *folders, name = stored.uri.removeprefix(base).split("/")
        if not stored.size or any(part.startswith(("_", ".")) for part in (*folders, name)):
            continue
        folder = tuple(folders)
        if sample is not None and counts.get(folder, 0) >= sample:
            continue
        try:
            found.append(ReadObject(stored, folder, contents(stored.path)))
            counts[folder] = counts.get(folder, 0) + 1
        except FileNotFoundError:
            continue  # deleted during the crawl
        except Unclassifiable as error:
            on_unclassified(stored, str(error))
    return found


def tables(objects: list[ReadObject], base: str, name: str, *, combine: bool) -> list[FoundTable]:
    """Return the tables under ``base``: one if the objects belong together, else those of each folder below.

    :param name: of the table, if it is one
    :param combine: objects of one format and depth are one table however little their columns have in common
    """
    if not objects:
        return []
    if _belong_together(objects, combine=combine):
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
    """Return the name of the table in a folder."""
    return re.sub(r"[^0-9a-z_]", "_", folder.lower())


def _belong_together(objects: list[ReadObject], *, combine: bool) -> bool:
    if len({(each.contents.format, len(each.folders)) for each in objects}) > 1:
        return False
    schemas: list[Columns] = []
    for each in objects:
        if each.contents.columns not in schemas:
            schemas.append(each.contents.columns)
    return combine or all(_similar(schemas[0], other) for other in schemas[1:])


def _similar(left: Columns, right: Columns) -> bool:
    shared = sum(name in right and compatible(type_, right[name]) for name, type_ in left.items())
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
    """Return a partition key's name: k if every folder is named ``k=v``, else ``partition_0`` and so on."""
    names = {folder.partition("=")[0].lower() if "=" in folder else "" for folder in folders}
    name = names.pop()
    return name if name and not names else f"partition_{level}"


def _value(folder: str, key: str) -> str:
    """Return a partition's value from a folder's name; Hive's escapes in it are undone."""
    text = folder[len(key) + 1 :] if folder.lower().startswith(f"{key}=") else folder
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda found: chr(int(found[1], 16)), text)


def _unique(keys: list[str]) -> tuple[str, ...]:
    return tuple(key if key not in keys[:level] else f"partition_{level}" for level, key in enumerate(keys))
