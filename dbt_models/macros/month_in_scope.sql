{#- The month of this invocation: vars year and month, as numbers or digits; none without them. -#}
{% macro month_in_scope() %}
    {%- set year, month = var('year'), var('month') -%}
    {%- if year in (none, '') and month in (none, '') -%}
        {{ return(none) }}
    {%- endif -%}
    {%- if year in (none, '') or month in (none, '') -%}
        {%- do exceptions.raise_compiler_error(
            'vars year and month go together: year is ' ~ year ~ ', month is ' ~ month
        ) -%}
    {%- endif -%}
    {%- set numbers = (year | string).strip() ~ '-' ~ (month | string).strip() -%}
    {%- if not modules.re.fullmatch('20[0-9]{2}-(0?[1-9]|1[0-2])', numbers) -%}
        {%- do exceptions.raise_compiler_error(
            'vars year and month must be a year from 2000 to 2099 and a month from 1 to 12, not ' ~ numbers
        ) -%}
    {%- endif -%}
    {{ return({'year': year | int, 'month': month | int}) }}
{% endmacro %}


{#- A condition on the integer columns year and month of dbt's own tables and views. -#}
{% macro in_month_in_scope(prefix='') %}
    {%- set scope = month_in_scope() -%}
    {{- in_months([scope] if scope else none, prefix) -}}
{% endmacro %}


{#- The same condition on the cleaned zone's partition keys. -#}
{% macro in_partition_in_scope(prefix='partition_') %}
    {%- set scope = month_in_scope() -%}
    {{- in_partitions([scope] if scope else none, prefix) -}}
{% endmacro %}


{#- dbt's own macro with two more placeholders, for tests that read the month in scope alone:
    where: "__month_in_scope__" on dbt's tables, "__partition_in_scope__" on the staging views, which pass it on to the
    cleaned zone's partition keys. -#}
{% macro get_where_subquery(relation) %}
    {%- set where = config.get('where', '') -%}
    {%- if where -%}
        {%- set where = where
            | replace('__month_in_scope__', in_month_in_scope())
            | replace('__partition_in_scope__', in_partition_in_scope()) -%}
        {%- do return('(select * from ' ~ relation ~ ' where ' ~ where ~ ') as in_scope') -%}
    {%- endif -%}
    {#- As a relation, not as its text: has_types reads its columns. -#}
    {%- do return(relation) -%}
{% endmacro %}
