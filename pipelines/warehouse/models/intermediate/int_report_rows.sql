{{ config(materialized='table') }}

{%- for report in reports() %}
select
    campaign_id,
    '{{ report }}' as report,
    max(_dlt_load_id) as load_id,
    count(*) as row_count
from {{ source('passona', report) }}
group by campaign_id
{%- if not loop.last %}
union all
{%- endif %}
{%- endfor %}
