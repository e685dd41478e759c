{#
  What a user agent tells, as SQL expressions. `agent` is an expression of the text as it came, null
  included; `click_class` one of its class by the seed click_rules. Robots have no device: theirs is
  'other', whatever phone they claim to be.

  Patterns are in lower case and in the part of regular expressions that RE2 and PostgreSQL share: no
  look-around, no \b (a backspace in PostgreSQL), no flags.
#}

{% macro agent_text(agent) -%}
    lower(coalesce({{ agent }}, ''))
{%- endmacro %}

{#-
  What the agent calls itself: the text without the device, whose maker may have called it `M bot 60`. The device is a
  comment that begins with a phone's system, or what apps say of it; but where a name with a version or an address
  stands in it, it is somebody's name after all.
-#}
{% macro agent_name(agent) -%}
    {{ without(agent_text(agent), "'(linux;[^()/]*android|android|mobile;|tablet;|phone;|windows phone|iphone|ipad|ipod)([^()/]|/[a-z]| build/[^()/]|[(][^()/]*[)])*[)]|[(][0-9]+/[0-9.]+; [0-9]+dpi;[^()]*[)]|fb(dv|md|mf|bd|cr)/[^;]*'") }}
{%- endmacro %}

{#- Whether the agent calls itself so anywhere. `pattern`: an SQL expression, so a column or a quoted text. -#}
{% macro agent_matches(agent, pattern) -%}
    {{ matches(agent_name(agent), pattern) }}
{%- endmacro %}

{#- The same of the whole text, device included. -#}
{% macro device_matches(agent, pattern) -%}
    {{ matches(agent_text(agent), pattern) }}
{%- endmacro %}

{#- phone, tablet, desktop or other. Tablets with Android leave out the word Mobile; some cheap ones do not. -#}
{% macro device_class(agent, click_class) -%}
    case
        when {{ click_class }} <> 'human' then 'other'
        when {{ device_matches(agent, "'smart-?tv|[ (]tv[ ;)]|web0s|apple ?tv|googletv|android tv|bravia|aft[a-z]+[ ;)]|roku|crkey|playstation|xbox|nintendo|watch|sm-r[0-9]{3}'") }} then 'other'
        when {{ device_matches(agent, "'windows nt|cros '") }} then 'desktop'
        when {{ device_matches(agent, "'ipad|tablet|kindle|silk/|playbook|sm-[tx][0-9]{3}|lenovo (tb|yt)-|[ _-](pad|tab)[ _;)-]|[ _-]wifi[ ;)]'") }} then 'tablet'
        when {{ device_matches(agent, "'mobile|iphone|ipod|phone|opera mini|fban/fb4a|blackberry|bb10|midp-|kaios|symbian'") }} then 'phone'
        when {{ device_matches(agent, "'android'") }} then 'tablet'
        when {{ device_matches(agent, "'macintosh|x11|linux'") }} then 'desktop'
        else 'other'
    end
{%- endmacro %}

{#- iOS (iPadOS too), Android, Windows, macOS, ChromeOS, Linux or other. -#}
{% macro os_family(agent, click_class) -%}
    case
        when {{ click_class }} <> 'human' then 'other'
        when {{ device_matches(agent, "'windows phone|harmony|kaios|tizen|web0s|xbox|playstation|nintendo|bb10|blackberry'") }} then 'other'
        when {{ device_matches(agent, "'iphone|ipad|ipod'") }} then 'iOS'
        when {{ device_matches(agent, "'android|fban/fb4a'") }} then 'Android'
        when {{ device_matches(agent, "'windows'") }} then 'Windows'
        when {{ device_matches(agent, "'macintosh'") }} then 'macOS'
        when {{ device_matches(agent, "'cros '") }} then 'ChromeOS'
        when {{ device_matches(agent, "'linux|x11'") }} then 'Linux'
        else 'other'
    end
{%- endmacro %}

{#- Chrome, Safari, Samsung Internet, Firefox, Edge, Opera, in-app (shown inside another app) or other. -#}
{% macro browser_family(agent, click_class) -%}
    case
        when {{ click_class }} <> 'human' then 'other'
        when {{ device_matches(agent, "'fban/|fb_iab|fbav/|instagram|musical_ly|tiktok|snapchat|linkedinapp|twitter for|.pinterest/|micromessenger| line/|viber/| gsa/|whatsapp/|telegram'") }} then 'in-app'
        when {{ device_matches(agent, "'ucbrowser|miuibrowser|huaweibrowser|heytapbrowser|vivobrowser|yabrowser|qqbrowser|duckduckgo|vivaldi|silk/|whale/|puffin|msie |trident/|playstation'") }} then 'other'
        when {{ device_matches(agent, "'edg/|edga/|edgios/|edge/'") }} then 'Edge'
        when {{ device_matches(agent, "'opr/|opt/|opios/|opera'") }} then 'Opera'
        when {{ device_matches(agent, "'samsungbrowser/'") }} then 'Samsung Internet'
        when {{ device_matches(agent, "'firefox/|fxios/|focus/|klar/'") }} then 'Firefox'
        when {{ device_matches(agent, "'; wv[)]'") }} then 'in-app'
        when {{ device_matches(agent, "'chrome/|crios/|chromium/'") }} then 'Chrome'
        when {{ device_matches(agent, "'(iphone|ipad|ipod|macintosh).*version/.*safari/'") }} then 'Safari'
        when {{ device_matches(agent, "'iphone|ipad|ipod'") }} then 'in-app'
        else 'other'
    end
{%- endmacro %}
