{#- A view: it is small, and so it is right at the moment of every commit, also of months that dbt has yet to build. -#}
{{ config(materialized='view') }}

with months as (
    select
        service,
        year,
        month,
        max(case when is_current then run_id end) as run_id,
        count(distinct run_id) as loads,
        count(distinct case when status = 'refused' then run_id end) as refused_loads,
        count(distinct case when is_current then source_file end) as source_files,
        coalesce(sum(case when is_current then rows_read end), 0) as rows_read,
        coalesce(sum(case when is_current then rows_kept end), 0) as rows_kept,
        coalesce(sum(case when is_current then rows_quarantined end), 0) as rows_quarantined,
        {%- for count in audited_counts() %}
        coalesce(sum(case when is_current then {{ count }} end), 0) as {{ count }},
        {%- endfor %}
        max(case when is_current then thresholds end) as thresholds,
        max(case when is_current then committed_at end) as committed_at,
        max(case when status = 'refused' then started_at end) as last_refused_at
    from {{ ref('stg_load_audit') }}
    group by service, year, month
)

select
    service,
    year,
    month,
    run_id,
    run_id is not null as is_loaded,
    loads,
    refused_loads,
    source_files,
    rows_read,
    rows_kept,
    rows_quarantined,
    -- Null for a month without rows: there is nothing to have a share of.
    cast(rows_kept as double) / nullif(rows_read, 0) as kept_share,
    {%- for count in audited_counts() %}
    {{ count }},
    {%- endfor %}
    thresholds,
    committed_at,
    -- Somebody tried to load the month again, and the run was refused: what is current is older than the last try.
    coalesce(last_refused_at > committed_at, last_refused_at is not null) as was_refused_since
from months
