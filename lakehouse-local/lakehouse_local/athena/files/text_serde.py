"""Hive's text SerDes, as DuckDB expressions over whole lines: LazySimpleSerDe and OpenCSVSerde, reading and writing.

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


def strict(value: str, of: Type, field: str) -> str:
    """A text as a type's value, or the failure that Athena's readers report for one that does not read.

    :param field: what the message calls the column, as SQL
    """
    into = duckdb_type(of)
    problem = f"{literal('Error parsing field value ')} || {value} || {literal(f' as {of} for field ')} || {field}"
    opening, closing = marked("HIVE_BAD_DATA", "\0").split("\0")
    refusal = f"error({literal(opening)} || {problem} || {literal(closing)})::{into}"
    parsed = lenient(value, of)
    return f"CASE WHEN {value} IS NULL THEN NULL WHEN {parsed} IS NULL THEN {refusal} ELSE {parsed} END"


def lenient(value: str, of: Type) -> str:
    """A text as a type's value; NULL for one that does not read, as LazySimpleSerDe has it."""
    if of.name in ("varchar", "char"):
        return value if of.size is None else f"left({value}, {of.size})"
    if of.name == "varbinary":
        return f"TRY(from_base64({value}))"
    parsed = f"TRY_CAST({value} AS {duckdb_type(of)})"
    if of.name in INTEGERS:  # DuckDB would round 1.5
        return f"CASE WHEN regexp_full_match({value}, '\\s*[+-]?\\d+\\s*') THEN {parsed} END"
    if of.name == "boolean":  # DuckDB would take t, yes, 1
        return f"CASE WHEN lower({value}) IN ('true', 'false') THEN {parsed} END"
    return parsed


class LazySimple:
    """ROW FORMAT DELIMITED: no quotes, nested values by further delimiters, what does not read is NULL."""

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
        """A line's fields as a list of texts."""
        delimiter = self._delimiters[0]
        if not self._escape:
            return f"string_split({line}, {delimiter})"
        # An escaped delimiter and an escaped escape stand aside, in private characters, while the line is split.
        escape = literal(self._escape)
        kept = f"replace(replace({line}, {escape} || {escape}, '\ue000'), {escape} || {delimiter}, '\ue001')"
        back = f"replace(replace(f, '\ue001', {delimiter}), '\ue000', {escape})"
        return f"list_transform(string_split({kept}, {delimiter}), lambda f: {back})"

    def read(self, position: int, of: Type) -> str:
        """The column in this place, counted from 1, of `fields`."""
        return self._value(f"nullif(fields[{position}], {self._null})", of, 1)

    def _value(self, text: str, of: Type, level: int) -> str:
        if not of.types:
            return lenient(text, of)
        delimiter, below = self._delimiters[level], self._delimiters[level + 1]
        variable = f"e{level}"
        parts = f"string_split({text}, {delimiter})"
        if of.name == "array":
            inner = self._value(f"nullif({variable}, {self._null})", of.element, level + 1)
            return f"CASE WHEN {text} = '' THEN [] ELSE list_transform({parts}, lambda {variable}: {inner}) END"
        if of.name == "map":
            key = self._value(f"split_part({variable}, {below}, 1)", of.type_at(0), level + 2)
            value = f"nullif(split_part({variable}, {below}, 2), {self._null})"
            entry = f"struct_pack(k := {key}, v := {self._value(value, of.type_at(1), level + 2)})"
            entries = f"list_transform({parts}, lambda {variable}: {entry})"
            return f"CASE WHEN {text} = '' THEN MAP {{}} ELSE map_from_entries({entries}) END"
        fields = ", ".join(
            f"{identifier(of.field_name(i))} := "
            + self._value(f"nullif(split_part({text}, {delimiter}, {i + 1}), {self._null})", each, level + 1)
            for i, each in enumerate(of.types)
        )
        return f"CASE WHEN {text} IS NOT NULL THEN struct_pack({fields}) END"

    def line(self, columns: Sequence[tuple[str, Type]]) -> str:
        """The line that holds these expressions."""
        texts = (f"coalesce({self._text(value, of, 1)}, {self._null})" for value, of in columns)
        return f" || {self._delimiters[0]} || ".join(texts)

    def _text(self, value: str, of: Type, level: int) -> str:
        if not of.types:
            return f"to_base64({value})" if of.name == "varbinary" else f"CAST({value} AS VARCHAR)"
        delimiter, below = self._delimiters[level], self._delimiters[level + 1]
        variable = f"e{level}"
        if of.name == "array":
            inner = f"coalesce({self._text(variable, of.element, level + 1)}, {self._null})"
            return f"array_to_string(list_transform({value}, lambda {variable}: {inner}), {delimiter})"
        if of.name == "map":
            key = self._text(f"{variable}.key", of.type_at(0), level + 2)
            held = f"coalesce({self._text(f'{variable}.value', of.type_at(1), level + 2)}, {self._null})"
            entry = f"{key} || {below} || {held}"
            return f"array_to_string(list_transform(map_entries({value}), lambda {variable}: {entry}), {delimiter})"
        fields = (
            f"coalesce({self._text(f'({value}).{identifier(of.field_name(i))}', each, level + 1)}, {self._null})"
            for i, each in enumerate(of.types)
        )
        return f"CASE WHEN {value} IS NOT NULL THEN {f' || {delimiter} || '.join(fields)} END"


class OpenCsv:
    """OpenCSVSerde: quoted text, numbers that must read, dates as days and timestamps as milliseconds since 1970."""

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._separator = (parameters.get("separatorChar") or ",")[:1]
        self._quote = (parameters.get("quoteChar") or '"')[:1]
        escape = (parameters.get("escapeChar") or "\\")[:1]
        # As the SerDe's own code: the quote as escape means the default escape.
        self._escape = "\\" if escape == '"' else escape

    def fields(self, line: str) -> str:
        """A line's fields as a list of texts; only lines with quotes or escapes take the long way."""
        separator, quote, escape = map(literal, (self._separator, self._quote, self._escape))
        parsed = f"open_csv_fields({line}, {separator}, {quote}, {escape})"
        special = f"contains({line}, {quote}) OR contains({line}, {escape})"
        return f"CASE WHEN {special} THEN {parsed} ELSE string_split({line}, {separator}) END"

    def read(self, position: int, of: Type) -> str:
        """The column in this place, counted from 1, of `fields`."""
        text, field = f"fields[{position}]", literal(str(position - 1))
        if of.name in ("varchar", "char"):
            return lenient(text, of)
        if of.types:
            raise SqlError("HIVE_INVALID_METADATA", f"OpenCSVSerde has no {of.name}: the column must be a string")
        if of.name in ("date", "timestamp"):
            number = strict(text, Type("bigint"), field)
            return (
                f"DATE '1970-01-01' + CAST({number} AS INTEGER)"
                if of.name == "date"
                else f"make_timestamp_ms({number})"
            )
        return strict(text, of, field)

    def line(self, columns: Sequence[tuple[str, Type]]) -> str:
        """The line that holds these expressions; Trino writes text alone to such tables."""
        if others := [str(of) for _, of in columns if of != Type("varchar")]:
            raise SqlError(
                "NOT_SUPPORTED",
                "Hive CSV storage format only supports VARCHAR (unbounded). Unsupported columns: " + ", ".join(others),
            )
        quote = literal(self._quote)
        doubled = (f"{quote} || replace({value}, {quote}, {quote} || {quote}) || {quote}" for value, _ in columns)
        return f" || {literal(self._separator)} || ".join(f"coalesce({each}, '')" for each in doubled)


def open_csv_fields(line: str, separator: str, quote: str, escape: str) -> list[str]:
    """A line as opencsv 2.3 takes it apart: quotes doubled or escaped; a lone escape is lost, an open field too."""
    fields: list[str] = []
    field: list[str] = []
    quoted, at = False, 0
    while at < len(line):
        character, coming = line[at], line[at + 1 : at + 2]
        if character == escape:
            if quoted and coming in (quote, escape):
                field.append(coming)
                at += 1
        elif character == quote:
            if quoted and coming == quote:
                field.append(quote)
                at += 1
            else:
                # A quote in the middle of a field that does not begin with one stands for itself.
                if at > 2 and line[at - 1] != separator and coming not in ("", separator):
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
    """Make the function known to a DuckDB connection."""
    connection.create_function(
        "open_csv_fields", open_csv_fields, ["VARCHAR", "VARCHAR", "VARCHAR", "VARCHAR"], "VARCHAR[]"
    )
