{#- Every day of a month has rows, by service: of a raw file that was cut off, what is there is right. A failing row is a
    day. Of datasets that have rows on every day: var daily_rows. -#}
{% test no_day_without_rows(model, audit, calendar, column_name) %}
with asked as (
    {{ months_asked(model, audit) }}
),

days as (
    select service, year, month, {{ column_name }} as day, count(*) as row_count
    from {{ model }}
    where {{ in_month_in_scope() }}
    group by service, year, month, {{ column_name }}
),

expected as (
    select asked.service, asked.year, asked.month, asked.rows_now, calendar.date_day as day
    from asked
    inner join {{ calendar }} as calendar on asked.year = calendar.year and asked.month = calendar.month
),

counted as (
    select
        expected.service,
        expected.year,
        expected.month,
        expected.day,
        coalesce(days.row_count, 0) as rows_of_day,
        expected.rows_now as rows_of_month,
        max(days.day) over (partition by expected.service, expected.year, expected.month) as last_day_with_rows
    from expected
    left join days
        on expected.service = days.service
        and expected.year = days.year
        and expected.month = days.month
        and expected.day = days.day
)

select *
from counted
where rows_of_day = 0 and {{ has_daily_rows() }}
{% endtest %}
