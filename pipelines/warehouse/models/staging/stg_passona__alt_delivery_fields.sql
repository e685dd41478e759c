-- depends_on: {{ ref('int_changed_campaigns') }}  its tests look at those campaigns alone
with

source as (
    select * from {{ source('passona', 'alt_delivery__fields') }}
),

renamed as (
    select
        row_id,
        campaign_id,
        position,
        name as field_name,
        value as field_value
    from source
)

select * from renamed
