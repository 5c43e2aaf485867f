{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partitioned_by=['year', 'month'],
    on_schema_change='fail'
) }}
{{ refuse_full_refresh_of_a_month() }}
{%- set months = months_to_build() %}

select
    trips.service,
    zones.borough as pickup_borough,
    payment_types.payment_type,
    count_if(not trips.is_reversal) as trips,
    count_if(trips.is_reversal) as reversals,
    cast(sum(trips.fare_amount) as decimal(18, 2)) as fare_amount,
    cast(sum(trips.tip_amount) as decimal(18, 2)) as tip_amount,
    cast(sum(trips.tolls_amount) as decimal(18, 2)) as tolls_amount,
    -- Reversals are negative: what was given back is not revenue.
    cast(sum(trips.total_amount) as decimal(18, 2)) as total_amount,
    avg(case when {{ in_averages('trips.') }} then trips.trip_distance end) as average_distance,
    avg(case when {{ in_averages('trips.') }} then trips.duration_minutes end) as average_minutes,
    -- The one current load of the service and month
    max(trips.run_id) as run_id,
    trips.year,
    trips.month
from {{ ref('fct_trips') }} as trips
inner join {{ ref('dim_zone') }} as zones on trips.pickup_location_id = zones.location_id
inner join {{ ref('dim_payment_type') }} as payment_types on trips.payment_type_id = payment_types.payment_type_id
where {{ in_months(months, 'trips.') }}
group by trips.service, zones.borough, payment_types.payment_type, trips.year, trips.month
