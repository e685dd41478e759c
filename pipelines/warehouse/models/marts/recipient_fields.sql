with

recipients as (
    select recipient.row_id, recipient.campaign_id, changed.account, recipient.phone
    from {{ ref('stg_passona__recipient') }} as recipient
    inner join {{ ref('int_changed_campaigns') }} as changed on changed.campaign_id = recipient.campaign_id
),

fields as (
    select row_id, campaign_id, field_name, field_value from {{ ref('stg_passona__recipient_fields') }}
    where {{ changed_only() }}
),

values_of_phones as (
    select
        recipients.campaign_id,
        recipients.account,
        recipients.phone,
        fields.field_name,
        min(fields.field_value) as field_value,
        max(fields.field_value) as last_value
    from fields
    inner join recipients on recipients.row_id = fields.row_id
    group by recipients.campaign_id, recipients.account, recipients.phone, fields.field_name
)

select
    campaign_id,
    account,
    phone,
    {{ msisdn('phone') }} as msisdn,
    field_name,
    field_value,
    field_value <> last_value as has_other_values
from values_of_phones
