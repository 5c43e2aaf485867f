{#- The key of every dimension's unknown member: facts without a value, or with one that no list has, join to it. -#}
{% macro unknown_member() %}-1{% endmacro %}


{#- A small dimension: its seed and the unknown member. -#}
{% macro dimension_with_unknown(seed, key, name) %}
select {{ key }}, {{ name }}
from {{ seed }}

union all

select {{ unknown_member() }}, 'Not recorded'
{% endmacro %}
