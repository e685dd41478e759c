{#- Messages that a report tells more than once: which row speaks for them, and how many there are. Few if any,
    so what is large is grouped by one text alone. -#}
{% macro told_twice(report) -%}
    select campaign_id, spine_id, min(row_id) as row_id, count(*) as row_count
    from {{ report }}
    where spine_id in (select spine_id from {{ report }} group by spine_id having count(*) > 1)
    group by campaign_id, spine_id
{%- endmacro %}
