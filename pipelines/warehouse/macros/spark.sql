{#
  What Spark says otherwise. Its session reads the lake by the views that `passona load` wrote there, and counts time
  in UTC (profiles.yml). In its texts a backslash is written twice.
#}

{#- The views of the lake at PASSONA_LAKE, made anew: the whole build sees the lake as it is now. -#}
{% macro open_lake() -%}
    {%- if execute and target.type == 'spark' and flags.WHICH in ('build', 'run', 'test') -%}
        {%- set place = env_var('PASSONA_LAKE') ~ '/views/spark.sql' -%}
        {%- do run_query("create or replace temporary view lake_views using text options (path '" ~ place ~ "', wholetext 'true')") -%}
        {%- set text = run_query('select value from lake_views').columns[0].values()[0] -%}
        {%- for statement in text.split(';\n') if statement.strip() -%}
            {%- do run_query(statement) -%}
        {%- endfor -%}
    {%- endif -%}
{%- endmacro %}

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

{% macro spark__wall_clock(instant) -%}
    convert_timezone('UTC', '{{ var("timezone") }}', cast({{ instant }} as timestamp_ntz))
{%- endmacro %}

{% macro spark__hour_start(instant) -%}
    timestamp_micros(
        unix_micros({{ instant }})
        - pmod(unix_micros(cast({{ wall_clock(instant) }} as timestamp)), 3600000000)
    )
{%- endmacro %}

{% macro spark__is_gsm7(text) -%} ({{ text }} rlike '^{{ gsm_text() | replace("\\", "\\\\") }}\\z') {%- endmacro %}
