{#- No row is lost or added between the raw file and the facts, by service and month: rows read = kept + quarantined, and
    the facts have the rows that their load kept. The month in scope must be of its current load. Any other is compared
    with the load that it was built from, which is an older one where a month waits or was rolled back; the cleaned zone
    is compared with current loads, as staging shows no others. -#}
{% test rows_reconcile(model, audit, cleaned, quarantine) %}
with loads as (
    select service, year, month, run_id, is_current, sum(rows_read) as rows_read, sum(rows_kept) as rows_kept,
        sum(rows_quarantined) as rows_quarantined
    from {{ audit }}
    where status = 'committed' and {{ in_month_in_scope() }}
    group by service, year, month, run_id, is_current
),

cleaned as (
    select service, year, month, count(*) as row_count
    from {{ cleaned }}
    where {{ in_partition_in_scope() }}
    group by service, year, month
),

quarantined as (
    select service, year, month, count(*) as row_count
    from {{ quarantine }}
    where {{ in_partition_in_scope() }}
    group by service, year, month
),

facts as (
    select service, year, month, min(run_id) as run_id, count(distinct run_id) as loads, count(*) as row_count
    from {{ model }}
    where {{ in_month_in_scope() }}
    group by service, year, month
),

reconciled as (
    select
        coalesce(loads.service, facts.service) as service,
        coalesce(loads.year, facts.year) as year,
        coalesce(loads.month, facts.month) as month,
        loads.run_id as load,
        facts.run_id as load_of_facts,
        coalesce(facts.loads, 0) as loads_in_facts,
        coalesce(loads.is_current, false) as is_current,
        coalesce(loads.rows_read, 0) as rows_read,
        coalesce(loads.rows_kept, 0) as rows_kept,
        coalesce(loads.rows_quarantined, 0) as rows_quarantined,
        coalesce(cleaned.row_count, 0) as rows_in_cleaned,
        coalesce(quarantined.row_count, 0) as rows_in_quarantine,
        coalesce(facts.row_count, 0) as rows_in_facts
    {%- if month_in_scope() %}
    from (select * from loads where is_current) as loads
    full outer join facts
        on loads.service = facts.service and loads.year = facts.year and loads.month = facts.month
    {%- else %}
    from facts
    left join loads
        on facts.service = loads.service and facts.year = loads.year and facts.month = loads.month
        and facts.run_id = loads.run_id
    {%- endif %}
    left join cleaned
        on loads.service = cleaned.service and loads.year = cleaned.year and loads.month = cleaned.month
    left join quarantined
        on loads.service = quarantined.service and loads.year = quarantined.year and loads.month = quarantined.month
)

select *
from reconciled
where rows_read != rows_kept + rows_quarantined
    or rows_in_facts != rows_kept
    or loads_in_facts > 1
    or load != load_of_facts
    or (is_current and (rows_in_cleaned != rows_kept or rows_in_quarantine != rows_quarantined))
{% endtest %}
