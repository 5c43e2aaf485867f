{#- The table of publication records, or none: a lakehouse without the operator has none, and it may come at any time.
    Not by source(): whatever reads the records here must not depend on a table that need not exist. -#}
{% macro publications() %}
    {%- if not execute -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set table = graph.sources.values()
        | selectattr('source_name', 'equalto', 'publishing') | selectattr('name', 'equalto', 'publications') | first -%}
    {{ return(adapter.get_relation(table.database, table.schema, table.identifier)) }}
{% endmacro %}


{#- Whether there are publication records: asked when a model is built, and answered by its unit tests themselves. -#}
{% macro publications_exist() %}
    {{ return(publications() is not none) }}
{% endmacro %}


{#- The units, such as 2024-05, whose last publication record is a rollback, a gate that failed, or a publication that has
    not ended: their own DAG run publishes them again, and nothing else builds them. -#}
{% macro waiting_units() %}
    {%- set records = publications() -%}
    {%- if records is none -%}
        {{ return([]) }}
    {%- endif -%}
    {%- set waiting = run_query(
        'select unit from (select unit, kind, state, gate, row_number() over (partition by unit'
        ~ ' order by recorded_at desc, generation desc nulls last) as nth from ' ~ records ~ ') as records'
        ~ " where nth = 1 and (kind = 'rollback' or gate = 'failed' or state != 'published')"
    ) -%}
    {{ return(waiting.columns[0].values() | list) }}
{% endmacro %}


{#- The relation of this name in production, while the model is built in an audit schema; none without the var
    production_schema, and where production has no such table yet. -#}
{% macro in_production(model) %}
    {%- if not execute or not var('production_schema') -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(adapter.get_relation(model.database, var('production_schema'), model.identifier)) }}
{% endmacro %}


{#- The unit of a row's year and month, which are published together: 2024-05. -#}
{% macro unit_of(table) -%}
    cast({{ table }}.year as varchar) || '-' || lpad(cast({{ table }}.month as varchar), 2, '0')
{%- endmacro %}
