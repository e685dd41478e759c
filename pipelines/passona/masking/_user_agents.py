"""Replace a user agent by a generic one of the same classes, for mode `minimal`.

The classes are those of the dbt project, by its own patterns (seeds/click_rules.csv, macros/user_agents.sql), so its
models classify both strings alike. A user-agent library has other classes, and would not agree with that SQL.
"""

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from passona.config.dbt_project import project_folder

_Patterns = Sequence[tuple[re.Pattern[str], str]]

# First words by rule for people; words for device, system and browser follow.
_PEOPLE = {
    "browser": "Mozilla/5.0 (like Gecko) ",
    "opera": "Opera/9 ",
    "facebook_app": "[FBAN/ ",
    "feature_phone": "LG-x ",
}
# Words that the macros match, in the required order.
_DEVICES = {"phone": "Mobile ", "tablet": "Tablet ", "desktop": "", "other": "(TV) "}
_SYSTEMS = {
    "iOS": "iPhone ",
    "Android": "Android ",
    "Windows": "Windows ",
    "macOS": "Macintosh ",
    "ChromeOS": "CrOS ",
    "Linux": "Linux ",
    "other": "Harmony ",
}
_BROWSERS = {
    "in-app": "Instagram",
    "other": "Vivaldi",
    "Edge": "Edg/",
    "Opera": "OPR/",
    "Samsung Internet": "SamsungBrowser/",
    "Firefox": "Firefox/",
    "Chrome": "Chrome/",
    "Safari": "Macintosh Version/ Safari/",
}


@dataclass(frozen=True)
class Agents:
    """The classes of user agents. `device`: a pattern for the parts that rules ignore. `robots`: a text that each of
    the other rules matches.
    """

    rules: _Patterns
    device: re.Pattern[str]
    devices: _Patterns
    systems: _Patterns
    browsers: _Patterns
    robots: Mapping[str, str | None]

    def classes(self, agent: str) -> tuple[str, str, str, str]:
        """Return rule, device, system and browser, as the dbt project names them."""
        text = agent.lower()
        rule = _first(self.rules, self.device.sub("", text))
        if rule in self.robots:
            return rule, "other", "other", "other"
        return rule, _first(self.devices, text), _first(self.systems, text), _first(self.browsers, text)

    def stand_in(self, agent: str) -> str | None:
        """Return a user agent of the same classes, at least of the same rule; None for a blank one."""
        rule, device, system, browser = classes = self.classes(agent)
        if rule in self.robots:
            return self.robots[rule]
        words = _DEVICES[device] + _SYSTEMS[system] + _BROWSERS[browser]
        tries = (
            _PEOPLE.get(rule, _PEOPLE["browser"]) + extra + words for extra in ("", "Windows NT ", "CrOS ", "X11 ")
        )
        return next((text for text in tries if self.classes(text) == classes), "-")


def _first(patterns: _Patterns, text: str) -> str:
    return next((name for pattern, name in patterns if pattern.search(text)), "other")


@cache
def read_agents() -> Agents:
    project = project_folder()
    with (project / "seeds/click_rules.csv").open(encoding="utf-8", newline="") as file:
        rules = sorted(csv.DictReader(file), key=lambda rule: int(rule["rule_order"]))
    macros = (project / "macros/user_agents.sql").read_text("utf-8")
    return Agents(
        [(_compiled(rule["pattern"]), rule["rule"]) for rule in rules],
        _compiled(*re.findall(r"""macro agent_name\(.*?"'(.*?)'"\)""", macros, re.DOTALL)),
        _cases(macros, "device_class"),
        _cases(macros, "os_family"),
        _cases(macros, "browser_family"),
        {rule["rule"]: _example(rule["pattern"]) for rule in rules if rule["click_class"] != "human"},
    )


def _example(pattern: str) -> str | None:
    """Return a text that a rule's pattern matches: its last alternative as plain text; None for the blank text."""
    text = re.sub(r"\[\[:space:\]\]|.[?*]|[*()^$]", "", pattern.rpartition("|")[2])
    return re.sub(r"\[(.)[^]]*\]", r"\1", text) or None


def _cases(macros: str, name: str) -> _Patterns:
    """Return the branches of a macro that is one CASE over patterns."""
    (body,) = re.findall(rf"macro {name}\(.*?endmacro", macros, re.DOTALL)
    branches = re.findall(r"""device_matches\(agent, "'(.*?)'"\) }} then '(.*?)'""", body)
    return [(_compiled(pattern), class_name) for pattern, class_name in branches]


def _compiled(pattern: str) -> re.Pattern[str]:
    # The only syntax in these patterns that Python lacks.
    return re.compile(pattern.replace("[[:space:]]", r"[ \t\n\v\f\r]"))
