{#
  How DuckDB and Postgres build models: rows are replaced within the table, in one transaction, and views within their
  name. dbt itself would drop both, and with them what people made on them: views (on Postgres), indexes, columns,
  rights. What this project did not make is refused: `passona._objects` lists what it made.
#}

{% materialization table, adapter='duckdb' %} {{ return(replace_rows('true')) }} {% endmaterialization %}
{% materialization table, adapter='postgres' %} {{ return(replace_rows('true')) }} {% endmaterialization %}
{% materialization incremental, adapter='duckdb' %} {{ return(replace_rows(stale_rows())) }} {% endmaterialization %}
{% materialization incremental, adapter='postgres' %} {{ return(replace_rows(stale_rows())) }} {% endmaterialization %}
{% materialization view, adapter='duckdb' %} {{ return(replace_view()) }} {% endmaterialization %}
{% materialization view, adapter='postgres' %} {{ return(replace_view()) }} {% endmaterialization %}
{% materialization seed, adapter='duckdb' %} {{ return(replace_seed()) }} {% endmaterialization %}
{% materialization seed, adapter='postgres' %} {{ return(replace_seed()) }} {% endmaterialization %}

{#- Give a table the rows that its model selects, instead of those for which the condition `stale` holds. -#}
{% macro replace_rows(stale) %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set existing = own_relation() -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is none or not existing.is_table -%}
        {% do drop_alone(existing) %}
        {%- call statement('main') -%} {{ create_table_as(False, target, sql) }} {%- endcall -%}
        {%- set columns = adapter.get_columns_in_relation(target) -%}
    {%- else -%}
        {%- set columns = columns_of_query(target, sql) -%}
        {% do fit_columns(existing, columns) %}
        {%- set names = columns | map(attribute='quoted') | join(', ') -%}
        {%- call statement('delete') -%} delete from {{ target }} where {{ stale }} {%- endcall -%}
        {%- call statement('main') -%}
            insert into {{ target }} ({{ names }}) select {{ names }} from ({{ sql }}) as built
        {%- endcall -%}
    {%- endif -%}
    {{ return(finish(target, columns | map(attribute='name'))) }}
{% endmacro %}

{% macro replace_view() %}
    {%- set target = this.incorporate(type='view') -%}
    {%- set existing = own_relation() -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is not none -%}
        {%- set columns = columns_of_query(target, sql) -%}
        {#- Postgres adds columns at the end of a view, and changes none. -#}
        {%- set old = adapter.get_columns_in_relation(existing) -%}
        {%- if not existing.is_view or types_of(old) != types_of(columns[: old | length]) -%}
            {% do drop_alone(existing) %}
        {%- endif -%}
    {%- endif -%}
    {%- call statement('main') -%} create or replace view {{ target }} as ({{ sql }}) {%- endcall -%}
    {{ return(finish(target, adapter.get_columns_in_relation(target) | map(attribute='name'))) }}
{% endmacro %}

{% macro replace_seed() %}
    {%- set rows = load_agate_table() -%}
    {% do store_result('agate_table', response='OK', agate_table=rows) %}
    {%- set target = this.incorporate(type='table') -%}
    {%- set existing = own_relation() -%}
    {{ run_hooks(pre_hooks) }}
    {%- if existing is none or not existing.is_table -%}
        {% do drop_alone(existing) %}
        {% do create_csv_table(model, rows) %}
    {%- else -%}
        {%- set columns = [] -%}
        {%- for name in rows.column_names -%}
            {%- set kind = config.get('column_types', {}).get(name, adapter.convert_type(rows, loop.index0)) -%}
            {% do columns.append("cast(null as " ~ kind ~ ") as " ~ name) %}
        {%- endfor -%}
        {% do fit_columns(existing, columns_of_query(target, 'select ' ~ columns | join(', '))) %}
        {%- call statement('delete') -%} delete from {{ target }} {%- endcall -%}
    {%- endif -%}
    {%- set inserted = load_csv_rows(model, rows) -%}
    {%- call noop_statement('main', 'INSERT', 'INSERT', rows.rows | length) -%} {{ inserted }} {%- endcall -%}
    {{ return(finish(target, rows.column_names)) }}
{% endmacro %}

{#- What stands in the place of this model. An error, if this project did not make it. -#}
{% macro own_relation() %}
    {%- set existing = adapter.get_relation(database=this.database, schema=this.schema, identifier=this.identifier) -%}
    {%- if existing is not none and existing.type != registered().kind -%}
        {% do exceptions.raise_compiler_error(
            existing.schema ~ '.' ~ existing.identifier ~ ' is in the way: passona-warehouse did not create this '
            ~ existing.type ~ '; rename it, or move it to another schema, then run again'
        ) %}
    {%- endif -%}
    {{ return(existing) }}
{% endmacro %}

{#- What `passona._objects` says of this model: its kind and its columns. -#}
{% macro registered() %}
    {%- set found = run_query(
        "select kind, columns from passona._objects where schema_name = '" ~ this.schema ~ "' and object_name = '"
        ~ this.identifier ~ "'"
    ) -%}
    {%- set row = found.rows[0] if found.rows else ['', ''] -%}
    {{ return({'kind': row[0], 'columns': row[1]}) }}
{% endmacro %}

{#- The columns of a query, with their types as the engine names them. -#}
{% macro columns_of_query(relation, query) %}
    {%- set shape = make_temp_relation(relation) -%}
    {%- call statement('shape') -%} {{ create_table_as(True, shape, get_empty_subquery_sql(query)) }} {%- endcall -%}
    {%- set columns = adapter.get_columns_in_relation(shape) -%}
    {%- call statement('drop_shape') -%} drop table {{ shape }} {%- endcall -%}
    {{ return(columns) }}
{% endmacro %}

{% macro types_of(columns) %}
    {%- set types = [] -%}
    {%- for column in columns -%} {% do types.append([column.name, column.data_type]) %} {%- endfor -%}
    {{ return(types) }}
{% endmacro %}

{#- Give a table these columns. Those that it has beside them stay, unless an earlier version of the model made them. -#}
{% macro fit_columns(relation, columns) %}
    {%- set types = {} -%}
    {%- for column in adapter.get_columns_in_relation(relation) -%}
        {% do types.update({column.name: column.data_type}) %}
    {%- endfor -%}
    {%- set changes = [] -%}
    {%- for column in columns -%}
        {%- if column.name not in types -%}
            {% do changes.append("add column " ~ column.quoted ~ " " ~ column.data_type) %}
        {%- elif column.data_type != types[column.name] -%}
            {%- set cast = "cast(" ~ column.quoted ~ " as " ~ column.data_type ~ ")" -%}
            {% do changes.append("alter column " ~ column.quoted ~ " type " ~ column.data_type ~ " using " ~ cast) %}
        {%- endif -%}
    {%- endfor -%}
    {%- for name in registered().columns.split(',') if name in types and name not in columns | map(attribute='name') -%}
        {% do changes.append("drop column " ~ adapter.quote(name)) %}
    {%- endfor -%}
    {%- for change in changes -%}
        {%- call statement('fit') -%} alter table {{ relation }} {{ change }} {%- endcall -%}
    {%- endfor -%}
{% endmacro %}

{#- Drop a table or view; an error, if anything hangs on it. -#}
{% macro drop_alone(relation) %}
    {%- if relation is not none -%}
        {%- call statement('drop') -%} drop {{ relation.type }} {{ relation }} {%- endcall -%}
    {%- endif -%}
{% endmacro %}

{#- The last of the transaction of a model. -#}
{% macro finish(target, column_names) %}
    {% do persist_docs(target, model) %}
    {%- set names = column_names | join(',') -%}
    {%- if registered() != {'kind': target.type, 'columns': names} -%}
        {%- call statement('unregister') -%}
            delete from passona._objects
            where schema_name = '{{ target.schema }}' and object_name = '{{ target.identifier }}'
        {%- endcall -%}
        {%- call statement('register') -%}
            insert into passona._objects
            values ('{{ target.schema }}', '{{ target.identifier }}', '{{ target.type }}', '{{ names }}')
        {%- endcall -%}
    {%- endif -%}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({'relations': [target]}) }}
{% endmacro %}
