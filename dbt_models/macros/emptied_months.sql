{#- insert_overwrite replaces only partitions that it has rows for, so a month that became empty keeps its old rows until
    its partition is removed. A publication removes it; assert_no_emptied_month finds it where dbt is run by hand, and
    this operation removes it: `dbt run-operation drop_emptied_months`, with vars for one month alone. -#}
{% macro drop_emptied_months() %}
    {%- if execute -%}
        {%- set audit = ref('stg_load_audit') -%}
        {%- set waiting = [] if month_in_scope() else waiting_units() -%}
        {%- for node in graph.nodes.values()
            if node.resource_type == 'model' and node.package_name == project_name
            and node.config.get('partitioned_by') == ['year', 'month'] -%}
            {%- set table = adapter.get_relation(node.database, node.schema, node.alias) -%}
            {%- if table is not none -%}
                {%- set emptied = run_query(
                    'select built.year, built.month from (select distinct year, month from ' ~ table
                    ~ ' where ' ~ in_month_in_scope() ~ ') as built inner join (' ~ emptied_months(audit)
                    ~ ') as loads on built.year = loads.year and built.month = loads.month'
                    ~ ' order by built.year, built.month'
                ) -%}
                {%- for row in emptied.rows if '%04d-%02d' | format(row[0], row[1]) not in waiting -%}
                    {%- do adapter.clean_up_partitions(table, 'year = ' ~ row[0] | int ~ ' and month = ' ~ row[1] | int) -%}
                    {%- do log('Removed ' ~ '%04d-%02d' | format(row[0], row[1]) ~ ' from ' ~ table, info=true) -%}
                {%- endfor -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
{% endmacro %}


{#- A query of the months whose current loads kept nothing. -#}
{% macro emptied_months(audit) %}
select year, month, array_join(array_agg(distinct run_id), ', ') as run_id
from {{ audit }}
where is_current and {{ in_month_in_scope() }}
group by year, month
having sum(rows_kept) = 0
{% endmacro %}
