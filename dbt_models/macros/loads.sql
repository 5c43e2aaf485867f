{#- --full-refresh would drop every month to rebuild one. -#}
{% macro refuse_full_refresh_of_a_month() %}
    {%- if flags.FULL_REFRESH and month_in_scope() -%}
        {%- do exceptions.raise_compiler_error(
            '--full-refresh would drop every month of ' ~ this ~ ' and build only the one that vars name: '
            ~ 'leave out --full-refresh to replace that month, or the vars to build all of them'
        ) -%}
    {%- endif -%}
{% endmacro %}


{#- The months that this model reads and writes: the one in vars; without vars those whose current loads differ from the
    loads that the model was built from, but for those that wait (waiting_units); none, meaning every month, when it is
    built for the first time.
    Queried here and written into the model as literals: Athena prunes partitions by literals, not by a subquery. -#}
{% macro months_to_build() %}
    {#- Outside the condition: dbt must find this ref when it parses. -#}
    {%- set audit = ref('stg_load_audit') -%}
    {%- set scope = month_in_scope() -%}
    {%- if scope -%}
        {{ return([scope]) }}
    {%- endif -%}
    {%- if not execute or not is_incremental() -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set changed = run_query(
        'select distinct coalesce(loads.year, built.year) as year, coalesce(loads.month, built.month) as month'
        ~ ' from (select service, year, month, run_id, sum(rows_kept) as rows_kept from ' ~ audit
        ~ ' where is_current group by service, year, month, run_id) as loads'
        ~ ' full outer join (select distinct service, year, month, run_id from ' ~ this ~ ') as built'
        ~ ' on loads.service = built.service and loads.year = built.year and loads.month = built.month'
        ~ ' and loads.run_id = built.run_id'
        ~ ' where loads.run_id is null or (built.run_id is null and loads.rows_kept > 0)'
    ) -%}
    {%- set waiting = waiting_units() if changed.rows else [] -%}
    {%- set months = [] -%}
    {%- for row in changed.rows if '%04d-%02d' | format(row[0], row[1]) not in waiting -%}
        {%- do months.append({'year': row[0] | int, 'month': row[1] | int}) -%}
    {%- endfor -%}
    {{ return(months) }}
{% endmacro %}


{#- A condition on the integer columns year and month: one of these months, or every month without a list. -#}
{% macro in_months(months, prefix='') %}
    {%- if months is none -%}
        true
    {%- elif not months -%}
        false
    {%- else -%}
        ({% for each in months | sort(attribute='month') | sort(attribute='year') -%}
        {{ 'or ' if not loop.first }}({{ prefix }}year = {{ each.year }} and {{ prefix }}month = {{ each.month }})
        {%- endfor -%})
    {%- endif -%}
{% endmacro %}


{#- The same condition on the cleaned zone's partition keys, which are zero-padded text: '2024' = 2024 is an error in
    Athena, and a cast around the key would keep it from reading only the months' files. -#}
{% macro in_partitions(months, prefix='partition_') %}
    {%- if months is none -%}
        true
    {%- elif not months -%}
        false
    {%- else -%}
        ({% for each in months | sort(attribute='month') | sort(attribute='year') -%}
        {{ 'or ' if not loop.first }}({{ prefix }}year = '{{ '%04d' | format(each.year) }}' and {{ prefix }}month = '
        {{- '%02d' | format(each.month) }}')
        {%- endfor -%})
    {%- endif -%}
{% endmacro %}
