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

# The options of each kind with their defaults; the README says what a kind does.
KINDS: dict[str, dict[str, object]] = {
    "status": {"code": REQUIRED, "shape": None, "headers": {}, "message": None},
    "redirect": {"to": REQUIRED, "code": 302},
    "headers": {"headers": REQUIRED},
    "latency": {"seconds": 1.0},
    "close": {},
    "reset": {},
    "truncate": {},
    "broken_chunk": {},
    "drip": {"seconds": 0.1},
    "html": {},
    "half_json": {},
    "not_object": {},
    "empty_body": {},
    "gzip_garbage": {},
    "edit": {"old": "", "new": REQUIRED},
    "data_null": {},
    "data_missing": {},
    "data_item_not_object": {"index": 0},
    "meta_missing": {},
    "meta": {"fields": REQUIRED},
    "next": {"to": REQUIRED},
    "repeat_page": {"of": None},
    "swallow_row": {"index": 0},
    "duplicate_row": {"index": 0},
    "extra_key": {"name": "New_Key", "value": "new"},
    "missing_key": {"name": None},
    "prefix": {"name": None, "text": REQUIRED},
    "wrong_type": {"name": None, "value": 7},
    "insert": {"index": 0, "row": None},
    "delete": {"index": 0},
    "shuffle": {"seed": 1},
}
NEXT = ("same", "skip", "first", "past_end", "other_campaign", "other_report", "foreign", "garbage")
_WHEN: dict[str, object] = {
    "report": "any", "campaign": "any", "page": "any", "method": "any", "after": 0, "times": None,
}  # fmt: skip


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
        return all(self.when[key] in {"any", value} for key, value in visit._asdict().items())

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
    defaults = {**_WHEN, **KINDS[name]}
    chosen = {key: value for key, value in rule.items() if key != "kind"}
    unknown = [key for key in chosen if key not in defaults]
    missing = [key for key, value in defaults.items() if value is REQUIRED and key not in chosen]
    if unknown or missing:
        known = ", ".join(defaults)
        raise ValueError(f"fault {name!r}: unknown keys {unknown}, missing keys {missing}; known are {known}")
    if chosen.get("report", "any") not in {*REPORTS, CAMPAIGNS, "any"}:
        raise ValueError(f"fault {name!r}: there is no report {chosen['report']!r}")
    settings = {**defaults, **chosen}
    options = {key: settings[key] for key in KINDS[name]}
    return Fault(name, {key: settings[key] for key in _WHEN}, options)
