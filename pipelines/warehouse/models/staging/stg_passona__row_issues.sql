with

source as (
    select * from {{ source('passona', 'row_issues') }}
),

renamed as (
    select
        campaign_id,
        report,
        row_id,
        column_name,
        raw_value,
        issue
    from source
)

select * from renamed
