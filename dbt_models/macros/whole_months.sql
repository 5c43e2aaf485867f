{#- A share in vars, validated: a number from 0 to 1, also as text. -#}
{% macro share_of(name) %}
    {%- set text = var(name) | string | trim -%}
    {%- if not modules.re.fullmatch('0?[.][0-9]+|[01]([.]0*)?|[0-9]([.][0-9]+)?e-[0-9]+', text) -%}
        {%- do exceptions.raise_compiler_error(
            'var ' ~ name ~ ' is ' ~ text ~ '; it must be a share from 0 to 1, such as 0.9'
        ) -%}
    {%- endif -%}
    {{ return(text | float) }}
{% endmacro %}


{#- The var daily_rows, which may be text. -#}
{% macro has_daily_rows() %}
    {%- set text = var('daily_rows') | string | trim | lower -%}
    {%- if text not in ('true', 'false') -%}
        {%- do exceptions.raise_compiler_error('var daily_rows is ' ~ text ~ '; it must be true or false') -%}
    {%- endif -%}
    {{ return(text == 'true') }}
{% endmacro %}


{#- A query of the services and months that are asked whether they are whole, with their rows: in scope those that have a
    current load, else those of the model. A month known to be empty (minimum_rows: 0) is not asked. -#}
{% macro months_asked(model, audit) %}
select asked.service, asked.year, asked.month, coalesce(counted.row_count, 0) as rows_now
from (
    {%- if month_in_scope() %}
    select distinct service, year, month from {{ audit }} where is_current and {{ in_month_in_scope() }}
    {%- else %}
    select distinct service, year, month from {{ model }}
    {%- endif %}
) as asked
left join (
    select service, year, month, count(*) as row_count
    from {{ model }}
    where {{ in_month_in_scope() }}
    group by service, year, month
) as counted
    on asked.service = counted.service and asked.year = counted.year and asked.month = counted.month
where {{ var('minimum_rows') | int > 0 }} or counted.row_count > 0
{% endmacro %}


{#- The month in scope and the months around it, as months_to_build lists them; none without a month in scope. -#}
{% macro months_around(distance) %}
    {%- set scope = month_in_scope() -%}
    {%- if not scope -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set months = [] -%}
    {%- for number in range(scope.year * 12 + scope.month - 1 - distance, scope.year * 12 + scope.month + distance) -%}
        {%- do months.append({'year': number // 12, 'month': number % 12 + 1}) -%}
    {%- endfor -%}
    {{ return(months) }}
{% endmacro %}


{#- A query of services of the month in scope that have fewer rows than production has of them, which they would replace;
    no row without a month in scope and a production beside. -#}
{% macro fewer_rows_than_production(model) %}
{%- set production = in_production(model) if month_in_scope() else none %}
{%- set counted %}
    select service, year, month, count(*) as row_count, max(run_id) as run_id
    from __model__
    where {{ in_month_in_scope() }}
    group by service, year, month
{%- endset %}
select
    before.service,
    before.year,
    before.month,
    coalesce(now.row_count, 0) as rows_now,
    before.row_count as rows_before,
    cast(coalesce(now.row_count, 0) as double) / before.row_count as share_now,
    cast({{ share_of('rows_of_replaced') }} as double) as share_allowed,
    now.run_id as run_id_now,
    before.run_id as run_id_before
from ({{ counted | replace('__model__', production or model) }}
) as before
left join ({{ counted | replace('__model__', model) }}
) as now
    on before.service = now.service and before.year = now.year and before.month = now.month
where {{ production is not none }}
    and coalesce(now.row_count, 0) < before.row_count
    and ({{ var('minimum_rows') | int > 0 }} or now.row_count > 0)
{% endmacro %}
