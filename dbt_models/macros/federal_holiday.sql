{#- The name of the US federal holiday on a date (the holiday itself, not the day of its observance), or null. -#}
{% macro federal_holiday(date) %}
    {%- set month = 'month(' ~ date ~ ')' -%}
    {%- set day = 'day(' ~ date ~ ')' -%}
    {%- set weekday = 'day_of_week(' ~ date ~ ')' -%}
    case
        when {{ month }} = 1 and {{ day }} = 1 then 'New Year''s Day'
        when {{ month }} = 1 and {{ weekday }} = 1 and {{ day }} between 15 and 21 then 'Martin Luther King Jr. Day'
        when {{ month }} = 2 and {{ weekday }} = 1 and {{ day }} between 15 and 21 then 'Washington''s Birthday'
        when {{ month }} = 5 and {{ weekday }} = 1 and {{ day }} between 25 and 31 then 'Memorial Day'
        when {{ month }} = 6 and {{ day }} = 19 and year({{ date }}) >= 2021 then 'Juneteenth'
        when {{ month }} = 7 and {{ day }} = 4 then 'Independence Day'
        when {{ month }} = 9 and {{ weekday }} = 1 and {{ day }} between 1 and 7 then 'Labor Day'
        when {{ month }} = 10 and {{ weekday }} = 1 and {{ day }} between 8 and 14 then 'Columbus Day'
        when {{ month }} = 11 and {{ day }} = 11 then 'Veterans Day'
        when {{ month }} = 11 and {{ weekday }} = 4 and {{ day }} between 22 and 28 then 'Thanksgiving Day'
        when {{ month }} = 12 and {{ day }} = 25 then 'Christmas Day'
    end
{% endmacro %}
