{#- A month has at least the share `rows_of_neighbours` of the median of up to three months on each side, by service. With
    fewer than two of them there is nothing to compare with. -#}
{% test rows_of_neighbours(model, audit) %}
with asked as (
    {{ months_asked(model, audit) }}
),

months as (
    select service, year, month, count(*) as row_count
    from {{ model }}
    where {{ in_months(months_around(3)) }}
    group by service, year, month
),

neighbours as (
    select
        asked.service,
        asked.year,
        asked.month,
        asked.rows_now,
        array_sort(array_agg(months.row_count)) as row_counts
    from asked
    inner join months
        on asked.service = months.service
        and abs(asked.year * 12 + asked.month - months.year * 12 - months.month) between 1 and 3
    group by asked.service, asked.year, asked.month, asked.rows_now
),

compared as (
    select
        service,
        year,
        month,
        rows_now,
        (
            element_at(row_counts, (cardinality(row_counts) + 1) / 2)
            + element_at(row_counts, cardinality(row_counts) / 2 + 1)
        ) / 2e0 as rows_median,
        cardinality(row_counts) as months_compared
    from neighbours
    where cardinality(row_counts) >= 2
)

select
    service,
    year,
    month,
    rows_now,
    rows_median,
    months_compared,
    rows_now / rows_median as share_now,
    cast({{ share_of('rows_of_neighbours') }} as double) as share_allowed
from compared
where rows_now < {{ share_of('rows_of_neighbours') }} * rows_median
{% endtest %}
