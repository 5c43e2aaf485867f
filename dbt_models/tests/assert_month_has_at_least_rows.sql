{#- The month in scope (without vars year and month: the whole table) has at least `minimum_rows` trips. A month that was
    never catalogued fails here rather than passing every other test for want of rows. A month known to be empty passes with
    vars: {minimum_rows: 0}; a number no month can reach shows what a failing gate looks like. -#}
select trips
from (
    select count(*) as trips
    from {{ ref('fct_trips') }}
    where {{ in_month_in_scope() }}
) as counted
where trips < {{ var('minimum_rows') | int }}
