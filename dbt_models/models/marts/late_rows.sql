{#- A view, as is mart_load_quality: late rows of a month arrive with other months' files, so no partition is one unit's.
    Of the loads that the facts were built from, so that a file's rows are counted from its publication on; hence not from
    stg_quarantine, which shows each month's latest load. -#}
{{ config(materialized='view') }}

with published as (
    -- Trips and reversals are all rows of fct_trips, and far fewer are read for it.
    select service, year, month, run_id, sum(trips + reversals) as row_count
    from {{ ref('fct_trips_daily') }}
    group by service, year, month, run_id
),

months as (
    select service, year, month, sum(row_count) as row_count
    from published
    group by service, year, month
),

outside as (
    select
        rejected.service,
        cast(year(rejected.pickup_at) as integer) as pickup_year,
        cast(month(rejected.pickup_at) as integer) as pickup_month,
        published.year as file_year,
        published.month as file_month,
        cardinality(rejected.reasons) = 1 as is_missed
    from {{ source('cleaned', 'quarantine_trips') }} as rejected
    inner join published
        on rejected.service = published.service
        and cast(rejected.year as integer) = published.year
        and cast(rejected.month as integer) = published.month
        and rejected.run_id = published.run_id
    where contains(rejected.reasons, 'pickup_outside_month') and rejected.pickup_at is not null
),

counted as (
    select
        service,
        pickup_year,
        pickup_month,
        file_year,
        file_month,
        count(*) as rows_late,
        count_if(is_missed) as rows_missed
    from outside
    group by service, pickup_year, pickup_month, file_year, file_month
)

select
    counted.service,
    counted.pickup_year as year,
    counted.pickup_month as month,
    counted.file_year,
    counted.file_month,
    (counted.file_year - counted.pickup_year) * 12 + counted.file_month - counted.pickup_month as months_late,
    counted.rows_late,
    counted.rows_missed,
    coalesce(months.row_count, 0) as rows_in_month,
    -- Null for a month that is not loaded, as the year of a broken meter is.
    cast(counted.rows_missed as double) / months.row_count as share_of_month
from counted
left join months
    on counted.service = months.service
    and counted.pickup_year = months.year
    and counted.pickup_month = months.month
