with

spine as (
    select * from {{ ref('int_message_spine') }}
),

statuses as (
    select status, outcome from {{ ref('message_statuses') }}
),

decided as (
    select
        spine.*,
        coalesce(statuses.outcome, 'unmapped') as outcome,
        {{ is_gsm7('spine.message_text') }} as is_gsm7,
        {{ sms_units('spine.message_text') }} as sms_units
    from spine
    left join statuses on statuses.status = lower(spine.status)
)

select
    message_key,
    campaign_id,
    account,
    message_id,
    phone,
    msisdn,
    sender,
    status,
    outcome,
    sent_at,
    status_changed_at,
    case
        when outcome in ('delivered', 'failed') and status_changed_at >= sent_at
            then {{ seconds_between('sent_at', 'status_changed_at') }}
    end as delivery_seconds,
    expires_at,
    case when is_gsm7 then 'GSM-7' when not is_gsm7 then 'UCS-2' end as encoding,
    sms_units,
    {{ sms_segments('is_gsm7', 'sms_units') }} as segments,
    found_in,
    is_status_disputed,
    delivery_rows,
    alt_delivery_rows
from decided
