-- Of a verified report the tables hold as many rows as the ledger says.
with

ledger as (
    select campaign_id, report, row_count from {{ ref('stg_passona__report_ledger') }}
    where verified_at is not null
),

held as (
    select campaign_id, report, row_count from {{ ref('int_report_rows') }}
)

select ledger.campaign_id, ledger.report, ledger.row_count, held.row_count as rows_held
from ledger
left join held on held.campaign_id = ledger.campaign_id and held.report = ledger.report
where ledger.row_count <> coalesce(held.row_count, 0)
