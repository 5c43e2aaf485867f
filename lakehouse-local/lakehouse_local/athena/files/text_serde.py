"""Hive's text SerDes LazySimpleSerDe and OpenCSVSerde: DuckDB expressions that read and write whole lines.

Source: https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html,
https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html, opencsv 2.3's CSVParser
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lakehouse_local.athena.files.formats import identifier, literal
from lakehouse_local.athena.sql import SqlError
from lakehouse_local.athena.sql.errors import marked
from lakehouse_local.athena.sql.types import INTEGERS, Type, duckdb_type

NULL = "\\N"


def strict(value: str, type: Type, field: str) -> str:
    """Return a text as a type's value; a text that is none fails with the error of Athena's readers.

    :param field: the column's name in the message, as SQL
    """
    into = duckdb_type(type)
    problem = f"{literal('Error parsing field value ')} || {value} || {literal(f' as {type} for field ')} || {field}"
    opening, closing = marked("HIVE_BAD_DATA", "\0").split("\0")
    error = f"error({literal(opening)} || {problem} || {literal(closing)})::{into}"
    parsed = lenient(value, type)
    return f"CASE WHEN {value} IS NULL THEN NULL WHEN {parsed} IS NULL THEN {error} ELSE {parsed} END"


def lenient(value: str, type: Type) -> str:
    """Return a text as a type's value, or NULL for a text that is none, as LazySimpleSerDe does."""
    if type.name in ("varchar", "char"):
        return value if type.size is None else f"left({value}, {type.size})"
    if type.name == "varbinary":
        return f"TRY(from_base64({value}))"
    parsed = f"TRY_CAST({value} AS {duckdb_type(type)})"
    if type.name in INTEGERS:  # DuckDB would round 1.5
        return f"CASE WHEN regexp_full_match({value}, '\\s*[+-]?\\d+\\s*') THEN {parsed} END"
    if type.name == "boolean":  # DuckDB would take t, yes, 1
        return f"CASE WHEN lower({value}) IN ('true', 'false') THEN {parsed} END"
    return parsed


class LazySimple:
    """LazySimpleSerDe, ROW FORMAT DELIMITED: no quotes, nested values by further delimiters, NULL for bad values."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        delimiter = parameters.get("field.delim") or parameters.get("serialization.format") or "\1"
        levels = [
            "\1" if delimiter == "1" else delimiter,
            parameters.get("collection.delim") or parameters.get("colelction.delim") or "\2",  # Hive's own misspelling
            parameters.get("mapkey.delim") or "\3",
        ]
        self._delimiters = [literal(each) for each in (*levels, "\4", "\5", "\6", "\7", "\b")]
        self._null = literal(parameters.get("serialization.null.format", NULL))
        self._escape = parameters.get("escape.delim", "")[:1]

    def fields(self, line: str) -> str:
        """Return a line's fields as a list of texts."""
        delimiter = self._delimiters[0]
        if not self._escape:
            return f"string_split({line}, {delimiter})"
        # Private characters replace an escaped delimiter and an escaped escape while the line is split.
        escape = literal(self._escape)
        kept = f"replace(replace({line}, {escape} || {escape}, '\ue000'), {escape} || {delimiter}, '\ue001')"
        back = f"replace(replace(f, '\ue001', {delimiter}), '\ue000', {escape})"
        return f"list_transform(string_split({kept}, {delimiter}), lambda f: {back})"

    def read(self, position: int, type: Type) -> str:
        """Return the value of a column by its position in `fields`, counted from 1."""
        return self._value(f"nullif(fields[{position}], {self._null})", type, 1)

    def _value(self, text: str, type: Type, level: int) -> str:
        if not type.types:
            return lenient(text, type)
        delimiter, below = self._delimiters[level], self._delimiters[level + 1]
        variable = f"e{level}"
        parts = f"string_split({text}, {delimiter})"
        if type.name == "array":
            inner = self._value(f"nullif({variable}, {self._null})", type.element, level + 1)
            return f"CASE WHEN {text} = '' THEN [] ELSE list_transform({parts}, lambda {variable}: {inner}) END"
        if type.name == "map":
            key = self._value(f"split_part({variable}, {below}, 1)", type.type_at(0), level + 2)
            value = f"nullif(split_part({variable}, {below}, 2), {self._null})"
            entry = f"struct_pack(k := {key}, v := {self._value(value, type.type_at(1), level + 2)})"
            entries = f"list_transform({parts}, lambda {variable}: {entry})"
            return f"CASE WHEN {text} = '' THEN MAP {{}} ELSE map_from_entries({entries}) END"
        fields = ", ".join(
            f"{identifier(type.field_name(i))} := "
            + self._value(f"nullif(split_part({text}, {delimiter}, {i + 1}), {self._null})", each, level + 1)
            for i, each in enumerate(type.types)
        )
        return f"CASE WHEN {text} IS NOT NULL THEN struct_pack({fields}) END"

    def line(self, columns: Sequence[tuple[str, Type]]) -> str:
        """Return the line with these expressions as its fields."""
        texts = (f"coalesce({self._text(value, type, 1)}, {self._null})" for value, type in columns)
        return f" || {self._delimiters[0]} || ".join(texts)

    def _text(self, value: str, type: Type, level: int) -> str:
        if not type.types:
            return f"to_base64({value})" if type.name == "varbinary" else f"CAST({value} AS VARCHAR)"
        delimiter, below = self._delimiters[level], self._delimiters[level + 1]
        variable = f"e{level}"
        if type.name == "array":
            inner = f"coalesce({self._text(variable, type.element, level + 1)}, {self._null})"
            return f"array_to_string(list_transform({value}, lambda {variable}: {inner}), {delimiter})"
        if type.name == "map":
            key = self._text(f"{variable}.key", type.type_at(0), level + 2)
            item = f"coalesce({self._text(f'{variable}.value', type.type_at(1), level + 2)}, {self._null})"
            entry = f"{key} || {below} || {item}"
            return f"array_to_string(list_transform(map_entries({value}), lambda {variable}: {entry}), {delimiter})"
        fields = (
            f"coalesce({self._text(f'({value}).{identifier(type.field_name(i))}', each, level + 1)}, {self._null})"
            for i, each in enumerate(type.types)
        )
        return f"CASE WHEN {value} IS NOT NULL THEN {f' || {delimiter} || '.join(fields)} END"


class OpenCsv:
    """OpenCSVSerde: quoted text, an error for a bad number, dates as days and timestamps as milliseconds since 1970."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._separator = (parameters.get("separatorChar") or ",")[:1]
        self._quote = (parameters.get("quoteChar") or '"')[:1]
        escape = (parameters.get("escapeChar") or "\\")[:1]
        # As in the SerDe's own code: the quote as escape means the default escape.
        self._escape = "\\" if escape == '"' else escape

    def fields(self, line: str) -> str:
        """Return a line's fields as a list of texts; only lines with quotes or escapes go through Python."""
        separator, quote, escape = map(literal, (self._separator, self._quote, self._escape))
        parsed = f"open_csv_fields({line}, {separator}, {quote}, {escape})"
        special = f"contains({line}, {quote}) OR contains({line}, {escape})"
        return f"CASE WHEN {special} THEN {parsed} ELSE string_split({line}, {separator}) END"

    def read(self, position: int, type: Type) -> str:
        """Return the value of a column by its position in `fields`, counted from 1."""
        text, field = f"fields[{position}]", literal(str(position - 1))
        if type.name in ("varchar", "char"):
            return lenient(text, type)
        if type.types:
            raise SqlError("HIVE_INVALID_METADATA", f"OpenCSVSerde has no {type.name}: the column must be a string")
        if type.name in ("date", "timestamp"):
            number = strict(text, Type("bigint"), field)
            return (
                f"DATE '1970-01-01' + CAST({number} AS INTEGER)"
                if type.name == "date"
                else f"make_timestamp_ms({number})"
            )
        return strict(text, type, field)

    def line(self, columns: Sequence[tuple[str, Type]]) -> str:
        """Return the line with these expressions as its fields; Trino writes only varchar to such tables."""
        if others := [str(type) for _, type in columns if type != Type("varchar")]:
            raise SqlError(
                "NOT_SUPPORTED",
                "Hive CSV storage format only supports VARCHAR (unbounded). Unsupported columns: " + ", ".join(others),
            )
        quote = literal(self._quote)
        doubled = (f"{quote} || replace({value}, {quote}, {quote} || {quote}) || {quote}" for value, _ in columns)
        return f" || {literal(self._separator)} || ".join(f"coalesce({each}, '')" for each in doubled)


def open_csv_fields(line: str, separator: str, quote: str, escape: str) -> list[str]:
    """Split a line as opencsv 2.3 does: quotes doubled or escaped; a lone escape is lost, and so is an open field."""
    fields: list[str] = []
    field: list[str] = []
    quoted, at = False, 0
    while at < len(line):
        character, following = line[at], line[at + 1 : at + 2]
        if character == escape:
            if quoted and following in (quote, escape):
                field.append(following)
                at += 1
        elif character == quote:
            if quoted and following == quote:
                field.append(quote)
                at += 1
            else:
                # A quote in the middle of a field that does not begin with one stands for itself.
                if at > 2 and line[at - 1] != separator and following not in ("", separator):
                    field.append(quote)
                quoted = not quoted
        elif character == separator and not quoted:
            fields.append("".join(field))
            field = []
        else:
            field.append(character)
        at += 1
    return fields if quoted else [*fields, "".join(field)]


def install(connection: Any) -> None:
    """Register `open_csv_fields` with a DuckDB connection."""
    connection.create_function(
        "open_csv_fields", open_csv_fields, ["VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR"], "VARCHAR[]"
    )
