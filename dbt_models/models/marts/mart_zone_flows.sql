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
    trips.pickup_location_id,
    pickup_zones.borough as pickup_borough,
    pickup_zones.zone as pickup_zone,
    trips.dropoff_location_id,
    dropoff_zones.borough as dropoff_borough,
    dropoff_zones.zone as dropoff_zone,
    count_if(not trips.is_reversal) as trips,
    count_if(trips.is_reversal) as reversals,
    avg(case when {{ in_averages('trips.') }} then trips.trip_distance end) as average_distance,
    avg(case when {{ in_averages('trips.') }} then trips.duration_minutes end) as average_minutes,
    cast(sum(trips.total_amount) as decimal(18, 2)) as total_amount,
    max(trips.run_id) as run_id,
    trips.year,
    trips.month
from {{ ref('fct_trips') }} as trips
inner join {{ ref('dim_zone') }} as pickup_zones on trips.pickup_location_id = pickup_zones.location_id
inner join {{ ref('dim_zone') }} as dropoff_zones on trips.dropoff_location_id = dropoff_zones.location_id
where {{ in_months(months, 'trips.') }}
group by
    trips.service, trips.pickup_location_id, pickup_zones.borough, pickup_zones.zone, trips.dropoff_location_id,
    dropoff_zones.borough, dropoff_zones.zone, trips.year, trips.month
