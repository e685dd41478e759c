{{ config(materialized='table') }}

-- A load that was killed or failed while it wrote leaves a report of which nobody knows whether it is whole.
with

complete_loads as (
    {{ complete_loads() }}
),

ledger as (
    select
        campaign_id,
        report,
        row_count,
        expired_at is not null or (verified_at is not null and complete_loads.load_id is not null) as is_vouched_for
    from {{ source('passona', 'report_ledger') }} as source
    left join complete_loads on complete_loads.load_id = source._dlt_load_id
)

select distinct coalesce(held.campaign_id, ledger.campaign_id) as campaign_id
from {{ ref('int_report_rows') }} as held
full outer join ledger on ledger.campaign_id = held.campaign_id and ledger.report = held.report
where
    not coalesce(ledger.is_vouched_for, false)
    -- A report that never came has an entry without a count, and no rows.
    and (held.campaign_id is not null or ledger.row_count is not null)
