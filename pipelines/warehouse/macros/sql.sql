{#- `+` and the digits where they are a phone number, NULL where they are not. -#}
{% macro msisdn(phone) -%}
    case when {{ matches(phone, "'^[1-9][0-9]{6,14}$'") }} then '+' || {{ phone }} end
{%- endmacro %}

{#- Whether a text has the pattern anywhere; `pattern` is an SQL expression, in what RE2 and PostgreSQL share. -#}
{% macro matches(text, pattern) -%} {{ return(adapter.dispatch('matches')(text, pattern)) }} {%- endmacro %}
{% macro default__matches(text, pattern) -%} regexp_matches({{ text }}, {{ pattern }}) {%- endmacro %}
{% macro postgres__matches(text, pattern) -%} ({{ text }} ~ {{ pattern }}) {%- endmacro %}

{#- A text without what matches the pattern. -#}
{% macro without(text, pattern) -%} {{ return(adapter.dispatch('without')(text, pattern)) }} {%- endmacro %}
{% macro default__without(text, pattern) -%} regexp_replace({{ text }}, {{ pattern }}, '', 'g') {%- endmacro %}

{#- The types by the engine's name: text of any length, and a number of 64 bits with a point. -#}
{% macro text_type() -%} {{ return(adapter.dispatch('text_type')()) }} {%- endmacro %}
{% macro default__text_type() -%} varchar {%- endmacro %}
{% macro double_type() -%} {{ return(adapter.dispatch('double_type')()) }} {%- endmacro %}
{% macro default__double_type() -%} double precision {%- endmacro %}

{#- The texts of a group with a comma between. -#}
{% macro listed(text, order) -%} {{ return(adapter.dispatch('listed')(text, order)) }} {%- endmacro %}
{% macro default__listed(text, order) -%} string_agg({{ text }}, ', ' order by {{ order }}) {%- endmacro %}

{#- How often a condition holds. -#}
{% macro count_if(condition) -%}
    cast(coalesce(sum(case when {{ condition }} then 1 else 0 end), 0) as bigint)
{%- endmacro %}

{#- A share to six places; NULL where there is nothing to divide by. -#}
{% macro ratio(part, whole) -%}
    cast(cast({{ part }} as {{ double_type() }}) / nullif({{ whole }}, 0) as decimal(18, 6))
{%- endmacro %}

{#- Seconds between two instants, negative if they stand the other way round. -#}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch('seconds_between')(earlier, later)) }}
{%- endmacro %}
{% macro default__seconds_between(earlier, later) -%}
    cast(floor(extract(epoch from {{ later }}) - extract(epoch from {{ earlier }})) as bigint)
{%- endmacro %}

{#- The middle (0.5) or another quantile, between two values where it lies between; NULLs do not count. -#}
{% macro quantile(share, expression) -%}
    cast(percentile_cont({{ share }}) within group (order by {{ expression }}) as decimal(18, 3))
{%- endmacro %}

{#- The account of a campaign, of which there may be no row: then the list has never shown it. -#}
{% macro account_of(campaigns) -%} coalesce({{ campaigns }}.account, 'default') {%- endmacro %}

{#- The zone of an account's clocks. `account` is an SQL expression. -#}
{% macro zone(account) -%}
    {%- if var('account_timezones') -%}
    case {{ account }}
        {%- for name, zone in var('account_timezones').items() %} when '{{ name }}' then '{{ zone }}'{% endfor %} else '{{ var("timezone") }}'
    end
    {%- else -%} '{{ var("timezone") }}' {%- endif -%}
{%- endmacro %}

{#- What a clock on the wall shows in the account's zone. -#}
{% macro wall_clock(instant, account) -%} {{ return(adapter.dispatch('wall_clock')(instant, account)) }} {%- endmacro %}
{% macro default__wall_clock(instant, account) -%}
    ({{ instant }} at time zone {{ zone(account) }})
{%- endmacro %}

{#- The instant at which the hour of the wall clock began: in autumn the hour that comes twice stays two. -#}
{% macro hour_start(instant, account) -%} {{ return(adapter.dispatch('hour_start')(instant, account)) }} {%- endmacro %}
{% macro default__hour_start(instant, account) -%}
    ({{ instant }} - ({{ wall_clock(instant, account) }} - date_trunc('hour', {{ wall_clock(instant, account) }})))
{%- endmacro %}
