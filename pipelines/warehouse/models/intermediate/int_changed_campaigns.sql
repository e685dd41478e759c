{{ config(materialized='table') }}

{%- set everything = flags.FULL_REFRESH or not is_all_built() %}

with

versions as (
    select campaign_id, version, account from {{ ref('int_campaign_versions') }}
),

-- Personal data of these are given up: what was built while they were there is kept as it is. From the source:
-- behind the staged ledger, all would wait for the ledger's tests.
expired as (
    select distinct campaign_id from {{ source('passona', 'report_ledger') }} where expired_at is not null
),

built as (
    {%- if everything and not is_all_built() %}
    select campaign_id, version from versions where 1 = 0
    {%- elif everything %}
    select campaign_id, version from {{ int_relation('int_built_campaigns') }}
    where campaign_id in (select campaign_id from expired)
    {%- else %}
    select campaign_id, version from {{ int_relation('int_built_campaigns') }}
    {%- endif %}
)

select coalesce(versions.campaign_id, built.campaign_id) as campaign_id, versions.account
from versions
full outer join built on built.campaign_id = versions.campaign_id
where
    versions.version is distinct from built.version
    and not (built.campaign_id is not null and built.campaign_id in (select campaign_id from expired))
    -- What was built of these stays, until a load has made them whole again.
    and coalesce(versions.campaign_id, built.campaign_id) not in (
        select campaign_id from {{ ref('int_unverified_campaigns') }}
    )
