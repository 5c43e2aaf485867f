{#- The counts of load_audit, in its order: a column rejected_<reason> or suspect_<mark> for each. The names are those of
    the Glue script's trips/arguments.py, and a test compares the two. -#}
{% macro rejection_reasons() %}
    {{ return([
        'pickup_missing', 'dropoff_missing', 'pickup_outside_month', 'dropoff_before_pickup', 'trip_too_long',
        'distance_missing', 'distance_negative', 'location_unknown', 'total_missing', 'total_implausible',
        'uncastable', 'duplicate'
    ]) }}
{% endmacro %}


{% macro suspect_marks() %}
    {{ return(['duration_long', 'distance_implausible', 'clock_change', 'time_stuck']) }}
{% endmacro %}


{#- The names of the counting columns. -#}
{% macro audited_counts() %}
    {%- set names = [] -%}
    {%- for reason in rejection_reasons() -%}{%- do names.append('rejected_' ~ reason) -%}{%- endfor -%}
    {%- for mark in suspect_marks() -%}{%- do names.append('suspect_' ~ mark) -%}{%- endfor -%}
    {{ return(names) }}
{% endmacro %}
