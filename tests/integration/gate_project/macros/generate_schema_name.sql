{#- finance lies beside the target's schema, in production and elsewhere. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ target.schema }}{{ '_x_' ~ custom_schema_name | trim if custom_schema_name }}
{%- endmacro %}
