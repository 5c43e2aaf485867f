{#- The month in scope has at least the share `rows_of_replaced` of the rows that production has of it, by service. Asked
    under a gate alone, which passes the var production_schema. -#}
{% test rows_of_replaced(model) %}
select *
from ({{ fewer_rows_than_production(model) }}) as fewer
where share_now < share_allowed
{% endtest %}
