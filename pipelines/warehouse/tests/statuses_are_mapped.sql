-- A status that the seed message_statuses does not know counts as unmapped, and is told here: add it to the seed.
{{ config(severity='warn') }}

select status, sum(messages) as messages
from {{ ref('campaign_statuses') }}
where outcome = 'unmapped'
group by status
