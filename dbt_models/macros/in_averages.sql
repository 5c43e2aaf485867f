{#- Whether a trip belongs in averages: a reversal is no trip, and what a suspect row says of its length is not so. -#}
{% macro in_averages(prefix='') -%}
    not {{ prefix }}is_reversal and not {{ prefix }}is_suspect
{%- endmacro %}
