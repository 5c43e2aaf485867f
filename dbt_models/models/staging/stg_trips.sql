with current_runs as (
    select distinct service, year, month, run_id
    from {{ ref('stg_load_audit') }}
    where is_current
)

select
    trips.trip_id,
    trips.service,
    trips.vendor_id,
    trips.pickup_at,
    trips.dropoff_at,
    trips.passenger_count,
    trips.trip_distance,
    trips.rate_code_id,
    trips.store_and_fwd_flag,
    trips.pickup_location_id,
    trips.dropoff_location_id,
    trips.payment_type_id,
    trips.trip_type_id,
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
    trips.is_reversal,
    trips.suspect,
    trips.source_file,
    trips.run_id,
    trips.loaded_at,
    trips.year as partition_year,
    trips.month as partition_month,
    current_runs.year,
    current_runs.month
from {{ source('cleaned', 'trips') }} as trips
inner join current_runs
    on trips.service = current_runs.service
    and cast(trips.year as integer) = current_runs.year
    and cast(trips.month as integer) = current_runs.month
    and trips.run_id = current_runs.run_id
