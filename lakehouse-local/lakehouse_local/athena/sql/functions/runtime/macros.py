"""DuckDB macros with Trino's semantics, where DuckDB's own functions differ."""

from __future__ import annotations

import re
from typing import Any

from lakehouse_local.athena.sql.errors import CLOSING, OPENING
from lakehouse_local.athena.sql.functions.runtime import python_functions

# Each is `name(parameters) := body` and follows the macros that it calls; further lines of a body are indented.
#
# trino_raise is a value that is never returned: a cast that fails with Trino's error in its message. (DuckDB's own
# error() counts as volatile, and TRY refuses it.) It stands where a CASE gives a result, never in a condition: DuckDB
# evaluates constant conditions while planning, also those of branches that are never taken.
_MACROS = rf"""
trino_error(name, message) := '{OPENING}' || name || '|' || message || '{CLOSING}'
trino_raise(name, message) := CAST(trino_error(name, message) AS BOOLEAN)
trino_argument_error(message) := trino_raise('INVALID_FUNCTION_ARGUMENT', message)
trino_cast_error(message) := trino_raise('INVALID_CAST_ARGUMENT', message)

trino_zone(zone) := CASE WHEN zone IN ('Z', '+00:00', 'Etc/UTC') THEN 'UTC' ELSE zone END
trino_zoned(moment, in_zone) := CASE WHEN moment IS NULL OR in_zone IS NULL THEN NULL
    ELSE {{'utc': moment, 'zone': trino_zone(in_zone)}} END
trino_offset(zone) := to_minutes(CAST(zone[1] || '1' AS INTEGER)
    * (CAST(zone[2:3] AS INTEGER) * 60 + CAST(zone[5:6] AS INTEGER)))
trino_to_utc(moment, zone) := CASE WHEN zone = 'UTC' THEN moment
    WHEN zone[1] IN ('+', '-') THEN moment - trino_offset(zone) ELSE timezone('UTC', timezone(zone, moment)) END
trino_to_local(moment, zone) := CASE WHEN zone = 'UTC' THEN moment
    WHEN zone[1] IN ('+', '-') THEN moment + trino_offset(zone) ELSE timezone(zone, timezone('UTC', moment)) END
trino_zone_at(moment, in_zone) := trino_zoned(trino_to_utc(moment, in_zone), in_zone)
trino_local(x) := list_extract(list_transform([x],
    lambda zoned: trino_to_local(struct_extract(zoned, 'utc'), struct_extract(zoned, 'zone'))), 1)
trino_zone_offset(x) := epoch_us(trino_local(x)) - epoch_us(struct_extract(x, 'utc'))

trino_divide(n, d) := CASE WHEN (n < 0) = (d < 0) THEN (abs(n) * 2 + abs(d)) // (abs(d) * 2)
    ELSE -((abs(n) * 2 + abs(d)) // (abs(d) * 2)) END
trino_ln(x) := CASE WHEN x = 0 THEN CAST('-inf' AS DOUBLE) WHEN x < 0 THEN CAST('nan' AS DOUBLE) ELSE ln(x) END
trino_sqrt(x) := CASE WHEN x < 0 THEN CAST('nan' AS DOUBLE) ELSE sqrt(x) END
trino_round(x, n) := CASE WHEN isfinite(x) THEN round(x, n) ELSE x END
trino_truncate(x, n) := CASE WHEN isfinite(x) THEN trunc(x * pow(10, n)) / pow(10, n) ELSE x END
trino_width_bucket(x, low, high, n) := CASE
    WHEN n <= 0 THEN CAST(trino_argument_error('bucketCount must be greater than 0') AS BIGINT)
    WHEN low = high THEN CAST(trino_argument_error('bounds cannot equal each other') AS BIGINT)
    WHEN (low < high AND x < low) OR (low > high AND x > low) THEN 0
    WHEN (low < high AND x >= high) OR (low > high AND x <= high) THEN n + 1
    ELSE CAST(floor((x - low) / (high - low) * n) AS BIGINT) + 1 END
trino_to_base(n, radix) := CASE WHEN n < 0 THEN '-' || lower(to_base(-n, CAST(radix AS INTEGER)))
    ELSE lower(to_base(n, CAST(radix AS INTEGER))) END

trino_whole(x, type) := CASE WHEN isfinite(x) OR x IS NULL THEN round(x)
    ELSE CAST(trino_cast_error('Cannot cast ' || x || ' to ' || type) AS DOUBLE) END
trino_text_to_integer(x, type) := CASE WHEN regexp_full_match(trim(x), '[+-]?[0-9]+') OR x IS NULL THEN x
    ELSE CAST(trino_cast_error('Cannot cast ''' || x || ''' to ' || type) AS VARCHAR) END
trino_text_to_float(x, type) := CASE
    WHEN TRY_CAST(trim(x) AS DOUBLE) IS NOT NULL AND NOT contains(x, '_') THEN CAST(trim(x) AS DOUBLE)
    WHEN x IS NULL THEN NULL
    ELSE CAST(trino_cast_error('Cannot cast ''' || x || ''' to ' || type) AS DOUBLE) END
trino_text_to_boolean(x) := CASE WHEN lower(x) IN ('t', 'true', '1') THEN true
    WHEN lower(x) IN ('f', 'false', '0') THEN false WHEN x IS NULL THEN NULL
    ELSE trino_cast_error('Cannot cast ''' || x || ''' to BOOLEAN') END
trino_checked_decimal(x, fits, type) := CASE WHEN x IS NULL OR fits IS NOT NULL THEN fits
    ELSE CAST(trino_cast_error('Cannot cast VARCHAR ''' || x || ''' to ' || type || '. Value ' || CASE
        WHEN TRY_CAST(trim(x) AS DOUBLE) IS NULL THEN 'is not a number.' ELSE 'too large.' END) AS INTEGER) END
trino_fitting(x, fits, what) := CASE WHEN x IS NULL OR fits IS NOT NULL THEN fits
    ELSE CAST(trino_cast_error('Cannot cast ' || what) AS INTEGER) END
trino_text_to_date(x) := CASE
    WHEN regexp_full_match(trim(x), '[+-]?[0-9]{{4,}}-[0-9]{{1,2}}-[0-9]{{1,2}}')
        AND TRY_CAST(trim(x) AS DATE) IS NOT NULL THEN CAST(trim(x) AS DATE)
    WHEN x IS NULL THEN NULL
    ELSE CAST(trino_error('INVALID_CAST_ARGUMENT', 'Value cannot be cast to date: ' || x) AS DATE) END
trino_text_to_timestamp(x) := CASE
    WHEN regexp_full_match(x,
        '[0-9]{{4,}}-[0-9]{{1,2}}-[0-9]{{1,2}}( [0-9]{{1,2}}:[0-9]{{1,2}}(:[0-9]{{1,2}}(\.[0-9]{{1,12}})?)?)?')
        AND TRY_CAST(x AS TIMESTAMP) IS NOT NULL THEN CAST(x AS TIMESTAMP)
    WHEN x IS NULL THEN NULL
    ELSE CAST(trino_error('INVALID_CAST_ARGUMENT', 'Value cannot be cast to timestamp: ' || x) AS TIMESTAMP) END
trino_text_to_time(x) := CASE
    WHEN regexp_full_match(x, '[0-9]{{1,2}}:[0-9]{{1,2}}(:[0-9]{{1,2}}(\.[0-9]{{1,12}})?)?')
        AND TRY_CAST(x AS TIME) IS NOT NULL THEN CAST(x AS TIME)
    WHEN x IS NULL THEN NULL
    ELSE CAST(trino_error('INVALID_CAST_ARGUMENT', 'Value cannot be cast to time: ' || x) AS TIME) END
trino_text_to_zoned(x) := CASE WHEN x IS NULL THEN NULL
    WHEN regexp_full_match(x, '\S+( [0-9]\S*)?') THEN {{'utc': trino_text_to_timestamp(x), 'zone': 'UTC'}}
    ELSE {{'utc': trino_to_utc(
            trino_text_to_timestamp(trim(regexp_extract(x, '^(\S+(?: [0-9][0-9:.]*)?) ?(\S+)$', 1))),
            regexp_extract(x, '^(\S+(?: [0-9][0-9:.]*)?) ?(\S+)$', 2)),
        'zone': trino_zone(regexp_extract(x, '^(\S+(?: [0-9][0-9:.]*)?) ?(\S+)$', 2))}} END
trino_round_timestamp(x, unit) := make_timestamp(CAST((epoch_us(x) + unit // 2) // unit * unit AS BIGINT))

trino_date_plus(d, ms) := CASE WHEN ms % 86400000 = 0 THEN d + CAST(ms // 86400000 AS INTEGER)
    WHEN d IS NULL OR ms IS NULL THEN NULL
    ELSE CAST(trino_error('INVALID_FUNCTION_ARGUMENT', 'Cannot add hour, minutes or seconds to a date') AS DATE) END
trino_text_of_days(ms) := CASE WHEN ms < 0 THEN '-' ELSE '' END || (abs(ms) // 86400000)
    || strftime(make_timestamp(CAST(abs(ms) % 86400000 * 1000 AS BIGINT)), ' %H:%M:%S.%g')
trino_text_of_months(m) := CASE WHEN m < 0 THEN '-' ELSE '' END || (abs(m) // 12) || '-' || (abs(m) % 12)
trino_parsed(x, parsed) := CASE WHEN x IS NULL OR parsed IS NOT NULL THEN parsed
    ELSE CAST(trino_error('INVALID_FUNCTION_ARGUMENT', 'Invalid format: "' || x || '"') AS TIMESTAMP) END

trino_substr(x, start) := CASE WHEN start = 0 OR -start > length(x) THEN '' ELSE substr(x, start) END
trino_substr_for(x, start, n) := CASE WHEN start = 0 OR -start > length(x) OR n <= 0 THEN ''
    ELSE substr(x, start, n) END
trino_split_part(x, delimiter, i) := CASE WHEN i > 0 THEN list_extract(string_split(x, delimiter), i)
    WHEN x IS NULL OR delimiter IS NULL OR i IS NULL THEN NULL
    ELSE CAST(trino_argument_error('Index must be greater than zero') AS VARCHAR) END
trino_split_limit(x, delimiter, n) := list_concat(
    list_slice(string_split(x, delimiter), 1, least(n - 1, len(string_split(x, delimiter)))),
    CASE WHEN len(string_split(x, delimiter)) >= n
    THEN [array_to_string(list_slice(string_split(x, delimiter), n, len(string_split(x, delimiter))), delimiter)]
    ELSE [] END)
trino_pad_length(n) := CASE WHEN n BETWEEN 0 AND 2147483647 OR n IS NULL THEN CAST(n AS INTEGER)
    ELSE CAST(trino_argument_error('Target length must be in the range [0..2147483647]') AS INTEGER) END
trino_regexp_extract(x, pattern, i) := CASE WHEN regexp_matches(x, pattern) THEN regexp_extract(x, pattern, i) END
trino_regexp_position(x, pattern) := CASE
    WHEN regexp_matches(x, pattern) THEN CAST(strpos(x, regexp_extract(x, pattern)) AS INTEGER)
    WHEN x IS NULL OR pattern IS NULL THEN NULL ELSE -1 END
trino_chr(n) := CASE WHEN n BETWEEN 0 AND 1114111 OR n IS NULL THEN chr(CAST(n AS INTEGER))
    ELSE CAST(trino_argument_error('Not a valid Unicode code point: ' || n) AS VARCHAR) END
trino_codepoint(x) := CASE WHEN length(x) = 1 OR x IS NULL THEN unicode(x)
    ELSE CAST(trino_argument_error('Input string must be a single character string') AS INTEGER) END

trino_subscript(a, i) := CASE WHEN i BETWEEN 1 AND len(a) THEN list_extract(a, i)
    WHEN a IS NULL OR i IS NULL THEN NULL
    ELSE list_extract(a, CAST(trino_argument_error(CASE WHEN i = 0 THEN 'SQL array indices start at 1'
        WHEN i < 0 THEN 'Array subscript is negative: ' || i
        ELSE 'Array subscript must be less than or equal to array length: ' || i || ' > ' || len(a) END) AS BIGINT)) END
trino_element_at(a, i) := CASE WHEN i <> 0 THEN list_extract(a, i) WHEN a IS NULL OR i IS NULL THEN NULL
    ELSE list_extract(a, CAST(trino_argument_error('SQL array indices start at 1') AS BIGINT)) END
trino_map_subscript(m, k) := CASE WHEN map_contains(m, k) THEN map_extract_value(m, k)
    WHEN m IS NULL OR k IS NULL THEN NULL
    ELSE list_extract(map_values(m),
        CAST(trino_argument_error('Key not present in map: ' || CAST(k AS VARCHAR)) AS BIGINT)) END
trino_contains(a, x) := CASE WHEN list_contains(a, x) THEN true WHEN x IS NULL OR len(a) <> list_count(a) THEN NULL
    ELSE false END
trino_concat_arrays(a, b) := CASE WHEN a IS NULL OR b IS NULL THEN NULL ELSE list_concat(a, b) END
trino_has(a, e) := coalesce(list_bool_or(list_transform(a, lambda o: o IS NOT DISTINCT FROM e)), false)
trino_distinct(a) := list_filter(a, lambda e, i: i = 1 OR NOT trino_has(list_slice(a, 1, i - 1), e))
trino_slice(a, start, n) := CASE WHEN a IS NULL OR start IS NULL OR n IS NULL THEN NULL
    WHEN n < 0 THEN list_slice(a, CAST(trino_argument_error('length must be greater than or equal to 0') AS BIGINT), 1)
    WHEN start = 0 THEN list_slice(a, CAST(trino_argument_error('SQL array indices start at 1') AS BIGINT), 1)
    WHEN abs(start) > len(a) OR n = 0 THEN []
    WHEN start > 0 THEN list_slice(a, start, start + n - 1)
    ELSE list_slice(a, len(a) + start + 1, len(a) + start + n) END
trino_any(t) := CASE WHEN t IS NULL THEN NULL WHEN list_contains(t, true) THEN true
    WHEN len(t) <> list_count(t) THEN NULL ELSE false END
trino_all(t) := CASE WHEN t IS NULL THEN NULL WHEN list_contains(t, false) THEN false
    WHEN len(t) <> list_count(t) THEN NULL ELSE true END
trino_extreme(a, found) := CASE WHEN len(a) = list_count(a) THEN found END
trino_overlap(a, b) := CASE
    WHEN list_has_any(list_filter(a, lambda x: x IS NOT NULL), list_filter(b, lambda x: x IS NOT NULL)) THEN true
    WHEN a IS NULL OR b IS NULL OR (len(a) <> list_count(a) AND len(b) > 0)
        OR (len(b) <> list_count(b) AND len(a) > 0) THEN NULL
    ELSE false END
trino_map_merge(a, b) := map_from_entries(list_concat(map_entries(b),
    list_filter(map_entries(a), lambda e: NOT map_contains(b, struct_extract(e, 'key')))))

trino_json_scalar(x, path) := CASE
    WHEN json_valid(x) AND json_type(x, path) NOT IN ('ARRAY', 'OBJECT') THEN json_extract_string(x, path) END

trino_percentile(a, p) := list_extract(list_sort(a), CAST(least(floor(p * len(a)), len(a) - 1) AS BIGINT) + 1)
"""


def install(connection: Any) -> None:
    """Create Trino's functions in a DuckDB connection and its cursors. Call it once, before the configuration is locked."""
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    python_functions.install(connection)
    for definition in re.split(r"\n+(?=\S)", _MACROS.strip()):
        head, body = " ".join(line.strip() for line in definition.splitlines()).split(" := ", 1)
        connection.execute(f"CREATE OR REPLACE MACRO {head} AS {body}")
