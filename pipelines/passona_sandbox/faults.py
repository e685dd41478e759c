"""Faults on request: rules that say when the server misbehaves, and how.

A rule is a mapping. `report` (a report or "campaigns"), `campaign` (uuid), `page` (number) and `method` ("GET" or
"POST") select requests; a key that is missing or "any" matches all. `after`: so many matching requests pass first.
`times`: how often it strikes then (default: always). `kind`: what happens, one of `KINDS`; its other keys are the
keyword arguments of that function. All rules that strike a request take effect, in order.
"""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from passona_sandbox.bad_answers import ANSWERS
from passona_sandbox.bad_pages import EDITS, PAGES
from passona_sandbox.reports import CAMPAIGNS, REPORTS, Visit

KINDS: dict[str, Callable[..., object]] = {**ANSWERS, **PAGES, **EDITS}
_WHEN: dict[str, object] = {
    "report": "any", "campaign": "any", "page": "any", "method": "any", "after": 0, "times": None,
}  # fmt: skip


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
        with self._lock:
            return [rule for rule in self.rules if rule.matches(visit) and rule.strikes()]


def fault(rule: Mapping[str, object]) -> Fault:
    """Parse a rule; ValueError names the known kinds and keys."""
    if not isinstance(rule, Mapping):
        raise ValueError(f"fault: expected a list of rules, each of them an object, got {rule!r}")  # noqa: TRY004
    kind = rule.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ValueError(f"fault {dict(rule)!r}: unknown kind {kind!r}; known are {', '.join(KINDS)}")
    when = _WHEN | {key: value for key, value in rule.items() if key in _WHEN}
    options = {key: value for key, value in rule.items() if key not in {"kind", *_WHEN}}
    known = {p.name: p for p in inspect.signature(KINDS[kind]).parameters.values() if p.kind is p.KEYWORD_ONLY}
    unknown = [key for key in options if key not in known]
    missing = [key for key, each in known.items() if each.default is each.empty and key not in options]
    if unknown or missing:
        names = ", ".join([*_WHEN, *known])
        raise ValueError(f"fault {kind!r}: unknown keys {unknown}, missing keys {missing}; known are {names}")
    if when["report"] not in {*REPORTS, CAMPAIGNS, "any"}:
        raise ValueError(f"fault {kind!r}: there is no report {when['report']!r}")
    if when["method"] not in {"GET", "POST", "any"}:
        raise ValueError(f"fault {kind!r}: method {when['method']!r} is none of GET, POST, any")
    for key in ("page", "after", "times"):
        if not isinstance(when[key], int) and when[key] != _WHEN[key]:
            raise ValueError(f"fault {kind!r}: {key} {when[key]!r} is no whole number")
    return Fault(kind, when, options)
