-- The campaigns' figures account for every row of their reports.
with

held as (
    select
        campaign_id,
        {%- for report in reports() %}
        sum(case when report = '{{ report }}' then row_count else 0 end) as {{ report }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('int_report_rows') }}
    group by campaign_id
),

spine as (
    select campaign_id, sum(delivery_rows) as delivery, sum(alt_delivery_rows) as alt_delivery
    from {{ ref('messages') }}
    where {{ changed_only() }}
    group by campaign_id
)

select held.*
from held
inner join {{ ref('int_changed_campaigns') }} as changed on changed.campaign_id = held.campaign_id
left join {{ ref('campaigns') }} as campaigns on campaigns.campaign_id = held.campaign_id
left join spine on spine.campaign_id = held.campaign_id
where
    campaigns.campaign_id is null
    or held.clicks <> campaigns.clicks
    or held.recipient <> campaigns.recipients_in_groups
    or held.sent <> campaigns.batches
    or held.unsent <> campaigns.unsent
    or held.delivery <> coalesce(spine.delivery, 0)
    or held.alt_delivery <> coalesce(spine.alt_delivery, 0)
