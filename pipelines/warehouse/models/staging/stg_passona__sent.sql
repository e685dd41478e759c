-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'sent') }}
),

renamed as (
    select
        row_id,
        campaign_id,
        message_id as vendor_message_id,
        brand as sender,
        sent_on as sent_at,
        recipient_count as recipients,
        template_api_id as template_id,
        template_name,
        message as template_text
    from source
)

select * from renamed
