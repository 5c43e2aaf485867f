{#- A view: it is small, and so it is right at the moment of every commit, also of months that dbt has yet to build. Built
    outside the gate, which it reports on. -#}
{{ config(materialized='view', tags=['outside_gate']) }}
{#- Outside the condition: dbt must find this source when it parses. -#}
{%- set records = source('publishing', 'publications') %}

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
),

published as (
    select service, year, month, max(run_id) as run_id
    from {{ ref('fct_trips') }}
    group by service, year, month
),

records as (
    {%- if publications_exist() %}
    select
        unit,
        cast(generation as integer) as generation,
        kind,
        state,
        gate,
        gate_message,
        failed_tests,
        accepted,
        accepted_by,
        reason,
        cast(recorded_at as timestamp) as recorded_at
    from {{ records }}
    {%- else %}
    -- A lakehouse without the operator has no records.
    select
        cast(null as varchar) as unit,
        cast(null as integer) as generation,
        cast(null as varchar) as kind,
        cast(null as varchar) as state,
        cast(null as varchar) as gate,
        cast(null as varchar) as gate_message,
        cast(null as array(varchar)) as failed_tests,
        cast(null as array(varchar)) as accepted,
        cast(null as varchar) as accepted_by,
        cast(null as varchar) as reason,
        cast(null as timestamp) as recorded_at
    where false
    {%- endif %}
),

-- A rollback has no gate: what the gate said last may be in an earlier record.
ordered as (
    select
        *,
        row_number() over (partition by unit order by recorded_at desc, generation desc nulls last) as nth,
        row_number() over (
            partition by unit, gate is not null order by recorded_at desc, generation desc nulls last
        ) as nth_of_gates
    from records
),

generations as (
    select unit, max(generation) as generation
    from records
    where state = 'published'
    group by unit
)

select
    months.service,
    months.year,
    months.month,
    months.run_id,
    months.run_id is not null as is_loaded,
    months.loads,
    months.refused_loads,
    months.source_files,
    months.rows_read,
    months.rows_kept,
    months.rows_quarantined,
    -- Null for a month without rows: there is nothing to have a share of.
    cast(months.rows_kept as double) / nullif(months.rows_read, 0) as kept_share,
    {%- for count in audited_counts() %}
    months.{{ count }},
    {%- endfor %}
    months.thresholds,
    months.committed_at,
    -- Somebody tried to load the month again, and the run was refused: what is current is older than the last try.
    coalesce(months.last_refused_at > months.committed_at, months.last_refused_at is not null) as was_refused_since,
    published.run_id as published_run_id,
    -- A load that kept nothing is published when there is nothing.
    months.run_id is not null
        and coalesce(published.run_id, '') != case when months.rows_kept > 0 then months.run_id else '' end as is_waiting,
    generations.generation,
    last_record.kind as publication,
    last_record.state as publication_state,
    last_record.recorded_at,
    last_gate.gate,
    last_gate.gate_message,
    last_gate.failed_tests,
    last_gate.accepted,
    last_gate.accepted_by,
    last_record.reason
from months
left join published
    on months.service = published.service and months.year = published.year and months.month = published.month
left join generations on {{ unit_of('months') }} = generations.unit
left join ordered as last_record on {{ unit_of('months') }} = last_record.unit and last_record.nth = 1
left join ordered as last_gate
    on {{ unit_of('months') }} = last_gate.unit and last_gate.gate is not null and last_gate.nth_of_gates = 1
