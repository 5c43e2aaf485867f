{{ config(
    materialized='incremental', incremental_strategy='microbatch', event_time='day', batch_size='year', begin='2024-01-01',
    lookback=0, partitioned_by=['day']
) }}
select count(*) as orders, sum(amount) as amount, day from {{ ref('orders') }} group by day
