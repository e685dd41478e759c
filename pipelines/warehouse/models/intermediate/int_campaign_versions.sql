-- Each load replaces a campaign's report whole, so the load that brought its rows tells whether they changed;
-- the number of rows, whether some were taken out of it.
select
    campaign_id,
    {{ listed("report || ' ' || load_id || ' ' || row_count", 'report') }} as version
from {{ ref('int_report_rows') }}
group by campaign_id
