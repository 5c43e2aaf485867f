select
    location_id,
    borough,
    zone,
    service_zone,
    -- Newark, JFK, LaGuardia
    location_id in (1, 132, 138) as is_airport
from {{ ref('zones') }}

union all

-- Not zone 264, which is one of the TLC's codes: here the record has no zone.
select {{ unknown_member() }}, 'Not recorded', 'Not recorded', 'Not recorded', false
