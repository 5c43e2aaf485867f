select sum(amount) as amount, count(*) as orders from {{ ref('orders') }}
