{{ config(materialized='incremental', partitioned_by=['kind', 'number', 'long', 'at'], force_batch=var('batch', true)) }}
select {{ var('amount', 1) }} as amount, kind, number, long, at
from (values
    ('it''s', 1, bigint '1', timestamp '2024-05-01 00:00:00'),
    ('a b:c/d%e=f,g', 2, bigint '9000000000', timestamp '2024-05-01 12:30:00.500'),
    ('01', 3, bigint '3', timestamp '2024-05-02 00:00:01')
) as t (kind, number, long, at)
