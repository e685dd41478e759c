{{ config(materialized='incremental' if target.type != 'spark' else 'table') }}

with

message_totals as (
    select
        campaign_id,
        count(*) as messages,
        {{ count_if("outcome = 'delivered'") }} as delivered,
        {{ count_if("outcome = 'failed'") }} as failed,
        {{ count_if("outcome = 'pending'") }} as pending,
        {{ count_if("outcome = 'unmapped'") }} as unmapped,
        {{ count_if("found_in <> 'both'") }} as messages_in_one_report,
        {{ count_if("msisdn is null") }} as messages_without_msisdn,
        {{ count_if("segments is null") }} as messages_without_text,
        sum(segments) as segments,
        min(sent_at) as first_sent_at,
        max(sent_at) as last_sent_at,
        {{ quantile(0.5, 'delivery_seconds') }} as delivery_seconds_median,
        {{ quantile(0.9, 'delivery_seconds') }} as delivery_seconds_p90
    from {{ ref('messages') }}
    where {{ changed_only() }}
    group by campaign_id
),

click_totals as (
    select
        campaign_id,
        count(*) as clicks,
        {{ count_if("click_class = 'human'") }} as human_clicks,
        {{ count_if("click_class = 'preview'") }} as preview_clicks,
        {{ count_if("click_class = 'bot'") }} as bot_clicks,
        {{ count_if("click_class = 'unknown'") }} as unknown_clicks,
        {{ count_if("message_key is null") }} as clicks_without_message,
        {{ count_if("seconds_to_click <= 10") }} as clicks_within_10s,
        {{ count_if("click_class = 'human' and seconds_to_click <= 10") }} as human_clicks_within_10s,
        {{ count_if("seconds_to_click is not null") }} as timed_clicks,
        {{ count_if("click_class = 'human' and seconds_to_click is not null") }} as timed_human_clicks,
        count(distinct phone) as clickers,
        count(distinct case when click_class = 'human' then phone end) as human_clickers,
        {{ quantile(0.5, "case when click_class = 'human' then seconds_to_click end") }}
            as seconds_to_human_click_median,
        {{ quantile(0.9, "case when click_class = 'human' then seconds_to_click end") }} as seconds_to_human_click_p90
    from {{ ref('clicks') }}
    where {{ changed_only() }}
    group by campaign_id
),

recipient_totals as (
    select campaign_id, count(distinct phone) as targeted, count(*) as recipients_in_groups
    from {{ ref('stg_passona__recipient') }}
    where {{ changed_only() }}
    group by campaign_id
),

unsent_totals as (
    select campaign_id, count(*) as unsent
    from {{ ref('stg_passona__unsent') }}
    where {{ changed_only() }}
    group by campaign_id
),

batch_totals as (
    select campaign_id, count(*) as batches, sum(recipients) as batch_recipients
    from {{ ref('stg_passona__sent') }}
    where {{ changed_only() }}
    group by campaign_id
),

ids as (
    select campaign_id from {{ ref('int_campaign_versions') }}
    where {{ changed_only() }}
)

select
    ids.campaign_id,
    coalesce(recipient_totals.targeted, 0) as targeted,
    coalesce(recipient_totals.recipients_in_groups, 0) as recipients_in_groups,
    coalesce(batch_totals.batches, 0) as batches,
    cast(coalesce(batch_totals.batch_recipients, 0) as bigint) as batch_recipients,
    coalesce(message_totals.messages, 0) as messages,
    coalesce(message_totals.delivered, 0) as delivered,
    coalesce(message_totals.failed, 0) as failed,
    coalesce(message_totals.pending, 0) as pending,
    coalesce(message_totals.unmapped, 0) as unmapped,
    coalesce(unsent_totals.unsent, 0) as unsent,
    coalesce(message_totals.messages_in_one_report, 0) as messages_in_one_report,
    coalesce(message_totals.messages_without_msisdn, 0) as messages_without_msisdn,
    coalesce(message_totals.messages_without_text, 0) as messages_without_text,
    cast(coalesce(message_totals.segments, 0) as bigint) as segments,
    message_totals.first_sent_at,
    message_totals.last_sent_at,
    message_totals.delivery_seconds_median,
    message_totals.delivery_seconds_p90,
    coalesce(click_totals.clicks, 0) as clicks,
    coalesce(click_totals.human_clicks, 0) as human_clicks,
    coalesce(click_totals.preview_clicks, 0) as preview_clicks,
    coalesce(click_totals.bot_clicks, 0) as bot_clicks,
    coalesce(click_totals.unknown_clicks, 0) as unknown_clicks,
    coalesce(click_totals.clickers, 0) as clickers,
    coalesce(click_totals.human_clickers, 0) as human_clickers,
    coalesce(click_totals.clicks_without_message, 0) as clicks_without_message,
    coalesce(click_totals.clicks_within_10s, 0) as clicks_within_10s,
    coalesce(click_totals.human_clicks_within_10s, 0) as human_clicks_within_10s,
    coalesce(click_totals.timed_clicks, 0) as timed_clicks,
    coalesce(click_totals.timed_human_clicks, 0) as timed_human_clicks,
    click_totals.seconds_to_human_click_median,
    click_totals.seconds_to_human_click_p90
from ids
left join message_totals on message_totals.campaign_id = ids.campaign_id
left join click_totals on click_totals.campaign_id = ids.campaign_id
left join recipient_totals on recipient_totals.campaign_id = ids.campaign_id
left join unsent_totals on unsent_totals.campaign_id = ids.campaign_id
left join batch_totals on batch_totals.campaign_id = ids.campaign_id
