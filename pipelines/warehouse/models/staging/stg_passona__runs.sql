with

source as (
    select * from {{ source('passona', 'runs') }}
),

renamed as (
    select
        run_id,
        verb,
        outcome,
        started_at,
        finished_at,
        requests,
        row_count,
        version,
        erased
    from source
)

select * from renamed
