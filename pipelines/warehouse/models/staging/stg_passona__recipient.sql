-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'recipient') }}
),

renamed as (
    select
        row_id,
        campaign_id,
        phone_number as phone,
        {{ msisdn('phone_number') }} as msisdn,
        group_name,
        group_description
    from source
)

select * from renamed
