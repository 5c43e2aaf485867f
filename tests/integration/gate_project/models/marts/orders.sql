{{ config(
    materialized='incremental', partitioned_by=['day'], alias='orders_by_day', on_schema_change='append_new_columns'
) }}
select product.id * 100 + day(days.day) as id, product.id as product, {{ var('amount', 1) }} as amount, days.day
from {{ ref('days') }} as days cross join {{ ref('stg_products') }} as product
{% if is_incremental() %}
where days.day > (select coalesce(max(day), date '2000-01-01') from {{ this }}) or days.day = date '{{ var("days") }}'
{% endif %}
