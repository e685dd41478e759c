-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'delivery') }}
),

renamed as (
    select
        row_id,
        campaign_id,
        sms_id as message_id,
        recipient as phone,
        {{ msisdn('recipient') }} as msisdn,
        sender,
        message_copy as message_text,
        status,
        expiry_date as expires_at
    from source
)

select * from renamed
