with

sent as (
    select campaign_id, account, {{ hour_start('sent_at', 'account') }} as hour_at, count(*) as messages_sent
    from {{ ref('messages') }}
    where {{ changed_only() }} and sent_at is not null
    group by campaign_id, account, {{ hour_start('sent_at', 'account') }}
),

clicked as (
    select
        campaign_id,
        account,
        {{ hour_start('clicked_at', 'account') }} as hour_at,
        count(*) as clicks,
        {{ count_if("click_class = 'human'") }} as human_clicks,
        {{ count_if("click_class = 'preview'") }} as preview_clicks,
        {{ count_if("click_class = 'bot'") }} as bot_clicks,
        {{ count_if("click_class = 'unknown'") }} as unknown_clicks,
        {{ count_if("is_time_ambiguous") }} as clicks_with_ambiguous_time
    from {{ ref('clicks') }}
    where {{ changed_only() }} and clicked_at is not null
    group by campaign_id, account, {{ hour_start('clicked_at', 'account') }}
),

first_hours as (
    select campaign_id, min(hour_at) as first_hour_at from sent group by campaign_id
),

hours as (
    select
        coalesce(sent.campaign_id, clicked.campaign_id) as campaign_id,
        coalesce(sent.account, clicked.account) as account,
        coalesce(sent.hour_at, clicked.hour_at) as hour_at,
        coalesce(sent.messages_sent, 0) as messages_sent,
        coalesce(clicked.clicks, 0) as clicks,
        coalesce(clicked.human_clicks, 0) as human_clicks,
        coalesce(clicked.preview_clicks, 0) as preview_clicks,
        coalesce(clicked.bot_clicks, 0) as bot_clicks,
        coalesce(clicked.unknown_clicks, 0) as unknown_clicks,
        coalesce(clicked.clicks_with_ambiguous_time, 0) as clicks_with_ambiguous_time
    from sent
    full outer join clicked on clicked.campaign_id = sent.campaign_id and clicked.hour_at = sent.hour_at
)

select
    hours.campaign_id,
    hours.account,
    hours.hour_at,
    {{ wall_clock('hours.hour_at', 'hours.account') }} as local_hour,
    cast(floor({{ seconds_between('first_hours.first_hour_at', 'hours.hour_at') }} / 3600) as bigint)
        as hours_since_sending,
    hours.messages_sent,
    hours.clicks,
    hours.human_clicks,
    hours.preview_clicks,
    hours.bot_clicks,
    hours.unknown_clicks,
    hours.clicks_with_ambiguous_time
from hours
left join first_hours on first_hours.campaign_id = hours.campaign_id
