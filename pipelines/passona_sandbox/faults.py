"""Faults on request: rules that say when the server misbehaves, and how.

A rule is a mapping. `report` (a report or "campaigns"), `campaign` (uuid), `page` (number) and `method` ("GET" or
"POST") select requests; a key that is missing or "any" matches all. `after`: so many matching requests pass first.
`times`: how often it strikes then (default: always). `kind`: what happens, one of `KINDS`, each with its own options.
All rules that strike a request take effect, in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

from passona_sandbox.reports import CAMPAIGNS, REPORTS

REQUIRED = "(required)"


class Kind(NamedTuple):
    """What a kind of fault does, and its options with their defaults."""

    does: str
    options: dict[str, object]


KINDS: dict[str, Kind] = {
    "status": Kind("answers with this status", {"code": REQUIRED, "shape": None, "headers": {}, "message": None}),
    "redirect": Kind("sends the client elsewhere", {"to": REQUIRED, "code": 302}),
    "headers": Kind("adds headers to the answer", {"headers": REQUIRED}),
    "latency": Kind("waits this many seconds first", {"seconds": 1.0}),
    "close": Kind("closes the connection without an answer", {}),
    "reset": Kind("resets the connection in the middle of the body", {}),
    "truncate": Kind("closes in the middle of the body, short of Content-Length", {}),
    "broken_chunk": Kind("breaks the framing of a chunked body", {}),
    "drip": Kind("sends a blank every so many seconds, for ever", {"seconds": 0.1}),
    "html": Kind("answers 200 with a login page", {}),
    "half_json": Kind("sends half of the JSON as if it were all", {}),
    "not_object": Kind("sends JSON that is not an object", {}),
    "empty_body": Kind("sends nothing as the body", {}),
    "gzip_garbage": Kind("says gzip and sends something else", {}),
    "edit": Kind(
        "replaces a text in the body; both are read as Latin-1, so any bytes can be had", {"old": "", "new": REQUIRED}
    ),
    "wrong_content_type": Kind("names another content type", {"value": "text/plain"}),
    "data_null": Kind("makes `data` null", {}),
    "data_missing": Kind("leaves `data` out", {}),
    "data_item_not_object": Kind("puts a number in the place of a row", {"index": 0}),
    "meta_missing": Kind("leaves `meta` out", {}),
    "meta": Kind("overrides fields of `meta`", {"fields": REQUIRED}),
    "links_missing": Kind("leaves `links` out", {}),
    "next": Kind("overrides `links.next`: null, a text, or one of `NEXT`", {"to": REQUIRED}),
    "repeat_page": Kind("serves another page's rows (by default the one before) under this page's meta", {"of": None}),
    "swallow_row": Kind("leaves a row out of `data`, not out of `meta`", {"index": 0}),
    "duplicate_row": Kind("serves a row twice, `meta` unchanged", {"index": 0}),
    "extra_key": Kind("adds a key to every row", {"name": "New_Key", "value": "new"}),
    "missing_key": Kind("leaves a key out of every row (by default the last)", {"name": None}),
    "prefix": Kind(
        "puts a text before a key's text in every row (by default the first)", {"name": None, "text": REQUIRED}
    ),
    "wrong_type": Kind("gives a key another type in every row (by default the first)", {"name": None, "value": 7}),
    "insert": Kind(
        "a row arrives before this page is made (by default a copy of the first)", {"index": 0, "row": None}
    ),
    "delete": Kind("a row leaves before this page is made", {"index": 0}),
    "shuffle": Kind("all rows take another order before this page is made", {"seed": 1}),
    "status_change": Kind("a row's status changes before this page is made", {"index": 0, "to": "Failed"}),
}
NEXT = ("same", "skip", "first", "past_end", "other_campaign", "other_report", "foreign", "garbage")
_WHEN: dict[str, object] = {
    "report": "any", "campaign": "any", "page": "any", "method": "any", "after": 0, "times": None,
}  # fmt: skip
_CHOICES = {"report": (*REPORTS, CAMPAIGNS, "any"), "method": ("GET", "POST", "any")}


class Visit(NamedTuple):
    """What a request asks for; the campaign list has no campaign."""

    method: str
    campaign: str
    report: str
    page: int

    @property
    def path(self) -> str:
        """The address below `api/2.0/`."""
        return CAMPAIGNS if self.report == CAMPAIGNS else f"reporting/{self.campaign}/{self.report}"


@dataclass
class Fault:
    """One rule, and how many requests it has `seen` (matched) and `struck`."""

    kind: str
    when: dict[str, Any]
    options: dict[str, Any]
    seen: int = field(default=0, init=False)
    struck: int = field(default=0, init=False)

    def matches(self, visit: Visit) -> bool:
        asked = {
            "report": visit.report,
            "campaign": visit.campaign,
            "page": visit.page,
            "method": visit.method,
        }
        return all(self.when[key] in {"any", value} for key, value in asked.items())

    def strikes(self) -> bool:
        """Count one matching request; return True if the rule strikes it."""
        self.seen += 1
        if self.seen <= self.when["after"] or self.struck == self.when["times"]:
            return False
        self.struck += 1
        return True


class Faults:
    """The rules of a server, thread-safe."""

    def __init__(self, rules: Iterable[Mapping[str, object]]) -> None:
        """Parse the rules; ValueError if one is invalid."""
        self.rules = tuple(fault(rule) for rule in rules)
        self._lock = Lock()

    def strike(self, visit: Visit) -> list[Fault]:
        """Count a request and return the rules that strike it, in order."""
        if not self.rules:
            return []
        with self._lock:
            return [rule for rule in self.rules if rule.matches(visit) and rule.strikes()]


def fault(rule: Mapping[str, object]) -> Fault:
    """Parse a rule; ValueError names the known kinds, keys, reports or methods."""
    name = rule.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise ValueError(f"fault {dict(rule)!r}: unknown kind {name!r}; known are {', '.join(KINDS)}")
    defaults = {**_WHEN, **KINDS[name].options}
    chosen = {key: value for key, value in rule.items() if key != "kind"}
    unknown = [key for key in chosen if key not in defaults]
    missing = [key for key, value in defaults.items() if value is REQUIRED and key not in chosen]
    if unknown or missing:
        known = ", ".join(defaults)
        raise ValueError(f"fault {name!r}: unknown keys {unknown}, missing keys {missing}; known are {known}")
    for key, choices in _CHOICES.items():
        if chosen.get(key, "any") not in choices:
            raise ValueError(f"fault {name!r}: {key} {chosen[key]!r} is none of {', '.join(choices)}")
    for key in ("page", "after", "times"):
        if not isinstance(chosen.get(key, 0), int) and chosen[key] != _WHEN[key]:
            raise ValueError(f"fault {name!r}: {key} {chosen[key]!r} is no whole number")
    settings = {**defaults, **chosen}
    options = {key: settings[key] for key in KINDS[name].options}
    return Fault(name, {key: settings[key] for key in _WHEN}, options)
