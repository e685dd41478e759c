with

reasons as (
    select campaign_id, reason, count(*) as messages
    from {{ ref('stg_passona__unsent') }}
    where {{ changed_only() }}
    group by campaign_id, reason
),

totals as (
    select campaign_id, sum(messages) as messages from reasons group by campaign_id
)

select
    reasons.campaign_id,
    reasons.reason,
    reasons.messages,
    {{ ratio('reasons.messages', 'totals.messages') }} as messages_per_unsent
from reasons
inner join totals on totals.campaign_id = reasons.campaign_id
