{#- A trip ends after its begin and lasts at most `longest_hours`. Rows with a mark in `tolerated` are not tested: in the
    hour when the clocks go back, real trips end before they start. -#}
{% test trip_duration_is_valid(model, column_name, began='pickup_at', ended='dropoff_at', longest_hours=24, tolerated=[]) %}
select {{ began }}, {{ ended }}, {{ column_name }}
from {{ model }}
where (
    {{ column_name }} is null
    or {{ ended }} < {{ began }}
    or {{ ended }} > {{ began }} + interval '{{ longest_hours }}' hour
    or abs({{ column_name }} - cast(date_diff('second', {{ began }}, {{ ended }}) as double) / 60) > 0.001
)
{%- for mark in tolerated %}
and not contains(coalesce(suspect, cast(array[] as array(varchar))), '{{ mark }}')
{%- endfor %}
{% endtest %}
