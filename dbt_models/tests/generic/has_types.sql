{#- The model's columns have exactly these types in the Data Catalog: {column: type}. Contracts compare a type without its
    precision, so decimal(10,2) and decimal(38,0) are equal there. -#}
{% test has_types(model, types) %}
{%- set found = {} -%}
{%- if execute -%}
    {%- for column in adapter.get_columns_in_relation(model) -%}
        {%- do found.update({column.name: column.dtype}) -%}
    {%- endfor -%}
{%- endif -%}
select column_name, expected_type, found_type
from (
    values
    {%- for name, expected in types.items() %}
    ('{{ name }}', '{{ expected }}', '{{ found.get(name, 'no such column') }}'){{ ',' if not loop.last }}
    {%- endfor %}
) as types (column_name, expected_type, found_type)
where expected_type != found_type
{% endtest %}
