select
    campaign_id,
    account,
    link_name,
    link_destination,
    count(*) as clicks,
    {{ count_if("click_class = 'human'") }} as human_clicks,
    {{ count_if("click_class = 'preview'") }} as preview_clicks,
    {{ count_if("click_class = 'bot'") }} as bot_clicks,
    {{ count_if("click_class = 'unknown'") }} as unknown_clicks,
    count(distinct phone) as clickers,
    count(distinct case when click_class = 'human' then phone end) as human_clickers,
    min(clicked_at) as first_clicked_at,
    max(clicked_at) as last_clicked_at
from {{ ref('clicks') }}
where {{ changed_only() }}
group by campaign_id, account, link_name, link_destination
