{{ config(materialized='table') }}

-- Each load replaces a campaign's report whole, so the load that brought its rows tells whether they changed.
with

loads as (
    {%- for report in ['clicks', 'delivery', 'alt_delivery', 'recipient', 'sent', 'unsent'] %}
    select campaign_id, '{{ report }}' as report, max(_dlt_load_id) as load_id, count(*) as row_count
    from {{ source('passona', report) }}
    group by campaign_id
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
),

versions as (
    select
        campaign_id,
        string_agg(report || ' ' || load_id || ' ' || row_count, ', ' order by report) as loads
    from loads
    group by campaign_id
)

select campaign_id, loads || ', {{ var("project_version") }}, {{ var("timezone") }}' as version
from versions
