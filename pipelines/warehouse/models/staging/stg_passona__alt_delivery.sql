-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'alt_delivery') }}
),

renamed as (
    select
        row_id,
        campaign_id,
        message_id,
        mobile as phone,
        {{ msisdn('mobile') }} as msisdn,
        message_sent as sent_at,
        message_update as status_changed_at,
        status
    from source
)

select * from renamed
