with

source as (
    select * from {{ source('passona', 'report_ledger') }}
),

-- A row of the ledger counts only while the load that wrote it is complete.
complete_loads as (
    {{ complete_loads() }}
),

renamed as (
    select
        campaign_id,
        report,
        case when complete_loads.load_id is null then 'failed' else state end as report_state,
        case when complete_loads.load_id is not null then verified_at end as verified_at,
        checked_at,
        changed_at,
        pages,
        row_count,
        api_total,
        attempts,
        case when complete_loads.load_id is null then 'interrupted' else error end as error,
        run_id,
        origin,
        suppressed,
        expired_at
    from source
    left join complete_loads on complete_loads.load_id = source._dlt_load_id
)

select * from renamed
