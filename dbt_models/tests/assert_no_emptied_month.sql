{#- No month has rows whose current loads kept nothing. A publication removes such a month; without one, the operation does
    that what_to_do names. Without vars, a month that waits is left to its own gate. -#}
{%- set waiting = [] if month_in_scope() else waiting_units() %}
select
    facts.year,
    facts.month,
    count(*) as rows_now,
    0 as rows_kept_by_current_load,
    max(facts.run_id) as built_from,
    max(loads.run_id) as current_load,
    'dbt run-operation drop_emptied_months' as what_to_do
from {{ ref('fct_trips') }} as facts
inner join ({{ emptied_months(ref('stg_load_audit')) }}) as loads
    on facts.year = loads.year and facts.month = loads.month
where {{ in_month_in_scope('facts.') }}
{%- for unit in waiting if modules.re.fullmatch('[0-9]{4}-[0-9]{2}', unit) %}
    and not (facts.year = {{ unit[:4] | int }} and facts.month = {{ unit[5:] | int }})
{%- endfor %}
group by facts.year, facts.month
