"""Queries: WITH, SELECT, set operations, VALUES, ORDER BY and LIMIT."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile.context import CompiledQuery, Compiler, Context, FreshNames, Output
from lakehouse_local.athena.sql.compile.expressions import Expressions
from lakehouse_local.athena.sql.compile.from_clause import FromClause, FromItem
from lakehouse_local.athena.sql.compile.scope import Scan, Scope
from lakehouse_local.athena.sql.compile.selects import Select, ordering
from lakehouse_local.athena.sql.compile.tree import name_of, names_of, position, unwrapped
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.grammar import parse, without_semicolon
from lakehouse_local.athena.sql.relations import Catalogue, Relation, TableRead
from lakehouse_local.athena.sql.types import Type, common_type, duckdb_type
from lakehouse_local.athena.sql.types.typed import Typed


class Translation:
    """The state that all queries of one statement share: fresh names, scans, the values of question marks."""

    def __init__(self, parameters: Sequence[str]) -> None:
        self.name, self.relation_name = FreshNames("x"), FreshNames("r")
        self.scans: list[Scan] = []
        self.parameters = [_expression_of(text) for text in parameters]
        self.marks: dict[int, int] = {}
        self._views: dict[str, Any] = {}

    def count_marks(self, tree: Any) -> None:
        """Number the question marks of a tree; raise SqlError unless there are as many values."""
        every = tree.parser.getTokenStream().tokens[tree.start.tokenIndex : tree.stop.tokenIndex + 1]
        tokens = [each for each in every if each.type == P.QUESTION_MARK]
        self.marks = {token.tokenIndex: at for at, token in enumerate(tokens)}
        if len(tokens) != len(self.parameters):
            raise SqlError(
                "INVALID_PARAMETER_USAGE",
                f"Incorrect number of parameters: expected {len(tokens)} but found {len(self.parameters)}",
            )

    def view(self, sql: str) -> Any:
        """Return the tree of a view's text, which is parsed once however often the statement names the view."""
        if sql not in self._views:
            self._views[sql] = parse(without_semicolon(sql))
        return self._views[sql]

    def finished(self, sql: str) -> str:
        """Return a query's text with its scans filled in, each limited to the partitions that the query needs."""
        for scan in self.scans:
            if scan.token in sql:
                sql = sql.replace(scan.token, scan.text())
        return sql

    def reads(self, sql: str) -> Iterator[TableRead]:
        """Yield the tables that a query's text reads."""
        for scan in self.scans:
            if scan.token in sql and scan.relation.name is not None:
                yield TableRead(scan.relation.name, scan.where)


def _expression_of(text: str) -> Any:
    tree = parse(f"SELECT {text}")
    return next(_selected(tree))


def _selected(node: Any) -> Any:
    if isinstance(node, P.SelectSingleContext):
        yield node.expression()
    for child in getattr(node, "children", None) or ():
        yield from _selected(child)


class Queries(Compiler):
    """The compiler of queries in one place, with the WITH queries and named windows that they can use.

    :param catalogue: the catalogue of tables and views
    :param translation: the state that all queries of the statement share
    """

    def __init__(
        self,
        catalogue: Catalogue,
        translation: Translation,
        named: Mapping[str, CompiledQuery | FromItem | _Named] | None = None,
        windows: Mapping[str, Any] | None = None,
    ) -> None:
        self.catalogue, self.translation = catalogue, translation
        self._named = dict(named or {})
        self._windows = dict(windows or {})

    # -- for the parts -----------------------------------------------------------------------------------------------

    def subquery(self, node: Any, scope: Scope) -> CompiledQuery:
        return self.query(node, scope)

    def parameter(self, node: Any) -> Any:
        return self.translation.parameters[self.translation.marks[node.start.tokenIndex]]

    def window(self, name: str) -> Any:
        return self._windows.get(name)

    def fresh(self) -> str:
        return self.translation.name()

    def fresh_relation(self) -> str:
        return self.translation.relation_name()

    def scan(self, relation: Relation) -> Scan:
        """Add a table that is read."""
        scan = Scan(relation, f"\0{len(self.translation.scans)}\0")
        self.translation.scans.append(scan)
        return scan

    def named(self, name: str) -> CompiledQuery | FromItem | None:
        """Return a WITH query by its name, compiled at each use: Trino inlines it too."""
        found = self._named.get(name)
        if not isinstance(found, _Named):
            return found
        found.used = True
        return _renamed(found.queries.query(found.node.query(), None), found.node)

    def view(self, relation: Relation) -> CompiledQuery:
        """Compile a view's query, in the view's own database."""
        assert relation.view_sql is not None
        catalogue = _InDatabase(self.catalogue, relation.view_catalog, relation.view_schema)
        query = Queries(catalogue, self.translation).query(query_of(self.translation.view(relation.view_sql)), None)
        if len(query.outputs) != len(relation.columns):
            raise SqlError(
                "VIEW_IS_STALE", "a view is stale or in invalid state: its columns are no longer its query's"
            )
        return query

    # -- queries -----------------------------------------------------------------------------------------------------

    def query(self, node: Any, parent: Scope | None) -> CompiledQuery:
        """Compile a query with its WITH."""
        if not node.with_():
            return self.query_without_with(node.queryNoWith(), parent)
        inside = self._with(node.with_())
        compiled = inside.query_without_with(node.queryNoWith(), parent)
        for each in inside._named.values():
            if isinstance(each, _Named) and not each.used:
                inside.named(name_of(each.node.name).lower())  # an unused query must be valid too
        return compiled

    def _with(self, node: Any) -> Queries:
        named: dict[str, Any] = dict(self._named)
        own: set[str] = set()
        for each in node.namedQuery():
            name = name_of(each.name).lower()
            if name in own:
                raise SqlError(
                    "DUPLICATE_NAMED_QUERY", f"{position(each)}WITH query name '{name}' specified more than once"
                )
            own.add(name)
            before = Queries(self.catalogue, self.translation, named, self._windows)
            if node.RECURSIVE() and _mentions(each.query(), name):
                named[name] = before.recursive(each, name)
            else:
                named[name] = _Named(each, before)
        return Queries(self.catalogue, self.translation, named, self._windows)

    def recursive(self, node: Any, name: str) -> CompiledQuery:
        """Compile a query of WITH RECURSIVE: a first part, and a step that is repeated."""
        term = unwrapped(node.query())
        if not isinstance(term, P.SetOperationContext) or term.operator.type != P.UNION:
            raise SqlError("INVALID_RECURSIVE_REFERENCE", f"{position(node)}recursive reference outside of the step")
        first = _renamed(self.term(term.left, None), node)
        alias, table = self.fresh_relation(), self.fresh_relation()
        relation = FromItem(f"{table} AS {alias}", tuple(first.fields(alias)))
        step = Queries(self.catalogue, self.translation, {**self._named, name: relation}, self._windows).term(
            term.right, None
        )
        types = [each.type for each in first.outputs]
        if len(step.outputs) != len(types):
            raise SqlError(
                "TYPE_MISMATCH", f"{position(node)}base and step relations of recursion have different columns"
            )
        names = ", ".join(f"c{at}" for at in range(len(types)))
        union = "UNION ALL" if term.setQuantifier() and term.setQuantifier().ALL() else "UNION"
        body = f"({first.sql}) {union} ({step.coerced(types, self.fresh())})"
        return CompiledQuery(f"WITH RECURSIVE {table}({names}) AS ({body}) SELECT {names} FROM {table}", first.outputs)

    def query_without_with(self, node: Any, parent: Scope | None) -> CompiledQuery:
        """Compile a query with its ORDER BY and LIMIT."""
        term = _plain_term(node.queryTerm())
        if isinstance(term, P.QuerySpecificationContext):
            return self._select(term, parent, node)
        query = self.term(node.queryTerm(), parent)
        if not (node.sortItem() or node.OFFSET() or node.LIMIT() or node.FETCH()):
            return query
        alias = self.fresh_relation()
        fields = [field.without_origin() for field in query.fields(alias)]
        expressions = Expressions(Context(Scope(fields, parent), self, "ORDER BY clause"))
        tail = ordering(self, node, expressions, [Typed(field.sql, field.type) for field in fields], [])
        columns = ", ".join(f"{alias}.c{at}" for at in range(len(fields)))
        outputs = tuple(Output(each.name, each.type) for each in query.outputs)
        return CompiledQuery(f"SELECT {columns} FROM ({query.sql}) AS {alias}{tail}", outputs)

    def _select(self, node: Any, parent: Scope | None, tail: Any) -> CompiledQuery:
        windows = {name_of(each.name).lower(): each.windowSpecification() for each in node.windowDefinition()}
        here = Queries(self.catalogue, self.translation, self._named, {**self._windows, **windows}) if windows else self
        return Select(here, node, parent).compile(tail)

    def term(self, node: Any, parent: Scope | None) -> CompiledQuery:
        """Compile SELECT, VALUES, TABLE, a set operation, or a query in parentheses."""
        node = _plain_term(node)
        if isinstance(node, P.SetOperationContext):
            return self._set_operation(node, parent)
        if isinstance(node, P.QuerySpecificationContext):
            return self._select(node, parent, None)
        if isinstance(node, P.SubqueryContext):
            return self.query_without_with(node.queryNoWith(), parent)
        if isinstance(node, P.TableContext):
            relation = FromClause(self, parent).table(names_of(node.qualifiedName()), node)
            columns = ", ".join(f"{field.sql} AS c{at}" for at, field in enumerate(relation.fields))
            outputs = tuple(Output(field.name, field.type, field.origin) for field in relation.fields)
            return CompiledQuery(f"SELECT {columns} FROM {relation.sql}", outputs)
        return self._values(node, parent)

    def _set_operation(self, node: Any, parent: Scope | None) -> CompiledQuery:
        sides = [self.term(node.left, parent), self.term(node.right, parent)]
        operator = node.operator.text.upper()
        a, b = (side.outputs for side in sides)
        if len(a) != len(b):
            raise SqlError(
                "TYPE_MISMATCH", f"{position(node)}{operator} query has different number of fields: {len(a)}, {len(b)}"
            )
        types = []
        for at, (x, y) in enumerate(zip(a, b, strict=True), 1):
            type = common_type(x.type, y.type)
            if type is None:
                raise SqlError(
                    "TYPE_MISMATCH",
                    f"{position(node)}column {at} in {operator} query has incompatible types: {x.type}, {y.type}",
                )
            types.append(type)
        every = " ALL" if node.setQuantifier() and node.setQuantifier().ALL() else ""
        left, right = (side.coerced(types, self.fresh_relation()) for side in sides)
        outputs = tuple(Output(x.name, type) for x, type in zip(a, types, strict=True))
        return CompiledQuery(f"({left}) {operator}{every} ({right})", outputs)

    def _values(self, node: Any, parent: Scope | None) -> CompiledQuery:
        expressions = Expressions(Context(Scope((), parent), self, "VALUES"))
        rows: list[list[Typed]] = []
        for each in node.expression():
            inner = unwrapped(each)
            row = isinstance(inner, P.RowConstructorContext)
            rows.append(
                [expressions.compile(cell) for cell in inner.expression()] if row else [expressions.compile(each)]
            )
            if len(rows[-1]) != len(rows[0]):
                raise SqlError(
                    "TYPE_MISMATCH",
                    f"{position(each)}Values rows have mismatched sizes: {len(rows[0])} vs {len(rows[-1])}",
                )
        refusal = f"{position(node)}Values rows have mismatched types: {{0}} vs {{1}}"
        columns = [expressions.alike(column, refusal) for column in zip(*rows, strict=True)]
        return values_of([[cell.sql for cell in column] for column in columns], [column[0].type for column in columns])


@dataclass
class _Named:
    """A query of WITH, and the compiler of the place where it was defined."""

    node: Any
    queries: Queries
    used: bool = False


def values_of(columns: Sequence[Sequence[str]], types: Sequence[Type]) -> CompiledQuery:
    """Return VALUES of cells that already have their columns' types."""
    names = [f"c{at}" for at in range(len(columns))]
    rows = ", ".join(f"({', '.join(cells)})" for cells in zip(*columns, strict=True))
    typed = ", ".join(f"CAST({name} AS {duckdb_type(type)}) AS {name}" for name, type in zip(names, types, strict=True))
    sql = f"SELECT {typed} FROM (VALUES {rows}) AS v({', '.join(names)})"
    return CompiledQuery(sql, tuple(Output(None, type) for type in types))


class _InDatabase(Catalogue):
    """A catalogue with another default for names without a database."""

    def __init__(self, catalogue: Catalogue, catalog: str | None, schema: str | None) -> None:
        self._catalogue, self._catalog, self._schema = catalogue, catalog, schema

    def relation(self, catalog: str | None, schema: str | None, table: str) -> Relation:
        if schema is None:
            catalog, schema = catalog or self._catalog, self._schema
        return self._catalogue.relation(catalog, schema, table)


def query_of(tree: Any) -> Any:
    """Return the query that a statement consists of; raise SqlError if it is another statement."""
    node = tree
    while node is not None and not isinstance(node, P.QueryContext):
        inner = [child for child in node.children or () if hasattr(child, "children")]
        node = inner[0] if len(inner) == 1 else None
    if node is None:
        raise SqlError("NOT_SUPPORTED", f"{position(tree)}Not a query")
    return node


def _plain_term(node: Any) -> Any:
    while isinstance(node, (P.QueryTermDefaultContext, P.QueryPrimaryDefaultContext)):
        node = node.queryPrimary() if isinstance(node, P.QueryTermDefaultContext) else node.querySpecification()
    return node


def _renamed(query: CompiledQuery, node: Any) -> CompiledQuery:
    """Return a WITH query with the column names of its alias list."""
    if not node.columnAliases():
        return query
    names = [name_of(each).lower() for each in node.columnAliases().identifier()]
    if len(names) != len(query.outputs):
        raise SqlError(
            "MISMATCHED_COLUMN_ALIASES",
            f"{position(node)}Column alias list has {len(names)} entries but relation has {len(query.outputs)} columns",
        )
    outputs = tuple(Output(name, each.type, each.origin) for name, each in zip(names, query.outputs, strict=True))
    return CompiledQuery(query.sql, outputs)


def _mentions(node: Any, name: str) -> bool:
    if isinstance(node, P.TableNameContext) and [part.lower() for part in names_of(node.qualifiedName())] == [name]:
        return True
    return any(_mentions(child, name) for child in getattr(node, "children", None) or ())
