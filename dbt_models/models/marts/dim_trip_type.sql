{{ dimension_with_unknown(ref('trip_types'), 'trip_type_id', 'trip_type') }}
