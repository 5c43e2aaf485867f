{{ dimension_with_unknown(ref('vendors'), 'vendor_id', 'vendor') }}
