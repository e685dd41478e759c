with

delivery as (
    select
        campaign_id, row_id, coalesce(message_id, row_id) as spine_id, message_id, phone, msisdn, sender, message_text,
        status, expires_at,
        row_number() over (partition by campaign_id, coalesce(message_id, row_id) order by row_id) as place,
        count(*) over (partition by campaign_id, coalesce(message_id, row_id)) as row_count
    from {{ ref('stg_passona__delivery') }}
    where {{ changed_only() }}
),

alt_delivery as (
    select
        campaign_id, row_id, coalesce(message_id, row_id) as spine_id, message_id, phone, msisdn, sent_at,
        status_changed_at, status,
        row_number() over (partition by campaign_id, coalesce(message_id, row_id) order by row_id) as place,
        count(*) over (partition by campaign_id, coalesce(message_id, row_id)) as row_count
    from {{ ref('stg_passona__alt_delivery') }}
    where {{ changed_only() }}
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
    from (select * from delivery where place = 1) as delivery
    full outer join (select * from alt_delivery where place = 1) as alt_delivery
        on
            alt_delivery.campaign_id = delivery.campaign_id
            and alt_delivery.spine_id = delivery.spine_id
)

select * from joined
