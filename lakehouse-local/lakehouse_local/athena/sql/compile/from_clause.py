"""FROM: tables, views, subqueries, UNNEST and joins, as DuckDB's text and the columns that they bring."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.context import CompiledQuery, Context
from lakehouse_local.athena.sql.compile.expressions import Expressions
from lakehouse_local.athena.sql.compile.scope import Field, Scope
from lakehouse_local.athena.sql.compile.tree import name_of, names_of, position
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types import BIGINT, Type, common_type, parse_type
from lakehouse_local.athena.sql.types.casts import coerced
from lakehouse_local.athena.sql.types.typed import Typed, quoted, string

if TYPE_CHECKING:
    from lakehouse_local.athena.sql.compile.queries import Queries


@dataclass(frozen=True)
class FromItem:
    """A part of a FROM clause: its text, its columns, and whether it is a join or needs LATERAL."""

    sql: str
    fields: tuple[Field, ...]
    joined: bool = False
    lateral: bool = False


class FromClause:
    """The compiler of one FROM clause.

    :param queries: the compiler of this query
    :param parent: the columns of the enclosing query
    """

    def __init__(self, queries: Queries, parent: Scope | None) -> None:
        self._queries, self._parent = queries, parent

    def compile(self, nodes: Sequence[Any]) -> FromItem:
        """Compile relations separated by commas; each can use the columns of those before it."""
        found = self._relation(nodes[0], ())
        for node in nodes[1:]:
            found = self._crossed(found, self._relation(node, found.fields))
        return found

    def _scope(self, fields: Sequence[Field]) -> Scope:
        return Scope(fields, self._parent)

    def _expressions(self, fields: Sequence[Field], clause: str) -> Expressions:
        return Expressions(Context(self._scope(fields), self._queries, clause))

    def _relation(self, node: Any, left: Sequence[Field]) -> FromItem:
        if isinstance(node, P.JoinRelationContext):
            return self._join(node, left)
        return self._sampled(node.sampledRelation(), left)

    def _sampled(self, node: Any, left: Sequence[Field]) -> FromItem:
        pattern = node.patternRecognition()
        if pattern.MATCH_RECOGNIZE():
            raise SqlError("NOT_SUPPORTED", f"{position(pattern)}MATCH_RECOGNIZE is not supported by the local AWS")
        found = self._aliased(pattern.aliasedRelation(), left)
        if node.sampleType():
            share = self._expressions((), "TABLESAMPLE").compile(node.percentage)
            found = replace(found, sql=f"{found.sql} TABLESAMPLE {node.sampleType().getText()} ({share.sql} PERCENT)")
        return found

    def _aliased(self, node: Any, left: Sequence[Field]) -> FromItem:
        found = self._primary(node.relationPrimary(), left)
        if node.identifier() is None:
            return found
        qualifier = (name_of(node.identifier()).lower(),)
        fields = [replace(each, qualifier=qualifier) for each in found.fields]
        if node.columnAliases():
            names = [name_of(each).lower() for each in node.columnAliases().identifier()]
            if len(names) != len(fields):
                raise SqlError(
                    "MISMATCHED_COLUMN_ALIASES",
                    f"{position(node)}Column alias list has {len(names)} entries but '{qualifier[0]}' has "
                    f"{len(fields)} columns available",
                )
            fields = [replace(each, name=name) for each, name in zip(fields, names, strict=True)]
        return replace(found, fields=tuple(fields))

    def _primary(self, node: Any, left: Sequence[Field]) -> FromItem:
        if isinstance(node, P.TableNameContext):
            if node.queryPeriod():
                raise SqlError("NOT_SUPPORTED", f"{position(node)}This connector does not support versioned tables")
            return self.table(names_of(node.qualifiedName()), node)
        if isinstance(node, P.SubqueryRelationContext):
            return self._derived(self._queries.query(node.query(), self._parent))
        if isinstance(node, P.LateralContext):
            query = self._queries.query(node.query(), self._scope(left))
            return replace(self._derived(query), lateral=True)
        if isinstance(node, P.UnnestContext):
            return self._unnest(node, left)
        if isinstance(node, P.ParenthesizedRelationContext):
            found = self._relation(node.relation(), left)
            return replace(found, sql=f"({found.sql})", joined=False) if found.joined else found
        if isinstance(node, P.TableFunctionInvocationContext):
            return self._table_function(node.tableFunctionCall())
        raise SqlError("NOT_SUPPORTED", f"{position(node)}JSON_TABLE is not supported by the local AWS")

    def _derived(self, query: CompiledQuery) -> FromItem:
        alias = self._queries.fresh_relation()
        return FromItem(f"({query.sql}) AS {alias}", tuple(query.fields(alias)))

    # -- tables ------------------------------------------------------------------------------------------------------

    def table(self, names: list[str], node: Any) -> FromItem:
        """Compile a table, a view or a WITH query by name."""
        lower = [name.lower() for name in names]
        if len(lower) == 1 and (query := self._queries.named(lower[0])):
            found = self._derived(query) if isinstance(query, CompiledQuery) else query
            return replace(found, fields=tuple(replace(each, qualifier=(lower[0],)) for each in found.fields))
        if len(lower) > 3:
            raise SqlError("SYNTAX_ERROR", f"{position(node)}Too many dots in table name: {'.'.join(names)}")
        catalog, schema, table = [None] * (3 - len(lower)) + lower  # type: ignore[list-item]
        try:
            relation = self._queries.catalogue.relation(catalog, schema, str(table))
        except SqlError as error:
            raise SqlError(error.name, f"{position(node)}{error.message}") from None
        if relation.view_sql is not None:
            query = self._queries.view(relation)
            found = self._derived(query)
            fields = tuple(
                replace(each, name=column.name.lower(), qualifier=tuple(lower))
                for each, column in zip(found.fields, relation.columns, strict=True)
            )
            return replace(found, fields=fields)
        scan, alias = self._queries.scan(relation), self._queries.fresh_relation()
        fields = tuple(
            Field(
                column.name.lower(),
                parse_type(column.type),
                f"{alias}.{quoted(column.name)}",
                tuple(lower),
                (scan, column.name) if column.name in relation.partition_keys else None,
            )
            for column in relation.columns
        )
        return FromItem(f"{scan.token} AS {alias}", fields)

    # -- UNNEST ------------------------------------------------------------------------------------------------------

    def _unnest(self, node: Any, left: Sequence[Field]) -> FromItem:
        expressions = self._expressions(left, "UNNEST")
        columns: list[tuple[str, Type, str | None]] = []
        lists = []
        for each in node.expression():
            value = expressions.compile(each)
            if value.type.name == "array" and value.type.element.name == "row":
                type = value.type.element
                lists.append(value.sql)
                for at, inner in enumerate(type.types):
                    element = self._queries.fresh()
                    field = f"struct_extract({element}, {string(type.field_name(at))})"
                    columns.append((f"list_transform({value.sql}, lambda {element}: {field})", inner, type.fields[at]))
            elif value.type.name == "array":
                lists.append(value.sql)
                columns.append((value.sql, value.type.element, None))
            elif value.type.name == "map":
                lists.append(f"map_keys({value.sql})")
                columns.append((f"map_keys({value.sql})", value.type.type_at(0), None))
                columns.append((f"map_values({value.sql})", value.type.type_at(1), None))
            else:
                raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot unnest type: {value.type}")
        if node.ORDINALITY():
            longest = f"greatest({', '.join(f'coalesce(len({each}), 0)' for each in lists)})"
            columns.append((f"range(1, {longest} + 1)", BIGINT, None))
        selected = ", ".join(f"unnest({sql}) AS c{at}" for at, (sql, _, _) in enumerate(columns))
        alias = self._queries.fresh_relation()
        fields = [
            Field(name.lower() if name else None, type, f"{alias}.c{at}") for at, (_, type, name) in enumerate(columns)
        ]
        return FromItem(f"(SELECT {selected}) AS {alias}", tuple(fields), lateral=True)

    def _table_function(self, node: Any) -> FromItem:
        name = names_of(node.qualifiedName())[-1].lower()
        if name != "sequence":
            raise SqlError("FUNCTION_NOT_FOUND", f"{position(node)}Table function '{name}' not registered")
        expressions = self._expressions((), "Table function")
        given: dict[str, str] = {}
        for position_name, argument in zip(("start", "stop", "step"), node.tableFunctionArgument(), strict=False):
            named = name_of(argument.identifier()).lower() if argument.identifier() else position_name
            given[named] = expressions.to(argument.expression(), BIGINT, f"Argument {named}").sql
        alias = self._queries.fresh_relation()
        step = given.get("step", "1")
        series = f"generate_series({given.get('start', '0')}, {given['stop']}, {step})"
        return FromItem(
            f"(SELECT unnest({series}) AS c0) AS {alias}", (Field("sequential_number", BIGINT, f"{alias}.c0"),)
        )

    # -- joins -------------------------------------------------------------------------------------------------------

    def _crossed(self, left: FromItem, right: FromItem) -> FromItem:
        sql = f"{left.sql} CROSS JOIN {self._operand(right)}"
        return FromItem(sql, (*left.fields, *right.fields), joined=True)

    @staticmethod
    def _operand(right: FromItem) -> str:
        sql = f"({right.sql})" if right.joined else right.sql
        return f"LATERAL {sql}" if right.lateral else sql

    def _join(self, node: Any, around: Sequence[Field]) -> FromItem:
        left = self._relation(node.left, around)
        seen = (*around, *left.fields)
        if node.NATURAL():
            raise SqlError("NOT_SUPPORTED", f"{position(node)}Natural join not supported")
        if node.CROSS():
            return self._crossed(left, self._sampled(node.right, seen))
        right = self._relation(node.rightRelation, seen)
        kind = node.joinType()
        side = "LEFT" if kind.LEFT() else "RIGHT" if kind.RIGHT() else "FULL" if kind.FULL() else "INNER"
        # Rows that an outer join adds have NULL for partition keys: a condition on those must not limit what is read.
        left_fields = left.fields if side in ("INNER", "LEFT") else tuple(f.without_origin() for f in left.fields)
        right_fields = right.fields if side in ("INNER", "RIGHT") else tuple(f.without_origin() for f in right.fields)
        head = f"{left.sql} {side} JOIN {self._operand(right)}"
        criteria = node.joinCriteria()
        if criteria.USING():
            return self._using(head, criteria, side, left_fields, right_fields)
        fields = (*left_fields, *right_fields)
        condition = self._expressions((*around, *fields), "JOIN clause").condition(
            criteria.booleanExpression(), "JOIN ON clause"
        )
        return FromItem(f"{head} ON {condition}", fields, joined=True)

    def _using(
        self, head: str, criteria: Any, side: str, left: tuple[Field, ...], right: tuple[Field, ...]
    ) -> FromItem:
        conditions, merged, gone = [], [], []
        for identifier in criteria.identifier():
            name = name_of(identifier).lower()
            pair = []
            for fields, which in ((left, "left"), (right, "right")):
                found = [each for each in fields if each.name == name]
                if len(found) != 1:
                    problem = "is ambiguous" if found else f"is missing from {which} side of join"
                    code = "AMBIGUOUS_NAME" if found else "COLUMN_NOT_FOUND"
                    raise SqlError(code, f"{position(identifier)}Column '{name}' {problem}")
                pair.append(found[0])
            type = common_type(pair[0].type, pair[1].type)
            if type is None:
                raise SqlError(
                    "TYPE_MISMATCH",
                    f"{position(identifier)}Column types of '{name}' do not match: {pair[0].type} vs {pair[1].type}",
                )
            a, b = (coerced(Typed(each.sql, each.type), type).sql for each in pair)
            conditions.append(f"{a} = {b}")
            sql = {"RIGHT": b, "FULL": f"coalesce({a}, {b})"}.get(side, a)
            merged.append(Field(name, type, sql, (), pair[0].origin if side in ("INNER", "LEFT") else None))
            gone += pair
        rest = [each for each in (*left, *right) if each not in gone]
        return FromItem(f"{head} ON {' AND '.join(conditions)}", (*merged, *rest), joined=True)
