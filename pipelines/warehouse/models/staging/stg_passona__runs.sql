with

source as (
    {%- if is_in_dataset('runs') %}
    select * from {{ source('passona', 'runs') }}
    {%- else %}
    -- A table of the command line: dlt's source alone makes none.
    select
        cast(null as {{ text_type() }}) as run_id,
        cast(null as {{ text_type() }}) as verb,
        cast(null as {{ text_type() }}) as outcome,
        cast(null as timestamp with time zone) as started_at,
        cast(null as timestamp with time zone) as finished_at,
        cast(null as bigint) as requests,
        cast(null as bigint) as row_count,
        cast(null as {{ text_type() }}) as version,
        cast(null as bigint) as erased
    where 1 = 0
    {%- endif %}
),

renamed as (
    select
        run_id,
        verb,
        outcome,
        started_at,
        finished_at,
        requests,
        row_count,
        version,
        erased
    from source
)

select * from renamed
