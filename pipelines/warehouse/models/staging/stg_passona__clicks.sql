-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'clicks') }}
),

renamed as (
    select
        row_id as click_id,
        campaign_id,
        phone_number as phone,
        {{ msisdn('phone_number') }} as msisdn,
        link_name,
        link_destination,
        clicked_at,
        user_agent,
        device_type as vendor_device_type,
        os_version as vendor_os_version,
        browser_version as vendor_browser_version
    from source
)

select * from renamed
