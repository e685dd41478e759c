-- Every row of a mart names the account that its campaign has in `campaigns`.
{%- set built = ['messages', 'clicks', 'recipient_fields'] %}
with

accounts as (
    {%- for mart in built + ['campaign_statuses', 'unsent_reasons', 'links', 'devices', 'campaign_hours'] %}
    select '{{ mart }}' as mart, campaign_id, account from {{ ref(mart) }}
    {%- if mart in built %}
    where {{ changed_only() }}
    {%- endif %}
    group by campaign_id, account
    {%- if not loop.last %}
    union all
    {%- endif %}
    {%- endfor %}
)

select accounts.*
from accounts
left join {{ ref('campaigns') }} as campaigns on campaigns.campaign_id = accounts.campaign_id
where accounts.account is distinct from campaigns.account
