with

reasons as (
    select unsent.campaign_id, changed.account, unsent.reason, count(*) as messages
    from {{ ref('stg_passona__unsent') }} as unsent
    inner join {{ ref('int_changed_campaigns') }} as changed on changed.campaign_id = unsent.campaign_id
    group by unsent.campaign_id, changed.account, unsent.reason
),

totals as (
    select campaign_id, sum(messages) as messages from reasons group by campaign_id
)

select
    reasons.campaign_id,
    reasons.account,
    reasons.reason,
    reasons.messages,
    {{ ratio('reasons.messages', 'totals.messages') }} as messages_per_unsent
from reasons
inner join totals on totals.campaign_id = reasons.campaign_id
