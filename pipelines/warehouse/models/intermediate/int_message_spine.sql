with

delivery as (
    select *, coalesce(message_id, row_id) as spine_id
    from {{ ref('stg_passona__delivery') }}
    where {{ changed_only() }}
),

delivery_twice as (
    {{ told_twice('delivery') }}
),

delivery_once as (
    select delivery.*, coalesce(delivery_twice.row_count, 1) as row_count
    from delivery
    left join delivery_twice
        on
            delivery_twice.campaign_id = delivery.campaign_id
            and delivery_twice.spine_id = delivery.spine_id
    where coalesce(delivery_twice.row_id, delivery.row_id) = delivery.row_id
),

alt_delivery as (
    select *, coalesce(message_id, row_id) as spine_id
    from {{ ref('stg_passona__alt_delivery') }}
    where {{ changed_only() }}
),

alt_delivery_twice as (
    {{ told_twice('alt_delivery') }}
),

alt_delivery_once as (
    select alt_delivery.*, coalesce(alt_delivery_twice.row_count, 1) as row_count
    from alt_delivery
    left join alt_delivery_twice
        on
            alt_delivery_twice.campaign_id = alt_delivery.campaign_id
            and alt_delivery_twice.spine_id = alt_delivery.spine_id
    where coalesce(alt_delivery_twice.row_id, alt_delivery.row_id) = alt_delivery.row_id
),

joined as (
    select
        coalesce(delivery.row_id, alt_delivery.row_id) as message_key,
        coalesce(delivery.campaign_id, alt_delivery.campaign_id) as campaign_id,
        coalesce(delivery.message_id, alt_delivery.message_id) as message_id,
        coalesce(delivery.phone, alt_delivery.phone) as phone,
        coalesce(delivery.msisdn, alt_delivery.msisdn) as msisdn,
        delivery.sender,
        delivery.message_text,
        coalesce(delivery.status, alt_delivery.status) as status,
        case
            when alt_delivery.row_id is null then 'delivery'
            when delivery.row_id is null then 'alt_delivery'
            else 'both'
        end as found_in,
        delivery.status is distinct from alt_delivery.status
        and delivery.row_id is not null and alt_delivery.row_id is not null as is_status_disputed,
        coalesce(delivery.row_count, 0) as delivery_rows,
        coalesce(alt_delivery.row_count, 0) as alt_delivery_rows,
        alt_delivery.sent_at,
        alt_delivery.status_changed_at,
        delivery.expires_at
    from delivery_once as delivery
    full outer join alt_delivery_once as alt_delivery
        on
            alt_delivery.campaign_id = delivery.campaign_id
            and alt_delivery.spine_id = delivery.spine_id
)

select joined.*, changed.account
from joined
inner join {{ ref('int_changed_campaigns') }} as changed on changed.campaign_id = joined.campaign_id
