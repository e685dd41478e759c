{#
  Builds by campaign: `int_changed_campaigns` names the campaigns that this build works on, the big models
  hold the others as they are. The last model, `int_built_campaigns`, notes what is built and tested, so a
  build that fails or is killed does its campaigns again.
#}

{#- Rows of the campaigns that this build works on. -#}
{% macro changed_only() -%}
    campaign_id in (select campaign_id from {{ ref('int_changed_campaigns') }})
{%- endmacro %}

{#- Rows that an incremental model replaces: those of the campaigns of this build; of a full one all, but those of
    campaigns whose personal data were given up, which cannot be built again. -#}
{% macro stale_rows() -%}
    {%- set changed = 'campaign_id in (select campaign_id from ' ~ int_relation('int_changed_campaigns') ~ ')' -%}
    {%- set expired -%}
        campaign_id in (select campaign_id from {{ source('passona', 'report_ledger') }} where expired_at is not null)
    {%- endset -%}
    {{ return('not coalesce(' ~ expired ~ ' and not ' ~ changed ~ ', false)' if should_full_refresh() else changed) }}
{%- endmacro %}

{#- Give the rows that this build keeps of expired and unverified campaigns the account that these have now. -#}
{% macro update_accounts() -%}
    {%- if builds_by_campaign() -%}
    update {{ this.include(database=false) }} as mart
    set account = kept.account
    from (
        select ids.campaign_id, {{ account_of('campaigns') }} as account
        from (
            select campaign_id from {{ source('passona', 'report_ledger') }} where expired_at is not null
            union
            select campaign_id from {{ int_relation('int_unverified_campaigns') }}
        ) as ids
        left join {{ source('passona', 'campaigns') }} as campaigns on campaigns.campaign_id = ids.campaign_id
    ) as kept
    where kept.campaign_id = mart.campaign_id and mart.account is distinct from kept.account
    {%- endif -%}
{%- endmacro %}

{#- A model of the intermediate layer where `ref` would make a circle or is not known. -#}
{% macro int_relation(name) -%}
    {{ return(api.Relation.create(schema='analytics_staging', identifier=name)) }}
{%- endmacro %}

{#- Whether rows of single campaigns can be taken out of a table; on Spark files cannot be changed. -#}
{% macro builds_by_campaign() -%} {{ return(target.type != 'spark') }} {%- endmacro %}

{#- Whether an earlier build left all that this one can add to. -#}
{% macro is_all_built() -%}
    {%- set built = namespace(all=builds_by_campaign()) -%}
    {%- if execute -%}
        {%- for model in graph.nodes.values() -%}
            {%- if model.name == 'int_built_campaigns' or model.config.materialized == 'incremental' -%}
                {%- set relation = adapter.get_relation(database=model.database, schema=model.schema, identifier=model.alias) -%}
                {%- set built.all = built.all and relation is not none -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(built.all) }}
{%- endmacro %}

{#- Tests with `where: __changed__` look at the campaigns of this build: the others have passed before. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where', '') -%}
    {%- if where == '__changed__' -%}
        {%- set changed = int_relation('int_changed_campaigns') -%}
        (select * from {{ relation }} where campaign_id in (select campaign_id from {{ changed }})) dbt_subquery
    {%- elif where -%}
        (select * from {{ relation }} where {{ where }}) dbt_subquery
    {%- else -%}
        {{ relation }}
    {%- endif -%}
{%- endmacro %}
