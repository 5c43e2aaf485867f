{#- The month in scope (without vars year and month: the whole table) has at least `minimum_rows` trips. A month that was
    never catalogued has no rows, and so passes every other test: it fails here. A month known to be empty passes with
    vars: {minimum_rows: 0}; a very large number shows a failing test. -#}
select trips
from (
    select count(*) as trips
    from {{ ref('fct_trips') }}
    where {{ in_month_in_scope() }}
) as counted
where trips < {{ var('minimum_rows') | int }}
