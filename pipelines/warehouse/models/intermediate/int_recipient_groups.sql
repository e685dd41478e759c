select
    campaign_id,
    phone,
    group_name,
    min(msisdn) as msisdn,
    min(group_description) as group_description,
    count(*) as recipient_rows
from {{ ref('stg_passona__recipient') }}
group by campaign_id, phone, group_name
