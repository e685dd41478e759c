-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'unsent') }}
),

renamed as (
    select
        row_id,
        campaign_id,
        message_id as vendor_message_id,
        mobile as phone,
        {{ msisdn('mobile') }} as msisdn,
        reason
    from source
)

select * from renamed
