{{ config(materialized='table') }}

-- depends_on: {{ ref('campaigns') }}
-- depends_on: {{ ref('links') }}
-- depends_on: {{ ref('devices') }}
-- depends_on: {{ ref('campaign_hours') }}
-- depends_on: {{ ref('campaign_statuses') }}
-- depends_on: {{ ref('unsent_reasons') }}
-- depends_on: {{ ref('recipient_fields') }}
-- depends_on: {{ ref('int_recipient_groups') }}
select campaign_id, version from {{ ref('int_campaign_versions') }}
where campaign_id not in (select campaign_id from {{ ref('int_unverified_campaigns') }})
union all
-- No version of these is built, so the build after the next load does them.
select campaign_id, 'unverified' from {{ ref('int_unverified_campaigns') }}
