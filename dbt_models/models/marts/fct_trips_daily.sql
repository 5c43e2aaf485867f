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
    trips.pickup_date,
    trips.pickup_location_id,
    count_if(not trips.is_reversal) as trips,
    count_if(trips.is_reversal) as reversals,
    -- Sums and counts: means over days and zones are computed of these, never of means of single rows.
    count_if({{ in_averages('trips.') }}) as measured_trips,
    count_if({{ in_averages('trips.') }} and trips.trip_distance is not null) as measured_distances,
    coalesce(sum(case when {{ in_averages('trips.') }} then trips.trip_distance end), 0) as distance_miles,
    coalesce(sum(case when {{ in_averages('trips.') }} then trips.duration_minutes end), 0) as duration_minutes,
    coalesce(sum(case when not trips.is_reversal then trips.passenger_count end), 0) as passengers,
    cast(coalesce(sum(trips.fare_amount), 0) as decimal(18, 2)) as fare_amount,
    cast(coalesce(sum(trips.tip_amount), 0) as decimal(18, 2)) as tip_amount,
    cast(coalesce(sum(trips.total_amount), 0) as decimal(18, 2)) as total_amount,
    max(trips.run_id) as run_id,
    trips.year,
    trips.month
from {{ ref('fct_trips') }} as trips
where {{ in_months(months, 'trips.') }}
group by trips.service, trips.pickup_date, trips.pickup_location_id, trips.year, trips.month
