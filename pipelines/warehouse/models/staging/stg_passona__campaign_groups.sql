with

source as (
    select * from {{ source('passona', 'campaigns__contact_groups') }}
),

renamed as (
    select
        campaign_id,
        contact_group_id,
        included as is_included,
        position
    from source
)

select * from renamed
