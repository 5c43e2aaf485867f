"""The moves in production since an attempt read it, and the nodes that have read what moved.

Months that are built at once change the same tables. A node must be built again only if it has read a partition, or a
table, that another publication has replaced since. What a query reads is Athena's own answer: EXPLAIN (TYPE IO).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_lakehouse_provider.publishing.attempt import PARTITIONED, TABLE, VIEW, AuditAttempt, Node
from airflow_lakehouse_provider.publishing.catalogue import Catalogue, Values
from airflow_lakehouse_provider.publishing.clone import current_pointers
from airflow_lakehouse_provider.publishing.names import TableName
from airflow_lakehouse_provider.publishing.plan import in_order

# Tables that dbt-athena makes for itself while it builds a node: what is read from one was read when it was made.
_OWN_TABLE = re.compile(r"__(dbt_tmp|tmp_not_partitioned)")
_AS = re.compile(r"\n\s+as\n", re.IGNORECASE)
_SELECT = re.compile(r"\s*(--[^\n]*\n\s*)*(select|with|values|\()", re.IGNORECASE)
_WHOLE_NUMBERS = frozenset({"tinyint", "smallint", "integer", "int", "bigint"})
_TEXTS = re.compile(r"(varchar|char)(\(\d+\))?|date", re.IGNORECASE)


@dataclass(frozen=True)
class Move:
    """A production table that is not as it was read.

    :ivar values: the partitions that were replaced, added or removed
    :ivar removed: those of them that production has no more
    :ivar whole: the table itself was replaced, or its columns changed
    """

    table: TableName
    values: frozenset[Values] = frozenset()
    whole: bool = False
    removed: frozenset[Values] = frozenset()


@dataclass(frozen=True)
class Read:
    """A table that a query reads, and the values of its partition keys outside of which it reads nothing.

    :ivar domains: ranges by column, each a list of (lowest, its bound is included, highest, its bound is included)
    """

    table: TableName
    domains: Mapping[str, Domain]

    def may_read(self, keys: Sequence[tuple[str, str]], values: Values) -> bool:
        """Return False if the query cannot read a partition."""
        given = zip(keys, values, strict=True)
        return all(name not in self.domains or self.domains[name].may_hold(value) for (name, _), value in given)


@dataclass(frozen=True)
class Domain:
    """The values that a scan's constraint lets through, as EXPLAIN (TYPE IO) tells them.

    :ivar ranges: None: they could not be read, and every value may be one of them
    """

    type: str
    ranges: tuple[tuple[str | None, bool, str | None, bool], ...] | None

    def may_hold(self, value: str) -> bool:
        """Return False if the constraint excludes a partition's value."""
        if self.ranges is None:
            return True
        number = self.type.lower() in _WHOLE_NUMBERS
        if not number and not _TEXTS.fullmatch(self.type):
            return True
        convert: Callable[[str], Any] = int if number else str
        try:
            return any(_within(each, convert(value), convert) for each in self.ranges)
        except ValueError:
            return True


def _within(range_: tuple[str | None, bool, str | None, bool], given: Any, convert: Callable[[str], Any]) -> bool:
    low, from_low, high, to_high = range_
    above = low is None or convert(low) < given or (from_low and convert(low) == given)
    return above and (high is None or given < convert(high) or (to_high and convert(high) == given))


def moved(glue: Catalogue, attempt: AuditAttempt) -> dict[TableName, Move]:
    """Return what production has that is not as it was when the attempt began."""
    found = {}
    for text, before in attempt.base.items():
        table = TableName.parse(text)
        now = current_pointers(glue, table)
        values = frozenset(
            tuple(each[0])
            for each in [*before["partitions"], *now["partitions"]]
            if (each in before["partitions"]) != (each in now["partitions"])
        )
        # A table of partitions that another month has made since is one to which partitions were added.
        made = before["table"] is None and bool(now["partitions"])
        whole = before["table"] != now["table"] and not made
        if values or whole:
            found[table] = Move(table, values, whole, values - {tuple(each[0]) for each in now["partitions"]})
    return found


def affected(
    attempt: AuditAttempt,
    moves: Mapping[TableName, Move],
    targets: Iterable[tuple[TableName, Values | None]],
    reads: Callable[[Node], Sequence[Read] | None],
    keys: Callable[[TableName], Sequence[tuple[str, str]]],
) -> list[str]:
    """Return the unique ids of the nodes that have to be built again, each after those that it reads.

    :param targets: the entries that the plan changes
    :param reads: returns what a node's queries read, or None where that cannot be told; called only for nodes that may
        have read what moved
    :param keys: returns a table's partition keys
    """
    if not moves:
        return []
    changed: dict[TableName, set[Values | None]] = {}
    for table, values in targets:
        changed.setdefault(table, set()).add(values)
    production = {node.audit: node.production for node in attempt.nodes}
    # Partitions of the attempt's own are not read from production.
    foreign = {
        table: Move(table, move.values - {v for v in changed.get(table, ()) if v is not None}, move.whole)
        for table, move in moves.items()
    }
    again: list[str] = []
    for node in in_order(attempt.nodes):
        own = moves.get(node.production)
        replaced = own is not None and (
            bool(own.values & changed.get(node.production, set()))
            or (node.kind == PARTITIONED and own.whole)
            or (node.kind == TABLE and (own.whole or bool(own.values)))
        )
        if replaced or set(node.reads) & set(again) or _read_a_move(node, production, foreign, reads, keys):
            again.append(node.unique_id)
    return again


def _read_a_move(
    node: Node,
    production: Mapping[TableName, TableName],
    moves: Mapping[TableName, Move],
    reads: Callable[[Node], Sequence[Read] | None],
    keys: Callable[[TableName], Sequence[tuple[str, str]]],
) -> bool:
    if node.kind == VIEW:
        return False  # it reads when it is queried
    found = reads(node)
    if found is None:
        return True
    for read in found:
        move = moves.get(production.get(read.table, read.table))
        if move is None:
            continue
        if move.whole or any(read.may_read(keys(move.table), values) for values in move.values):
            return True
    return False


def reading_statements(statements: Iterable[str]) -> list[str] | None:
    """Return the queries among a node's SQL statements that read data, each once; None where one cannot be told.

    Of a CREATE TABLE AS its query; statements that read only from dbt-athena's own temporary tables are left out, as
    these were filled by a statement that is among them.
    """
    found: dict[str, None] = {}
    for statement in statements:
        words = re.sub(r"\A(\s*--[^\n]*\n)+", "", statement).lstrip()
        kind = words.split(None, 1)[0].lower() if words.split() else ""
        if kind in ("alter", "drop", "create") and not re.match(r"create\s+table", words, re.IGNORECASE):
            continue
        if kind == "create":
            parts = _AS.split(words, maxsplit=1)
            if len(parts) != 2:
                return None
            words = parts[1]
        elif kind == "insert":
            if _OWN_TABLE.search(words):
                continue
            query = re.search(r"\b(select|with|values)\b", words, re.IGNORECASE)
            if query is None:
                return None
            words = words[query.start() :].rstrip().rstrip(";")
        if not _SELECT.match(words):
            return None
        if _OWN_TABLE.search(words) and kind != "create":
            continue
        found[words.strip().rstrip(";")] = None
    return list(found)


def parse_io_plan(text: str) -> list[Read]:
    """Return the tables that a query reads, of the answer of EXPLAIN (TYPE IO, FORMAT JSON).

    :raises ValueError: it is none
    """
    plan = json.loads(text)
    try:
        return [_read(each) for each in plan["inputTableColumnInfos"]]
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a plan of TYPE IO: {error!r}") from error


def _read(info: Mapping[str, Any]) -> Read:
    table = info["table"]["schemaTable"]
    constraint = info.get("constraint") or {}
    columns = info["columnConstraints"] if "columnConstraints" in info else constraint.get("columnConstraints") or ()
    return Read(TableName(table["schema"], table["table"]), {each["columnName"]: _domain(each) for each in columns})


def _domain(constraint: Mapping[str, Any]) -> Domain:
    domain = constraint.get("domain") or {}
    ranges = domain.get("ranges")
    if ranges is None:
        return Domain(str(constraint.get("type", "")), None)
    return Domain(str(constraint.get("type", "")), tuple(_range(each) for each in ranges))


def _range(found: Mapping[str, Any]) -> tuple[str | None, bool, str | None, bool]:
    low, high = found["low"], found["high"]
    return low.get("value"), low["bound"] == "EXACTLY", high.get("value"), high["bound"] == "EXACTLY"
