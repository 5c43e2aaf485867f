{#- Dropping every month to rebuild one is never meant. -#}
{% macro refuse_full_refresh_of_a_month() %}
    {%- if flags.FULL_REFRESH and month_in_scope() -%}
        {%- do exceptions.raise_compiler_error(
            '--full-refresh would drop every month of ' ~ this ~ ' and build only the one that vars name: '
            ~ 'leave out --full-refresh to replace that month, or the vars to build all of them'
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- insert_overwrite replaces the partitions that it has rows for, so a month that became empty would keep its old rows.
    A hook: when the audit says that nothing was kept of the month in scope, its partition goes. -#}
{% macro empty_month_in_scope() %}
    {#- Outside the condition: dbt must see it when it parses. -#}
    {%- set audit = ref('stg_load_audit') -%}
    {%- set scope = month_in_scope() -%}
    {%- if execute and scope -%}
        {%- set loads = run_query(
            'select count(*) as loads, coalesce(sum(rows_kept), 0) as rows_kept from ' ~ audit
            ~ ' where is_current and ' ~ in_month_in_scope()
        ) -%}
        {%- if loads.rows[0][0] | int > 0 and loads.rows[0][1] | int == 0 -%}
            {%- do adapter.clean_up_partitions(this, in_month_in_scope()) -%}
        {%- endif -%}
    {%- endif -%}
{% endmacro %}
