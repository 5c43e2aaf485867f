select id, name from {{ ref('products') }} where id > 0
