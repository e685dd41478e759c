select
    campaign_id,
    account,
    click_class,
    device_class,
    os_family,
    browser_family,
    count(*) as clicks,
    count(distinct phone) as clickers
from {{ ref('clicks') }}
where {{ changed_only() }}
group by campaign_id, account, click_class, device_class, os_family, browser_family
