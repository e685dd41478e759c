"""Browser strings by their classes: any string in, one out that stands for all of the same classes.

For mode `minimal`, which keeps no more of them. The classes are those of the dbt project, by its own
patterns (seeds/click_rules.csv, macros/user_agents.sql), so that its SQL says the same of both strings.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from passona.config.dbt_project import project_folder

_Patterns = Sequence[tuple[re.Pattern[str], str]]

# What a pattern of a rule matches, for rules that say nothing of people.
ROBOTS = {
    "no_user_agent": None,
    "apple_messages": "facebookexternalhit Twitterbot",
    "facebook": "facebookexternalhit",
    "whatsapp": "WhatsApp/",
    "telegram": "TelegramBot",
    "slack": "Slackbot",
    "discord": "Discordbot",
    "skype_and_teams": "SkypeUriPreview",
    "google_messages": "GoogleMessages",
    "twitter": "Twitterbot",
    "linkedin": "LinkedInBot",
    "viber": "Viber/",
    "pinterest": "Pinterestbot",
    "reddit": "redditbot",
    "snapchat": "Snap URL Preview",
    "mastodon": "Mastodon/0",
    "other_messengers": "LineBot",
    "embed_services": "Iframely",
    "calls_itself_preview": "url-preview",
    "search_engine": "Googlebot",
    "crawler": "AhrefsBot",
    "security_scanner": "Barracuda",
    "headless_browser": "HeadlessChrome",
    "monitor": "UptimeRobot",
    "http_library": "curl/",
    "calls_itself_robot": "bot",
    "no_rule": "-",
}
# Beginnings of browser strings by rule; what follows tells device, system and browser.
_PEOPLE = {
    "browser": "Mozilla/5.0 (like Gecko) ",
    "opera": "Opera/9 ",
    "facebook_app": "[FBAN/ ",
    "feature_phone": "LG-x ",
}
# Words that the macros look for, in the order in which they have to stand.
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
    """The classes of browser strings. A string that cannot be stood for is given by its rule's class alone.

    `device`: what is not looked at for the rule.
    """

    rules: _Patterns
    device: re.Pattern[str]
    devices: _Patterns
    systems: _Patterns
    browsers: _Patterns
    people: frozenset[str]
    _known: dict[str, str | None] = field(default_factory=dict, repr=False, compare=False)

    def stand_in(self, agent: str) -> str | None:
        """A browser string of the same classes, None where there is nothing to class."""
        if agent not in self._known:
            # There are some thousands in a big report, and attackers can send as many as they like.
            if len(self._known) > 10_000:
                self._known.clear()
            self._known[agent] = self._stand_in(agent)
        return self._known[agent]

    def classes(self, agent: str) -> tuple[str, str, str, str]:
        """Rule, device, system and browser, as the dbt project names them."""
        text = agent.lower()
        rule = _first(self.rules, self.device.sub("", text))
        if rule not in self.people:
            return rule, "other", "other", "other"
        return rule, _first(self.devices, text), _first(self.systems, text), _first(self.browsers, text)

    def _stand_in(self, agent: str) -> str | None:
        rule, device, system, browser = classes = self.classes(agent)
        if rule not in self.people:
            return ROBOTS.get(rule, ROBOTS["no_rule"])
        words = _DEVICES[device] + _SYSTEMS[system] + _BROWSERS[browser]
        tries = (
            _PEOPLE.get(rule, _PEOPLE["browser"]) + extra + words for extra in ("", "Windows NT ", "CrOS ", "X11 ")
        )
        return next((text for text in tries if self.classes(text) == classes), ROBOTS["no_rule"])


def _first(patterns: _Patterns, text: str) -> str:
    return next((name for pattern, name in patterns if pattern.search(text)), "other")


@cache
def read_agents(project: Path | None = None) -> Agents:
    """The classes as the dbt project has them."""
    project = project or project_folder()
    with (project / "seeds/click_rules.csv").open(encoding="utf-8", newline="") as file:
        rules = sorted(csv.DictReader(file), key=lambda rule: int(rule["rule_order"]))
    macros = (project / "macros/user_agents.sql").read_text("utf-8")
    return Agents(
        [(_compiled(rule["pattern"]), rule["rule"]) for rule in rules],
        _compiled(*re.findall(r"""macro agent_name\(.*?"'(.*?)'"\)""", macros, re.DOTALL)),
        _cases(macros, "device_class"),
        _cases(macros, "os_family"),
        _cases(macros, "browser_family"),
        people=frozenset(rule["rule"] for rule in rules if rule["click_class"] == "human"),
    )


def _cases(macros: str, name: str) -> _Patterns:
    """The branches of a macro that is one CASE over patterns."""
    (body,) = re.findall(rf"macro {name}\(.*?endmacro", macros, re.DOTALL)
    found = re.findall(r"""device_matches\(agent, "'(.*?)'"\) }} then '(.*?)'""", body)
    return [(_compiled(pattern), words) for pattern, words in found]


def _compiled(pattern: str) -> re.Pattern[str]:
    # The one class that Python writes otherwise.
    return re.compile(pattern.replace("[[:space:]]", r"[ \t\n\v\f\r]"))
