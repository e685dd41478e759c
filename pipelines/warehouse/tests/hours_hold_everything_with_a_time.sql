-- Every message and every click that has a time stands in one hour.
with

hours as (
    select campaign_id, sum(messages_sent) as messages_sent, sum(clicks) as clicks
    from {{ ref('campaign_hours') }}
    where {{ changed_only() }}
    group by campaign_id
),

sent as (
    select campaign_id, count(sent_at) as messages_sent from {{ ref('messages') }}
    where {{ changed_only() }}
    group by campaign_id
),

clicked as (
    select campaign_id, count(clicked_at) as clicks from {{ ref('clicks') }}
    where {{ changed_only() }}
    group by campaign_id
)

select hours.*
from hours
left join sent on sent.campaign_id = hours.campaign_id
left join clicked on clicked.campaign_id = hours.campaign_id
where
    hours.messages_sent <> coalesce(sent.messages_sent, 0)
    or hours.clicks <> coalesce(clicked.clicks, 0)
