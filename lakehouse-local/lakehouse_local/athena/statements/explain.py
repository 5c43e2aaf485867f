"""EXPLAIN: DuckDB's plan, whether a statement is valid, and what a statement reads and writes (TYPE IO).

Source: https://docs.aws.amazon.com/athena/latest/ug/athena-explain-statement.html; the shape and the values of TYPE IO
are those that a Trino 476 gave (io.trino.sql.planner.planprinter.IoPlanPrinter).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena import information_schema
from lakehouse_local.athena.binding import CATALOG, Binding, keys_of
from lakehouse_local.athena.results.outcome import Outcome, Row
from lakehouse_local.athena.sql import Column, SqlError, text, translate
from lakehouse_local.athena.sql.relations import TableRead
from lakehouse_local.athena.statements.insert import sources
from lakehouse_local.athena.statements.statement import StatementContext, column_aliases, qualified_name

_MAX_RANGES = 32  # a column with more values is described by the smallest and the largest, as in Trino
Doc = dict[str, Any]


def explain(tree: Any, parameters: Sequence[str], context: StatementContext) -> Outcome:
    """Explain a statement. The stages and exchanges of Athena's plan do not exist here: DuckDB's plan stands for it."""
    type_, format_ = _options(tree)
    if format_ == "GRAPHVIZ":
        raise SqlError("NOT_SUPPORTED", "EXPLAIN (FORMAT GRAPHVIZ) is not supported by the local AWS: use TEXT or JSON")
    if type_ == "IO":
        plan = io_plan(tree.statement(), parameters, context.binding.without_files())
        return _lines(json.dumps(plan, indent=2, ensure_ascii=False).splitlines())
    query = translate(tree.statement(), context.binding, parameters)
    if type_ == "VALIDATE":
        return Outcome((Column("Valid", "boolean"),), [[["true"]]], header=True)
    words = "EXPLAIN ANALYZE" if isinstance(tree, P.ExplainAnalyzeContext) else "EXPLAIN"
    if format_ == "JSON":
        words = "EXPLAIN (FORMAT json)"
    shown = context.cursor.all(f"{words} {query.duckdb_sql}")
    return _lines([line for _, plan in shown for line in str(plan).splitlines()])


def _options(tree: Any) -> tuple[str, str]:
    """Return TYPE and FORMAT of an EXPLAIN."""
    found = {"TYPE": "DISTRIBUTED", "FORMAT": "TEXT"}
    for option in getattr(tree, "explainOption", list)():
        name, value = (child.getText().upper() for child in option.children)
        found[name] = value
    return found["TYPE"], found["FORMAT"]


def _lines(texts: Sequence[str]) -> Outcome:
    rows: list[Row] = [[line] for line in texts]
    return Outcome((Column("Query Plan", "varchar"),), [rows], header=True)


def io_plan(statement: Any, parameters: Sequence[str], binding: Binding) -> Doc:
    """Return the tables that a query, a CREATE TABLE AS or an INSERT reads and writes.

    As in Trino, each partition key of a table has the values of the partitions that exist now and that the query's
    conditions leave; a table of which they leave none is not listed. Statistics are unknown.
    """
    query, output = statement, None
    if isinstance(statement, (P.CreateTableAsSelectContext, P.InsertIntoContext)):
        query, output = statement.query(), binding.name(*qualified_name(statement.qualifiedName()))
    translated = translate(query, binding, parameters)
    if output is not None:
        _check_output(statement, output, translated.columns, binding)
    infos: list[Doc] = []
    for read in translated.reads:
        info = _table_info(read, binding)
        if info is not None and info not in infos:
            infos.append(info)
    written = {} if output is None else {"outputTable": _label(output)}
    return {"inputTableColumnInfos": infos, **written, "estimate": _unknown()}


def _check_output(statement: Any, output: tuple[str, str], columns: Sequence[Column], binding: Binding) -> None:
    if isinstance(statement, P.InsertIntoContext):
        sources(binding.table(*output), column_aliases(statement), columns)
        return
    binding.require_database(output[0])
    if binding.find(*output) is not None and statement.EXISTS() is None:
        raise SqlError("ALREADY_EXISTS", f"line 1:1: Table '{CATALOG}.{output[0]}.{output[1]}' already exists")


def _table_info(read: TableRead, binding: Binding) -> Doc | None:
    database, name = read.name
    constraints: list[Doc] = []
    if database != information_schema.NAME and not name.endswith("$partitions"):
        table = binding.table(database, name)
        keys = keys_of(table)
        rows = binding.key_values(keys, binding.partitions(table, keys, read.where)) if keys else []
        if keys and not rows:
            return None
        constraints = [_constraint(key, [row[at] for row in rows]) for at, key in enumerate(keys)]
    constraint = {"none": False, "columnConstraints": constraints}
    return {"table": _label(read.name), "constraint": constraint, "estimate": _unknown()}


def _constraint(key: Column, values: Sequence[Any]) -> Doc:
    distinct = sorted({value for value in values if value is not None})
    pairs = [(value, value) for value in distinct]
    if len(pairs) > _MAX_RANGES:
        pairs = [(distinct[0], distinct[-1])]
    ranges = [
        {
            end: {"value": text(value, key.type), "bound": "EXACTLY"}
            for end, value in zip(("low", "high"), pair, strict=True)
        }
        for pair in pairs
    ]
    return {
        "columnName": key.name,
        "type": key.type,
        "domain": {"nullsAllowed": None in values, "ranges": ranges},
    }


def _label(name: tuple[str, str]) -> Doc:
    return {"catalog": CATALOG, "schemaTable": {"schema": name[0], "table": name[1]}}


def _unknown() -> Doc:
    members = ("outputRowCount", "outputSizeInBytes", "cpuCost", "maxMemory", "networkCost")
    return dict.fromkeys(members, "NaN")
