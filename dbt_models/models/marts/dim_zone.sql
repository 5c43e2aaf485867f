select
    location_id,
    borough,
    zone,
    service_zone,
    -- Newark, JFK, LaGuardia
    location_id in (1, 132, 138) as is_airport
from {{ ref('zones') }}

union all

-- Not zone 264, which is a code of the TLC's own: here the record names no zone at all.
select {{ unknown_member() }}, 'Not recorded', 'Not recorded', 'Not recorded', false
