"""The macro that the operator adds to its own copy of a project: replaced partitions are forgotten, not deleted.

The adapter's own deletes the files at a partition's location; in an audit schema these are production's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from airflow_lakehouse_provider.dbt.gate.refused import Objection

NAME = "delete_overlapping_partitions"
HELPERS = ("lakehouse_partition_literals", "lakehouse_only_in_audit")
FILE = "lakehouse_gate.sql"
_DEFINED = re.compile(rf"\{{%-?\s*macro\s+({'|'.join((NAME, *HELPERS))})\s*\(")

MACROS = r"""
{#- Written by airflow-lakehouse-provider (dbt/gate/forget.py) into its own copy of the project. -#}

{#- The partitions that the new rows replace are forgotten, never deleted: their files are production's. -#}
{% macro delete_overlapping_partitions(target_relation, tmp_relation, partitioned_by) %}
  {%- do lakehouse_only_in_audit(target_relation) -%}
  {%- set keys = [] -%}
  {%- for key in partitioned_by -%}{%- do keys.append(key | lower) -%}{%- endfor -%}
  {%- set types = {} -%}
  {%- for column in adapter.get_columns_in_relation(tmp_relation) -%}
    {%- do types.update({column.name | lower: column.dtype | lower}) -%}
  {%- endfor -%}
  {%- set texts = [] -%}
  {%- for key in keys -%}
    {%- do texts.append('cast("' ~ key ~ '" as varchar) as key_' ~ loop.index) -%}
  {%- endfor -%}
  {%- set found = run_query('select distinct ' ~ texts | join(', ') ~ ' from ' ~ tmp_relation) -%}
  {%- set specs = [] -%}
  {%- for row in found.rows -%}
    {%- set literals = [] -%}
    {%- for key in keys -%}
      {%- set value = row[loop.index0] -%}
      {%- if value is none -%}
        {%- do exceptions.raise_compiler_error(
          'the partition key ' ~ key ~ ' of ' ~ target_relation ~ ' is null in a new row: such a partition cannot be '
          ~ 'replaced under the gate. Give the key a value in the model, or build the model directly (direct=)'
        ) -%}
      {%- endif -%}
      {%- do literals.append(lakehouse_partition_literals(target_relation, key, types[key], value | string)) -%}
    {%- endfor -%}
    {#- A timestamp has several texts; IF EXISTS passes over those that the catalog does not have. -#}
    {%- for number in range(3) -%}
      {%- set parts = [] -%}
      {%- for literal in literals -%}
        {%- do parts.append('`' ~ keys[loop.index0] ~ '` = ' ~ literal[[number, literal | length - 1] | min]) -%}
      {%- endfor -%}
      {%- set spec = 'partition (' ~ parts | join(', ') ~ ')' -%}
      {%- if spec not in specs -%}{%- do specs.append(spec) -%}{%- endif -%}
    {%- endfor -%}
  {%- endfor -%}
  {%- for start in range(0, specs | length, 50) -%}
    {%- do run_query(
      'alter table ' ~ target_relation.render_hive() ~ ' drop if exists ' ~ specs[start:start + 50] | join(', ')
    ) -%}
  {%- endfor -%}
  {#- Proven: an INSERT into a partition that is left would go to production's files. -#}
  {%- set same, named = [], [] -%}
  {%- for key in keys -%}
    {%- do same.append('old."' ~ key ~ '" is not distinct from new."' ~ key ~ '"') -%}
    {%- do named.append("'" ~ key ~ "=' || coalesce(cast(old.\"" ~ key ~ "\" as varchar), 'null')") -%}
  {%- endfor -%}
  {%- set quoted = '"' ~ keys | join('", "') ~ '"' -%}
  {%- set left = run_query(
    'select ' ~ named | join(" || '/' || ") ~ ' from "' ~ target_relation.schema ~ '"."' ~ target_relation.identifier
    ~ '$partitions" as old inner join (select distinct ' ~ quoted ~ ' from ' ~ tmp_relation ~ ') as new on '
    ~ same | join(' and ')
  ) -%}
  {%- if left.rows | length > 0 -%}
    {%- do exceptions.raise_compiler_error(
      'the partition ' ~ left.rows[0][0] ~ ' of ' ~ target_relation ~ ' could not be dropped from the audit schema ('
      ~ left.rows | length ~ ' in all): new rows would go to files of production. Nothing was inserted. Change the '
      ~ 'values of the partition keys, or build the model directly (direct=)'
    ) -%}
  {%- endif -%}
{% endmacro %}


{#- A list of the texts by which Hive's DDL may name a partition's value. -#}
{% macro lakehouse_partition_literals(relation, key, type, value) %}
  {%- set text = value.replace('\\', '\\\\').replace("'", "\\'") -%}
  {%- if type in ('tinyint', 'smallint', 'int', 'integer', 'bigint') -%}
    {{ return([value if value[:1] != '-' else "'" ~ value ~ "'"]) }}
  {%- elif type == 'string' or type.startswith('varchar') or type.startswith('char') or type == 'date' -%}
    {{ return(["'" ~ text ~ "'"]) }}
  {%- elif type.startswith('timestamp') -%}
    {%- set second, _, fraction = value.partition('.') -%}
    {%- set short = fraction.rstrip('0') -%}
    {{ return(["'" ~ second ~ ('.' ~ short if short else '') ~ "'", "'" ~ second ~ '.' ~ (short or '0') ~ "'",
               "'" ~ value ~ "'"]) }}
  {%- else -%}
    {%- do exceptions.raise_compiler_error(
      'the partition key ' ~ key ~ ' of ' ~ relation ~ ' is of type ' ~ type ~ ', which cannot be replaced under the '
      ~ 'gate; these can: string, integers, date, timestamp. Change its type, or build the model directly (direct=)'
    ) -%}
  {%- endif -%}
{% endmacro %}


{% macro lakehouse_only_in_audit(relation) %}
  {%- if not modules.re.fullmatch('.+__audit_[0-9a-f]{12}', target.schema)
      or not relation.schema.startswith(target.schema) -%}
    {%- do exceptions.raise_compiler_error(
      relation ~ ' is not in an audit schema, and ' ~ target.schema ~ ' is the target: nothing was dropped'
    ) -%}
  {%- endif -%}
{% endmacro %}
"""


def overrides(folder: Path, files: Iterable[Path]) -> Iterator[Objection]:
    """Yield what a project or one of its packages defines under the name of one of our macros.

    :param folder: that the files are named from
    """
    for file in files:
        if file.suffix != ".sql" or "{%" not in (text := file.read_text(encoding="utf-8", errors="replace")):
            continue
        for name in sorted({match[1] for match in _DEFINED.finditer(text)}):
            yield Objection(
                f"macro {name}",
                f"{file.relative_to(folder)} defines it, and the gate's own must be used: dbt-athena's deletes files "
                "that in an audit schema are production's",
                "remove it from the project or the package",
            )
