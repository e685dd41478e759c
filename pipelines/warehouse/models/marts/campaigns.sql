{{ config(materialized='table') }}

with

campaigns as (
    select * from {{ ref('stg_passona__campaigns') }}
),

totals as (
    select * from {{ ref('int_campaign_totals') }}
),

ledger as (
    select
        campaign_id,
        {%- for report in reports() %}
        max(case when report = '{{ report }}' then report_state end) as {{ report }}_state,
        {%- endfor %}
        {{ count_if("report_state = 'settled'") }} as settled_reports,
        {{ count_if("verified_at is not null") }} as verified_reports,
        min(verified_at) as oldest_verified_at
    from {{ ref('stg_passona__report_ledger') }}
    group by campaign_id
),

reasons as (
    select
        campaign_id,
        {{ listed("coalesce(reason, 'no reason') || ' ' || messages", 'messages desc, reason nulls last') }}
            as unsent_reasons
    from {{ ref('unsent_reasons') }}
    group by campaign_id
),

-- A campaign that the list did not show has reports in the ledger all the same.
ids as (
    select campaign_id from campaigns
    union
    select campaign_id from ledger
    union
    select campaign_id from totals
),

counted as (
    select
        ids.campaign_id,
        coalesce(totals.targeted, 0) as targeted,
        coalesce(totals.recipients_in_groups, 0) as recipients_in_groups,
        coalesce(totals.batches, 0) as batches,
        coalesce(totals.batch_recipients, 0) as batch_recipients,
        coalesce(totals.messages, 0) as sent,
        coalesce(totals.delivered, 0) as delivered,
        coalesce(totals.failed, 0) as failed,
        coalesce(totals.pending, 0) as pending,
        coalesce(totals.unmapped, 0) as unmapped,
        coalesce(totals.unsent, 0) as unsent,
        coalesce(totals.messages_in_one_report, 0) as messages_in_one_report,
        coalesce(totals.messages_without_msisdn, 0) as messages_without_msisdn,
        coalesce(totals.messages_without_text, 0) as messages_without_text,
        coalesce(totals.segments, 0) as segments,
        coalesce(totals.clicks, 0) as clicks,
        coalesce(totals.human_clicks, 0) as human_clicks,
        coalesce(totals.preview_clicks, 0) as preview_clicks,
        coalesce(totals.bot_clicks, 0) as bot_clicks,
        coalesce(totals.unknown_clicks, 0) as unknown_clicks,
        coalesce(totals.clickers, 0) as clickers,
        coalesce(totals.human_clickers, 0) as human_clickers,
        coalesce(totals.clicks_without_message, 0) as clicks_without_message,
        coalesce(totals.clicks_within_10s, 0) as clicks_within_10s,
        coalesce(totals.human_clicks_within_10s, 0) as human_clicks_within_10s,
        coalesce(totals.timed_clicks, 0) as timed_clicks,
        coalesce(totals.timed_human_clicks, 0) as timed_human_clicks,
        totals.first_sent_at,
        totals.last_sent_at,
        totals.delivery_seconds_median,
        totals.delivery_seconds_p90,
        totals.seconds_to_human_click_median,
        totals.seconds_to_human_click_p90
    from ids
    left join totals on totals.campaign_id = ids.campaign_id
    where
        totals.campaign_id is not null
        or ids.campaign_id not in (select campaign_id from {{ ref('int_unverified_campaigns') }})
)

select
    counted.campaign_id,
    {{ account_of('campaigns') }} as account,
    campaigns.campaign_name,
    campaigns.team_id,
    campaigns.sender,
    campaigns.scheduled_at,
    campaigns.started_sending_at,
    campaigns.finished_sending_at,
    campaigns.expires_at,
    coalesce(campaigns.is_listed, false) as is_listed,

    counted.targeted,
    counted.sent,
    counted.delivered,
    counted.failed,
    counted.pending,
    counted.unmapped,
    counted.unsent,
    counted.targeted - counted.sent - counted.unsent as residual,
    counted.recipients_in_groups,
    counted.batches,
    counted.batch_recipients,
    counted.batch_recipients - counted.sent as batch_residual,
    reasons.unsent_reasons,

    {{ ratio('counted.delivered', '(counted.delivered + counted.failed)') }} as delivered_per_final,
    {{ ratio('counted.delivered', 'counted.sent') }} as delivered_per_sent,
    {{ ratio('counted.pending', 'counted.sent') }} as pending_per_sent,
    {{ ratio('counted.unsent', 'counted.targeted') }} as unsent_per_targeted,

    counted.clicks,
    counted.human_clicks,
    counted.preview_clicks,
    counted.bot_clicks,
    counted.unknown_clicks,
    counted.clickers,
    counted.human_clickers,
    {{ ratio('counted.human_clickers', 'counted.delivered') }} as human_clickers_per_delivered,

    counted.first_sent_at,
    counted.last_sent_at,
    counted.delivery_seconds_median,
    counted.delivery_seconds_p90,
    counted.seconds_to_human_click_median,
    counted.seconds_to_human_click_p90,
    {{ ratio('counted.clicks_within_10s', 'counted.timed_clicks') }} as clicks_within_10s_per_timed_click,
    {{ ratio('counted.human_clicks_within_10s', 'counted.timed_human_clicks') }}
        as human_clicks_within_10s_per_timed_human_click,
    counted.clicks_without_message,

    counted.segments,
    counted.messages_without_text,
    counted.messages_without_msisdn,
    counted.messages_in_one_report,
{% for report in reports() %}
    coalesce(ledger.{{ report }}_state, 'never loaded') as {{ report }}_state,
{%- endfor %}
    coalesce(ledger.settled_reports, 0) = {{ reports() | length }} as is_final,
    case when ledger.verified_reports = {{ reports() | length }} then ledger.oldest_verified_at end as verified_at
from counted
left join campaigns on campaigns.campaign_id = counted.campaign_id
left join ledger on ledger.campaign_id = counted.campaign_id
left join reasons on reasons.campaign_id = counted.campaign_id
