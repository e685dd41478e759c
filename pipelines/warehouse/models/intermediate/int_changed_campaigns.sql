{{ config(materialized='table') }}

{%- set everything = flags.FULL_REFRESH or not is_all_built() %}

with

versions as (
    select campaign_id, version from {{ ref('int_campaign_versions') }}
),

built as (
    {%- if everything %}
    select campaign_id, version from versions where 1 = 0
    {%- else %}
    select campaign_id, version from {{ int_relation('int_built_campaigns') }}
    {%- endif %}
)

select coalesce(versions.campaign_id, built.campaign_id) as campaign_id
from versions
full outer join built on built.campaign_id = versions.campaign_id
where versions.version is distinct from built.version
