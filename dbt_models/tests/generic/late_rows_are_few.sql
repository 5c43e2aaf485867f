{#- The rows of a month that came in other months' files, and stay in quarantine, are at most the share `late_rows` of
    its rows. In scope are the month and those that its file has rows of; of months that are not loaded nothing is asked. -#}
{% test late_rows_are_few(model) %}
{%- set scope = month_in_scope() %}
select
    service,
    year,
    month,
    sum(rows_missed) as rows_late,
    rows_in_month,
    cast(sum(rows_missed) as double) / rows_in_month as share_now,
    cast({{ share_of('late_rows') }} as double) as share_allowed,
    max(file_year * 100 + file_month) as last_file
from {{ model }}
where rows_in_month > 0
group by service, year, month, rows_in_month
having cast(sum(rows_missed) as double) / rows_in_month > {{ share_of('late_rows') }}
{%- if scope %}
    and (
        {{ in_month_in_scope() }}
        or bool_or(file_year = {{ scope.year }} and file_month = {{ scope.month }})
    )
{%- endif %}
{% endtest %}
