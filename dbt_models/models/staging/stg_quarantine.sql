with current_runs as (
    select distinct service, year, month, run_id
    from {{ ref('stg_load_audit') }}
    where is_current
)

select
    rejected.trip_id,
    rejected.service,
    rejected.reasons,
    rejected.vendor_id,
    rejected.pickup_at,
    rejected.dropoff_at,
    rejected.trip_distance,
    rejected.pickup_location_id,
    rejected.dropoff_location_id,
    rejected.total_amount,
    rejected.source_file,
    rejected.run_id,
    rejected.loaded_at,
    rejected.year as partition_year,
    rejected.month as partition_month,
    current_runs.year,
    current_runs.month
from {{ source('cleaned', 'quarantine_trips') }} as rejected
inner join current_runs
    on rejected.service = current_runs.service
    and cast(rejected.year as integer) = current_runs.year
    and cast(rejected.month as integer) = current_runs.month
    and rejected.run_id = current_runs.run_id
