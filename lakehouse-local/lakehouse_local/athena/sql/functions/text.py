"""Text, bytes, URLs and regular expressions."""

from __future__ import annotations

import re

from lakehouse_local.athena.sql.errors import SqlError
from lakehouse_local.athena.sql.functions.signatures import FunctionCall, built, table
from lakehouse_local.athena.sql.types import INTEGERS, VARCHAR, Type, varchar
from lakehouse_local.athena.sql.types.casts import convert
from lakehouse_local.athena.sql.types.typed import Typed, string

_LOOKS_AROUND = re.compile(r"\(\?[=!]|\(\?<[=!]|\\[1-9]|\(\?>|[*+?]\+")


def _expression(call: FunctionCall, at: int = 1) -> bool:
    """Return True if RE2 supports a constant pattern; refuse an invalid one with Java's message."""
    pattern = call.args[at].constant
    if not isinstance(pattern, str):
        return True
    try:
        re.compile(re.sub(r"\(\?<([A-Za-z]\w*)>|\\p\{\w+\}|\\[zZhHRGQE]|[*+?]\+", "", pattern))
    except re.error as error:
        if "global flags" not in str(error):
            raise SqlError("INVALID_FUNCTION_ARGUMENT", str(error)) from None
    return not _LOOKS_AROUND.search(pattern)


def _like(call: FunctionCall) -> str:
    return f"{'regexp_matches' if _expression(call) else 'trino_re_like'}({', '.join(call.sql)})"


def _extract(call: FunctionCall) -> str:
    x, pattern = call.sql[:2]
    if not _expression(call):
        return f"trino_re_extract({x}, {pattern}, {call.sql[2] if len(call.sql) > 2 else 0})"
    group = call.args[2] if len(call.args) > 2 else None
    if group and not isinstance(group.constant, int):
        return f"trino_re_extract({x}, {pattern}, {group.sql})"
    return f"trino_regexp_extract({x}, {pattern}, {group.constant if group else 0})"


def _extract_all(call: FunctionCall) -> str:
    group = call.args[2] if len(call.args) > 2 else None
    if not _expression(call) or (group and not isinstance(group.constant, int)):
        return f"trino_re_extract_all({call.sql[0]}, {call.sql[1]}, {group.sql if group else 0})"
    return f"regexp_extract_all({call.sql[0]}, {call.sql[1]}, {group.constant if group else 0})"


def _replace(call: FunctionCall) -> str:
    x, pattern = call.sql[:2]
    replacement = call.args[2] if len(call.args) > 2 else Typed("''", VARCHAR, "")
    constant = replacement.constant
    if not _expression(call) or not isinstance(constant, str) or "${" in constant:
        return f"trino_re_replace({x}, {pattern}, {replacement.sql})"
    groups = re.sub(r"\\([^0-9])|\$(\d)|(\\)", lambda m: f"\\{m[2]}" if m[2] else m[1] or "\\\\", constant)
    return f"regexp_replace({x}, {pattern}, {string(groups)}, 'g')"


def _count(call: FunctionCall) -> str:
    _expression(call)
    return f"CAST(len(regexp_extract_all({', '.join(call.sql)})) AS BIGINT)"


def formatted(call: FunctionCall) -> str:
    """Return format(pattern, values...)."""
    pattern, values = call.sql[0], call.args[1:]
    kinds = "".join(_format_kind(each.type) for each in values)
    texts = [_format_text(each) for each in values]
    return f"trino_format({pattern}, CAST([{', '.join(texts)}] AS VARCHAR[]), {string(kinds)})"


def _format_kind(type: Type) -> str:
    return "d" if type.name in INTEGERS else "f" if type.name in ("double", "real", "decimal") else "s"


def _format_text(value: Typed) -> str:
    if value.type.name in ("double", "real"):
        return f"CAST({value.sql} AS VARCHAR)"
    written = convert(value.sql, value.type, VARCHAR)
    if written is None:
        raise SqlError("NOT_SUPPORTED", f"Format arguments of type {value.type} are not supported")
    return written


def _concat_ws(call: FunctionCall) -> str:
    separator, *values = call.sql
    return f"CASE WHEN {separator} IS NOT NULL THEN concat_ws({separator}, {', '.join(values) or 'NULL'}) END"


def _concat(call: FunctionCall) -> Typed:
    joined = " || ".join(call.sql)
    return Typed(f"({joined})", varchar())


def _normalized(call: FunctionCall) -> str:
    return f"trino_normalize({call.sql[0]}, {call.sql[1] if len(call.sql) > 1 else string('NFC')})"


_BLANKS = r"chr(9) || chr(10) || chr(11) || chr(12) || chr(13) || ' '"

FUNCTIONS = [
    *table(f"""
        lower(varchar(n)) varchar(n)
        lower(char(n)) char(n)
        upper(varchar(n)) varchar(n)
        upper(char(n)) char(n)
        length(varchar) bigint
        length(char) bigint
        length(varbinary) bigint = octet_length
        reverse(varchar(n)) varchar(n)
        reverse(array(T)) array(T) = list_reverse
        substr(varchar(n), bigint) varchar(n) = trino_substr
        substr(varchar(n), bigint, bigint) varchar(n) = trino_substr_for
        substring(varchar(n), bigint) varchar(n) = trino_substr
        substring(varchar(n), bigint, bigint) varchar(n) = trino_substr_for
        substr(varbinary, bigint) varbinary = {{0}}[{{1}}:]
        substr(varbinary, bigint, bigint) varbinary = {{0}}[{{1}}:{{1}} + {{2}} - 1]
        trim(varchar(n)) varchar(n) = trim({{0}}, {_BLANKS})
        trim(char(n)) char(n) = rpad(trim({{0}}, {_BLANKS}), length({{0}}), ' ')
        trim(varchar(n), varchar) varchar(n)
        ltrim(varchar(n)) varchar(n) = ltrim({{0}}, {_BLANKS})
        ltrim(varchar(n), varchar) varchar(n)
        rtrim(varchar(n)) varchar(n) = rtrim({{0}}, {_BLANKS})
        rtrim(varchar(n), varchar) varchar(n)
        lpad(varchar, bigint, varchar) varchar = lpad({{0}}, trino_pad_length({{1}}), {{2}})
        rpad(varchar, bigint, varchar) varchar = rpad({{0}}, trino_pad_length({{1}}), {{2}})
        replace(varchar, varchar) varchar = replace({{0}}, {{1}}, '')
        replace(varchar, varchar, varchar) varchar
        split(varchar(n), varchar) array(varchar(n)) = string_split
        split(varchar(n), varchar, bigint) array(varchar(n)) = trino_split_limit
        split_part(varchar(n), varchar, bigint) varchar(n) = trino_split_part
        strpos(varchar, varchar) bigint = CAST(strpos({{0}}, {{1}}) AS BIGINT)
        strpos(varchar, varchar, bigint) bigint = trino_strpos
        position(varchar, varchar) bigint = CAST(strpos({{1}}, {{0}}) AS BIGINT)
        starts_with(varchar, varchar) boolean
        concat_ws(varchar, array(varchar)) varchar = array_to_string({{1}}, {{0}})
        chr(bigint) varchar(1) = trino_chr
        codepoint(varchar) integer = trino_codepoint
        translate(varchar, varchar, varchar) varchar
        levenshtein_distance(varchar, varchar) bigint = CAST(levenshtein({{0}}, {{1}}) AS BIGINT)
        hamming_distance(varchar, varchar) bigint = CAST(hamming({{0}}, {{1}}) AS BIGINT)
        soundex(varchar) varchar(4) = trino_soundex
        to_utf8(varchar) varbinary = encode
        from_utf8(varbinary) varchar = trino_from_utf8
        to_hex(varbinary) varchar = hex
        from_hex(varchar) varbinary = unhex
        to_base64(varbinary) varchar = to_base64
        from_base64(varchar) varbinary = from_base64
        md5(varbinary) varbinary = unhex(md5({{0}}))
        sha1(varbinary) varbinary = unhex(sha1({{0}}))
        sha256(varbinary) varbinary = unhex(sha256({{0}}))
        sha512(varbinary) varbinary = trino_sha512
        xxhash64(varbinary) varbinary = trino_xxhash64
        crc32(varbinary) bigint = trino_crc32
        regexp_split(varchar(n), varchar) array(varchar(n)) = string_split_regex
        regexp_position(varchar, varchar) integer = trino_regexp_position
        url_extract_protocol(varchar(n)) varchar(n) = trino_url_part({{0}}, 'protocol')
        url_extract_host(varchar(n)) varchar(n) = trino_url_part({{0}}, 'host')
        url_extract_path(varchar(n)) varchar(n) = trino_url_part({{0}}, 'path')
        url_extract_query(varchar(n)) varchar(n) = trino_url_part({{0}}, 'query')
        url_extract_fragment(varchar(n)) varchar(n) = trino_url_part({{0}}, 'fragment')
        url_extract_port(varchar) bigint = trino_url_port
        url_extract_parameter(varchar(n), varchar) varchar(n) = trino_url_parameter
        url_encode(varchar) varchar = trino_url_encode
        url_decode(varchar) varchar = trino_url_decode
    """),
    *built(
        {
            "concat(varchar...) varchar": _concat,
            "concat_ws(varchar, varchar...) varchar": _concat_ws,
            "regexp_like(varchar, varchar) boolean": _like,
            "regexp_extract(varchar(n), varchar) varchar(n)": _extract,
            "regexp_extract(varchar(n), varchar, bigint) varchar(n)": _extract,
            "regexp_extract_all(varchar(n), varchar) array(varchar(n))": _extract_all,
            "regexp_extract_all(varchar(n), varchar, bigint) array(varchar(n))": _extract_all,
            "regexp_replace(varchar, varchar) varchar": _replace,
            "regexp_replace(varchar, varchar, varchar) varchar": _replace,
            "regexp_count(varchar, varchar) bigint": _count,
            "format(varchar, T) varchar": formatted,
            "normalize(varchar) varchar": _normalized,
            "normalize(varchar, varchar) varchar": _normalized,
        }
    ),
]
