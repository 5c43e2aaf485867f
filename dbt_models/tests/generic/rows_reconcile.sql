{#- No row is lost or added between the raw file and the facts. By service and month, of the current runs: rows read
    = kept + quarantined, and the cleaned zone and this model have as many rows. -#}
{% test rows_reconcile(model, audit, cleaned, quarantine) %}
with loads as (
    select service, year, month, sum(rows_read) as rows_read, sum(rows_kept) as rows_kept,
        sum(rows_quarantined) as rows_quarantined
    from {{ audit }}
    where is_current and {{ in_month_in_scope() }}
    group by service, year, month
),

cleaned as (
    select service, year, month, count(*) as counted
    from {{ cleaned }}
    where {{ in_partition_in_scope() }}
    group by service, year, month
),

quarantined as (
    select service, year, month, count(*) as counted
    from {{ quarantine }}
    where {{ in_partition_in_scope() }}
    group by service, year, month
),

facts as (
    select service, year, month, count(*) as counted
    from {{ model }}
    where {{ in_month_in_scope() }}
    group by service, year, month
),

reconciled as (
    select
        coalesce(loads.service, facts.service) as service,
        coalesce(loads.year, facts.year) as year,
        coalesce(loads.month, facts.month) as month,
        coalesce(loads.rows_read, 0) as rows_read,
        coalesce(loads.rows_kept, 0) as rows_kept,
        coalesce(loads.rows_quarantined, 0) as rows_quarantined,
        coalesce(cleaned.counted, 0) as rows_in_cleaned,
        coalesce(quarantined.counted, 0) as rows_in_quarantine,
        coalesce(facts.counted, 0) as rows_in_facts
    from loads
    full outer join facts
        on loads.service = facts.service and loads.year = facts.year and loads.month = facts.month
    left join cleaned
        on loads.service = cleaned.service and loads.year = cleaned.year and loads.month = cleaned.month
    left join quarantined
        on loads.service = quarantined.service and loads.year = quarantined.year and loads.month = quarantined.month
)

select *
from reconciled
where rows_read != rows_kept + rows_quarantined
    or rows_in_cleaned != rows_kept
    or rows_in_quarantine != rows_quarantined
    or rows_in_facts != rows_kept
{% endtest %}
