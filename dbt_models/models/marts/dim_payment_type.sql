{{ dimension_with_unknown(ref('payment_types'), 'payment_type_id', 'payment_type') }}
