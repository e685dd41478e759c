with

recipients as (
    select row_id, campaign_id, phone, msisdn from {{ ref('stg_passona__recipient') }}
    where {{ changed_only() }}
),

fields as (
    select row_id, campaign_id, field_name, field_value from {{ ref('stg_passona__recipient_fields') }}
    where {{ changed_only() }}
)

select
    recipients.campaign_id,
    recipients.phone,
    min(recipients.msisdn) as msisdn,
    fields.field_name,
    min(fields.field_value) as field_value,
    min(fields.field_value) <> max(fields.field_value) as has_other_values
from fields
inner join recipients on recipients.campaign_id = fields.campaign_id and recipients.row_id = fields.row_id
group by recipients.campaign_id, recipients.phone, fields.field_name
