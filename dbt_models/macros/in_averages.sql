{#- True for trips that count in averages: a reversal is not a trip, and the length of a suspect one is doubtful. -#}
{% macro in_averages(prefix='') -%}
    not {{ prefix }}is_reversal and not {{ prefix }}is_suspect
{%- endmacro %}
