{{ config(materialized='table') }}

with

agents as (
    select distinct coalesce(user_agent, '') as user_agent
    from {{ ref('stg_passona__clicks') }}
    where {{ changed_only() }}
),

named as (
    select user_agent, {{ agent_name('user_agent') }} as agent_name from agents
),

rules as (
    select rule_order, click_class, rule, pattern from {{ ref('click_rules') }}
),

first_rules as (
    select named.user_agent, min(rules.rule_order) as rule_order
    from named
    inner join rules on {{ matches('named.agent_name', 'rules.pattern') }}
    group by named.user_agent
),

classed as (
    select
        first_rules.user_agent,
        rules.click_class,
        rules.rule as click_rule
    from first_rules
    inner join rules on rules.rule_order = first_rules.rule_order
)

select
    user_agent,
    click_class,
    click_rule,
    {{ device_class('user_agent', 'click_class') }} as device_class,
    {{ os_family('user_agent', 'click_class') }} as os_family,
    {{ browser_family('user_agent', 'click_class') }} as browser_family
from classed
