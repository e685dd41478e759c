-- Each load replaces a campaign's report whole, so the load that brought its rows tells whether they changed;
-- the number of rows, whether some were taken out of it. Rows of the marts name the account, so it counts, too.
with

reports as (
    select
        campaign_id,
        {{ listed("report || ' ' || load_id || ' ' || row_count", 'report') }} as loads
    from {{ ref('int_report_rows') }}
    group by campaign_id
)

select
    reports.campaign_id,
    {{ account_of('campaigns') }} || ': ' || reports.loads as version,
    {{ account_of('campaigns') }} as account
from reports
left join {{ ref('stg_passona__campaigns') }} as campaigns on campaigns.campaign_id = reports.campaign_id
