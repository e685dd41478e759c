{#- Load packages that are in whole; dlt makes their table with the first one. -#}
{% macro complete_loads() -%}
    {%- set loads = adapter.get_relation(database=target.database | default(none), schema='passona', identifier='_dlt_loads') -%}
    {%- if loads is none -%}
    select cast(null as {{ text_type() }}) as load_id where 1 = 0
    {%- else -%}
    select distinct load_id from {{ loads.include(database=false) }} where status = 0
    {%- endif -%}
{%- endmacro %}

{#- The six reports, by their path segments. -#}
{% macro reports() -%}
    {{ return(['clicks', 'delivery', 'alt_delivery', 'recipient', 'sent', 'unsent']) }}
{%- endmacro %}
