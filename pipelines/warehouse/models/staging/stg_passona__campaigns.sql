with

source as (
    select * from {{ source('passona', 'campaigns') }}
),

renamed as (
    select
        campaign_id,
        team_id,
        name as campaign_name,
        sender,
        status as vendor_status,
        scheduled_send_date as scheduled_at,
        started_sending_at,
        finished_sending_at,
        expiry_date as expires_at,
        template_id,
        created_at,
        updated_at,
        listed as is_listed,
        {{ account_of('source') }} as account
    from source
)

select * from renamed
