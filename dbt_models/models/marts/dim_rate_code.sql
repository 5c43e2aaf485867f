{{ dimension_with_unknown(ref('rate_codes'), 'rate_code_id', 'rate_code') }}
