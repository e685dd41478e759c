select
    campaign_id,
    account,
    status,
    outcome,
    count(*) as messages
from {{ ref('messages') }}
where {{ changed_only() }}
group by campaign_id, account, status, outcome
