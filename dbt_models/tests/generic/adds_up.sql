{#- A mart and the facts agree by service and month: in trips, reversals and revenue. -#}
{% test adds_up(model, facts) %}
with mart as (
    select service, year, month, sum(trips) as trips, sum(reversals) as reversals, sum(total_amount) as total_amount
    from {{ model }}
    group by service, year, month
),

facts as (
    select
        service,
        year,
        month,
        count_if(not is_reversal) as trips,
        count_if(is_reversal) as reversals,
        sum(total_amount) as total_amount
    from {{ facts }}
    where {{ in_month_in_scope() }}
    group by service, year, month
)

select
    coalesce(mart.service, facts.service) as service,
    coalesce(mart.year, facts.year) as year,
    coalesce(mart.month, facts.month) as month,
    mart.trips as trips_in_mart,
    facts.trips as trips_in_facts,
    mart.reversals as reversals_in_mart,
    facts.reversals as reversals_in_facts,
    mart.total_amount as total_in_mart,
    facts.total_amount as total_in_facts
from mart
full outer join facts
    on mart.service = facts.service and mart.year = facts.year and mart.month = facts.month
where mart.service is null
    or facts.service is null
    or mart.trips != facts.trips
    or mart.reversals != facts.reversals
    or mart.total_amount != facts.total_amount
{% endtest %}
