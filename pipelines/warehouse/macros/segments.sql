{#
  How many SMS a text takes, after 3GPP TS 23.038: GSM-7 holds 160 characters in one and 153 in each of
  several, those of the extension table count twice; any other character makes it UCS-2 with 70 and 67
  UTF-16 units. An estimate: networks may write characters otherwise, and no pair is split between two SMS.
#}

{#- The extension table but for the form feed, and the regular expression of both tables. -#}
{% macro gsm_extension() -%} {{ return(adapter.dispatch('gsm_extension')()) }} {%- endmacro %}
{% macro default__gsm_extension() -%}^{}\[~]|€{%- endmacro %}

{% macro gsm_text() -%}[\n\r\f -_a-~¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€]*{%- endmacro %}

{% macro is_gsm7(text) -%} {{ return(adapter.dispatch('is_gsm7')(text)) }} {%- endmacro %}
{% macro default__is_gsm7(text) -%} regexp_full_match({{ text }}, '{{ gsm_text() }}') {%- endmacro %}
{% macro postgres__is_gsm7(text) -%} ({{ text }} ~ '^{{ gsm_text() }}$') {%- endmacro %}

{#- Septets of a GSM-7 text, UTF-16 units of any other. -#}
{% macro sms_units(text) -%}
    case
        when {{ is_gsm7(text) }} then
            2 * length({{ text }}) - length(translate({{ text }}, '{{ gsm_extension() }}' || chr(12), ''))
        else 2 * length({{ text }}) - length({{ without(text, "'[\U00010000-\U0010FFFF]'") }})
    end
{%- endmacro %}

{#- SMS for a number of units; an empty text is one, too. -#}
{% macro sms_segments(is_gsm7, units) -%}
    case
        when {{ units }} is null then null
        when {{ units }} <= case when {{ is_gsm7 }} then 160 else 70 end then 1
        else cast(ceil(cast({{ units }} as {{ double_type() }}) / case when {{ is_gsm7 }} then 153 else 67 end) as bigint)
    end
{%- endmacro %}
