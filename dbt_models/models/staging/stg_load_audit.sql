with loads as (
    select
        service,
        cast(year as integer) as year,
        cast(month as integer) as month,
        run_id,
        status,
        source_file,
        rows_read,
        rows_kept,
        rows_quarantined,
        {%- for count in audited_counts() %}
        {{ count }},
        {%- endfor %}
        bytes,
        seconds,
        etag,
        unknown_columns,
        thresholds,
        started_at,
        committed_at
    from {{ source('cleaned', 'load_audit') }}
)

select
    service,
    year,
    month,
    run_id,
    status,
    -- A run with several source files has a row for each, all of them current.
    status = 'committed' and dense_rank() over (
        partition by service, year, month, status
        order by committed_at desc, run_id desc
    ) = 1 as is_current,
    source_file,
    rows_read,
    rows_kept,
    rows_quarantined,
    {%- for count in audited_counts() %}
    {{ count }},
    {%- endfor %}
    bytes,
    seconds,
    etag,
    unknown_columns,
    thresholds,
    started_at,
    committed_at
from loads
