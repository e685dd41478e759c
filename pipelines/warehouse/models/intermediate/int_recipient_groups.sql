{{ config(materialized='incremental' if target.type != 'spark' else 'table') }}

with

memberships as (
    select campaign_id, phone, group_name, count(*) as recipient_rows
    from {{ ref('stg_passona__recipient') }}
    where {{ changed_only() }}
    group by campaign_id, phone, group_name
)

select
    campaign_id,
    phone,
    {{ msisdn('phone') }} as msisdn,
    group_name,
    recipient_rows
from memberships
