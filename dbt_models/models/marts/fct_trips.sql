{{ config(
    materialized='incremental',
    incremental_strategy='insert_overwrite',
    partitioned_by=['year', 'month'],
    on_schema_change='fail'
) }}
{{ refuse_full_refresh_of_a_month() }}
{%- set months = months_to_build() %}

with trips as (
    select
        *,
        date_diff('second', pickup_at, dropoff_at) as duration_seconds,
        coalesce(cardinality(suspect), 0) > 0 as is_suspect
    from {{ ref('stg_trips') }}
    where {{ in_partitions(months) }}
)

select
    trips.trip_id,
    trips.service,
    cast(date_trunc('day', trips.pickup_at) as date) as pickup_date,
    trips.pickup_at,
    trips.dropoff_at,
    coalesce(vendors.vendor_id, {{ unknown_member() }}) as vendor_id,
    coalesce(pickup_zones.location_id, {{ unknown_member() }}) as pickup_location_id,
    coalesce(dropoff_zones.location_id, {{ unknown_member() }}) as dropoff_location_id,
    coalesce(payment_types.payment_type_id, {{ unknown_member() }}) as payment_type_id,
    coalesce(rate_codes.rate_code_id, {{ unknown_member() }}) as rate_code_id,
    coalesce(trip_types.trip_type_id, {{ unknown_member() }}) as trip_type_id,
    trips.passenger_count,
    trips.trip_distance,
    cast(trips.duration_seconds as double) / 60 as duration_minutes,
    trips.trip_distance * 3600 / nullif(trips.duration_seconds, 0) as average_mph,
    trips.fare_amount,
    trips.extra,
    trips.mta_tax,
    trips.tip_amount,
    trips.tolls_amount,
    trips.improvement_surcharge,
    trips.congestion_surcharge,
    trips.airport_fee,
    trips.cbd_congestion_fee,
    trips.ehail_fee,
    trips.total_amount,
    -- The TLC records tips of card payments only: the share of a cash trip is unknown, not zero.
    case
        when trips.payment_type_id = 1 and trips.fare_amount > 0
            then cast(trips.tip_amount as double) / cast(trips.fare_amount as double)
    end as tip_share,
    coalesce(pickup_zones.is_airport, false) or coalesce(dropoff_zones.is_airport, false) as is_airport_trip,
    trips.is_reversal,
    trips.is_suspect,
    trips.suspect,
    trips.run_id,
    trips.loaded_at,
    trips.year,
    trips.month
from trips
left join {{ ref('dim_vendor') }} as vendors on trips.vendor_id = vendors.vendor_id
left join {{ ref('dim_zone') }} as pickup_zones on trips.pickup_location_id = pickup_zones.location_id
left join {{ ref('dim_zone') }} as dropoff_zones on trips.dropoff_location_id = dropoff_zones.location_id
left join {{ ref('dim_payment_type') }} as payment_types on trips.payment_type_id = payment_types.payment_type_id
left join {{ ref('dim_rate_code') }} as rate_codes on trips.rate_code_id = rate_codes.rate_code_id
left join {{ ref('dim_trip_type') }} as trip_types on trips.trip_type_id = trip_types.trip_type_id
