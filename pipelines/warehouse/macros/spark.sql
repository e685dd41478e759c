{#
  What Spark says otherwise. Its session counts time in UTC (profiles.yml). In its texts a backslash is written twice.
#}

{#- In Java `$` is also before a line's end that ends the text, and classes have other names. -#}
{% macro spark__matches(text, pattern) -%}
    ({{ text }} rlike replace({{ pattern | replace("\\", "\\\\") | replace("$'", "\\\\z'") }}, '[[:space:]]', '\\s'))
{%- endmacro %}

{% macro spark__gsm_extension() -%}^{}\\[~]|€{%- endmacro %}

{% macro spark__without(text, pattern) -%} regexp_replace({{ text }}, {{ pattern }}, '') {%- endmacro %}

{% macro spark__text_type() -%} string {%- endmacro %}

{% macro spark__double_type() -%} double {%- endmacro %}

{% macro spark__listed(text, order) -%} listagg({{ text }}, ', ') within group (order by {{ order }}) {%- endmacro %}

{% macro spark__seconds_between(earlier, later) -%}
    cast(floor((unix_micros({{ later }}) - unix_micros({{ earlier }})) / 1000000) as bigint)
{%- endmacro %}

{% macro spark__wall_clock(instant, account) -%}
    convert_timezone('UTC', {{ zone(account) }}, cast({{ instant }} as timestamp_ntz))
{%- endmacro %}

{% macro spark__hour_start(instant, account) -%}
    timestamp_micros(
        unix_micros({{ instant }})
        - pmod(unix_micros(cast({{ wall_clock(instant, account) }} as timestamp)), 3600000000)
    )
{%- endmacro %}

{% macro spark__is_gsm7(text) -%} ({{ text }} rlike '^{{ gsm_text() | replace("\\", "\\\\") }}\\z') {%- endmacro %}
