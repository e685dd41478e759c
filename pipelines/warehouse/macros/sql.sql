{#- `+` and the digits where they are a phone number, NULL where they are not. -#}
{% macro msisdn(phone) -%}
    case when {{ agent_matches(phone, "'^[1-9][0-9]{6,14}$'") }} then '+' || {{ phone }} end
{%- endmacro %}

{#- How often a condition holds. -#}
{% macro count_if(condition) -%}
    cast(coalesce(sum(case when {{ condition }} then 1 else 0 end), 0) as bigint)
{%- endmacro %}

{#- A share to six places; NULL where there is nothing to divide by. -#}
{% macro ratio(part, whole) -%}
    cast(cast({{ part }} as double precision) / nullif({{ whole }}, 0) as decimal(18, 6))
{%- endmacro %}

{#- Seconds between two instants, negative if they stand the other way round. -#}
{% macro seconds_between(earlier, later) -%}
    cast(floor(extract(epoch from {{ later }}) - extract(epoch from {{ earlier }})) as bigint)
{%- endmacro %}

{#- The middle (0.5) or another quantile, between two values where it lies between; NULLs do not count. -#}
{% macro quantile(share, expression) -%}
    cast(percentile_cont({{ share }}) within group (order by {{ expression }}) as decimal(18, 3))
{%- endmacro %}

{#- What a clock on the wall shows in the account's zone. -#}
{% macro wall_clock(instant) -%}
    ({{ instant }} at time zone '{{ var("timezone") }}')
{%- endmacro %}

{#- The instant at which the hour of the wall clock began: in autumn the hour that comes twice stays two. -#}
{% macro hour_start(instant) -%}
    ({{ instant }} - ({{ wall_clock(instant) }} - date_trunc('hour', {{ wall_clock(instant) }})))
{%- endmacro %}
