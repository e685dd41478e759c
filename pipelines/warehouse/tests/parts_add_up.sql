-- What the other marts divide adds up to the figures of `campaigns`.
with

parts as (
    select campaign_id, 'statuses' as part, sum(messages) as total from {{ ref('campaign_statuses') }}
    group by campaign_id
    union all
    select campaign_id, 'reasons', sum(messages) from {{ ref('unsent_reasons') }} group by campaign_id
    union all
    select campaign_id, 'links', sum(clicks) from {{ ref('links') }} group by campaign_id
    union all
    select campaign_id, 'devices', sum(clicks) from {{ ref('devices') }} group by campaign_id
    union all
    select campaign_id, 'humans', sum(case when click_class = 'human' then clicks else 0 end)
    from {{ ref('devices') }} group by campaign_id
),

figures as (
    select campaign_id, 'statuses' as part, sent as total from {{ ref('campaigns') }}
    union all
    select campaign_id, 'reasons', unsent from {{ ref('campaigns') }}
    union all
    select campaign_id, 'links', clicks from {{ ref('campaigns') }}
    union all
    select campaign_id, 'devices', clicks from {{ ref('campaigns') }}
    union all
    select campaign_id, 'humans', human_clicks from {{ ref('campaigns') }}
)

select figures.campaign_id, figures.part, figures.total, parts.total as total_of_parts
from figures
full outer join parts on parts.campaign_id = figures.campaign_id and parts.part = figures.part
where coalesce(figures.total, 0) <> coalesce(parts.total, 0)
