{#- Relations in SQL without their database: a view would name the file it was made in, and fail in every copy of it. -#}
{% macro ref() -%}
    {{ return(builtins.ref(*varargs, **kwargs).include(database=false)) }}
{%- endmacro %}

{% macro source() -%}
    {{ return(builtins.source(*varargs, **kwargs).include(database=false)) }}
{%- endmacro %}

{#- Whether the dataset has this table. dlt's source makes those of the reports; the command line makes its own, too. -#}
{% macro is_in_dataset(name) -%}
    {%- set found = adapter.get_relation(database=target.database | default(none), schema='passona', identifier=name) -%}
    {{ return(found is not none) }}
{%- endmacro %}

{#- Create the table that lists what this project made, where the command line has not done it. -#}
{% macro create_register() -%}
    {%- if execute and builds_by_campaign() and not is_in_dataset('_objects') -%}
        {%- call statement('create_register') -%}
            create table passona._objects (
                schema_name varchar not null,
                object_name varchar not null,
                kind varchar not null,
                columns varchar not null
            )
        {%- endcall -%}
        {% do adapter.commit() %}
    {%- endif -%}
{%- endmacro %}
