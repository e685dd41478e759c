{{ config(materialized='table') }}

-- depends_on: {{ ref('int_built_campaigns') }}
select '{{ var("project_version") }}' as project_version
