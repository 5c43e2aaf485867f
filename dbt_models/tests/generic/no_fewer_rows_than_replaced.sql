{#- The month in scope has no fewer rows than production has of it. Fewer than rows_of_replaced allows are that test's. -#}
{% test no_fewer_rows_than_replaced(model) %}
select *
from ({{ fewer_rows_than_production(model) }}) as fewer
where share_now >= share_allowed
{% endtest %}
