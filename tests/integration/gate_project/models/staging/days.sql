{{ config(materialized='ephemeral') }}
select cast(d as date) as day
from unnest(sequence(date '2024-05-01', date '{{ var("days") }}', interval '1' day)) as t(d)
