"""JSON_VALUE, JSON_QUERY, JSON_EXISTS, JSON_OBJECT and JSON_ARRAY, without ON EMPTY and ON ERROR."""

from __future__ import annotations

import re
from typing import Any

from trino_query_parser.SqlBaseParser import SqlBaseParser as P

from lakehouse_local.athena.sql.compile import literals
from lakehouse_local.athena.sql.compile.expressions import Expressions, handles, type_named
from lakehouse_local.athena.sql.compile.tree import position, shown
from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.types import BOOLEAN, JSON, VARCHAR
from lakehouse_local.athena.sql.types.casts import cast, to_json
from lakehouse_local.athena.sql.types.typed import Typed, string


def _document(self: Expressions, node: Any) -> tuple[str, str]:
    """Return DuckDB's text of the JSON, and of the path in it."""
    call = node.jsonPathInvocation()
    if call.jsonArgument():
        raise SqlError(
            "NOT_SUPPORTED", f"{position(node)}JSON path variables (PASSING) are not supported by the local AWS"
        )
    value = self.compile(call.jsonValueExpression().expression())
    if value.type.name not in ("varchar", "char"):
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot read input of type {value.type} as JSON")
    path = re.sub(r"^\s*(lax|strict)\s+", "", literals.text_of(call.path), flags=re.IGNORECASE)
    return value.sql, string(path)


def _plain(node: Any, *behaviours: Any) -> None:
    if any(each is not None and each.getText().upper() != "NULL" for each in behaviours):
        raise SqlError(
            "NOT_SUPPORTED", f"{position(node)}{shown(node)}: ON EMPTY and ON ERROR are not supported by the local AWS"
        )


@handles(P.JsonValueContext)
def _value(self: Expressions, node: Any) -> Typed:
    _plain(node, node.emptyBehavior, node.errorBehavior)
    document, path = _document(self, node)
    found = Typed(f"trino_json_extract_scalar({document}, {path})", VARCHAR)
    if node.type_() is None:
        return found
    type = type_named(node.type_())
    sql = cast(found, type)
    if sql is None:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}JSON_VALUE cannot return {type}")
    return Typed(f"TRY({sql})", type)


@handles(P.JsonExistsContext)
def _exists(self: Expressions, node: Any) -> Typed:
    document, path = _document(self, node)
    return Typed(f"trino_json_exists({document}, {path})", BOOLEAN)


@handles(P.JsonQueryContext)
def _query(self: Expressions, node: Any) -> Typed:
    _plain(node, node.emptyBehavior, node.errorBehavior)
    document, path = _document(self, node)
    found = f"trino_json_extract({document}, {path})"
    wrapper = node.jsonQueryWrapperBehavior()
    if wrapper is not None and wrapper.WITH():
        return Typed(f"('[' || {found} || ']')", VARCHAR)
    # A scalar is a result only with a wrapper.
    return Typed(f"CASE WHEN NOT trino_is_json_scalar({found}) THEN {found} END", VARCHAR)


def _member(self: Expressions, node: Any) -> str:
    value = self.compile(
        node.jsonValueExpression().expression() if hasattr(node, "jsonValueExpression") else node.expression()
    )
    text = to_json(value.sql, value.type, JSON)
    if text is None:
        raise SqlError("TYPE_MISMATCH", f"{position(node)}Cannot convert {value.type} to JSON")
    return f"coalesce({text}, 'null')"


@handles(P.JsonObjectContext)
def _object(self: Expressions, node: Any) -> Typed:
    parts = []
    for member in node.jsonObjectMember():
        key = self.compile(member.expression())
        if key.type.name not in ("varchar", "char"):
            raise SqlError("TYPE_MISMATCH", f"{position(member)}A JSON object's key must be text, not {key.type}")
        parts.append(f"CAST(to_json({key.sql}) AS VARCHAR) || ':' || {_member(self, member)}")
    return Typed(f"('{{' || {' || chr(44) || '.join(parts) or string('')} || '}}')", VARCHAR)


@handles(P.JsonArrayContext)
def _array(self: Expressions, node: Any) -> Typed:
    parts = [_member(self, each) for each in node.jsonValueExpression()]
    return Typed(f"('[' || {' || chr(44) || '.join(parts) or string('')} || ']')", VARCHAR)
