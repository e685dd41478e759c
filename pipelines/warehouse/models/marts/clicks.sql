with

clicks as (
    select clicks.*, changed.account
    from {{ ref('stg_passona__clicks') }} as clicks
    inner join {{ ref('int_changed_campaigns') }} as changed on changed.campaign_id = clicks.campaign_id
),

agents as (
    select * from {{ ref('int_user_agents') }}
),

ambiguous as (
    select distinct campaign_id, row_id
    from {{ ref('stg_passona__row_issues') }}
    where report = 'clicks' and column_name = 'clicked_at' and issue = 'ambiguous_time'
),

-- A phone with several messages of a campaign clicked the last one before the click.
messages_before as (
    select
        clicks.click_id,
        messages.message_key,
        messages.sent_at,
        row_number() over (
            partition by clicks.click_id order by messages.sent_at desc, messages.message_key
        ) as place
    from clicks
    inner join {{ ref('messages') }} as messages
        on
            messages.campaign_id = clicks.campaign_id
            and messages.phone = clicks.phone
            and messages.sent_at <= clicks.clicked_at
),

joined as (
    select
        clicks.click_id,
        clicks.campaign_id,
        clicks.account,
        clicks.phone,
        clicks.msisdn,
        clicks.link_name,
        clicks.link_destination,
        clicks.clicked_at,
        ambiguous.row_id is not null as is_time_ambiguous,
        agents.click_class,
        agents.click_rule,
        agents.device_class,
        agents.os_family,
        agents.browser_family,
        clicks.user_agent,
        messages_before.message_key,
        {{ seconds_between('messages_before.sent_at', 'clicks.clicked_at') }} as seconds_to_click
    from clicks
    inner join agents on agents.user_agent = coalesce(clicks.user_agent, '')
    left join messages_before on messages_before.click_id = clicks.click_id and messages_before.place = 1
    left join ambiguous on ambiguous.campaign_id = clicks.campaign_id and ambiguous.row_id = clicks.click_id
)

select * from joined
