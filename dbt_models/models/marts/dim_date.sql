-- Sequences of years and of days: one sequence of days would exceed Athena's limit of 10,000 entries in 2036.
with days as (
    select date_add('day', day_number, date_add('year', year_number - 2009, date '2009-01-01')) as date_day, year_number
    from unnest(sequence(2009, year(current_date) + 2)) as years (year_number)
    cross join unnest(sequence(0, 365)) as numbers (day_number)
)

select
    date_day,
    year(date_day) as year,
    quarter(date_day) as quarter,
    month(date_day) as month,
    day(date_day) as day_of_month,
    day_of_week(date_day) as day_of_week,
    date_format(date_day, '%W') as day_name,
    day_of_week(date_day) >= 6 as is_weekend,
    {{ federal_holiday('date_day') }} as federal_holiday
from days
where year(date_day) = year_number
