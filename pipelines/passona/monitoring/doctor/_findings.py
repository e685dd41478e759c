"""What can be said of an assumption: it holds, it does not (and what to do), or it cannot be told. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from passona.errors import Exit
from passona.monitoring.doctor._sightings import Sightings


class Verdict(StrEnum):
    """The three things to be said; the values are those of `--json`."""

    HOLDS = "holds"
    BROKEN = "does_not_hold"
    UNCLEAR = "cannot_be_told"


@dataclass(frozen=True)
class Finding:
    """What was seen of an assumption. `to_do`: what to set or do. `facts`: the same for programs."""

    verdict: Verdict
    seen: str
    to_do: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


def holds(seen: str, to_do: str = "", **facts: Any) -> Finding:
    return Finding(Verdict.HOLDS, seen, to_do, facts)


def broken(seen: str, to_do: str, **facts: Any) -> Finding:
    return Finding(Verdict.BROKEN, seen, to_do, facts)


def unclear(seen: str, to_do: str = "", **facts: Any) -> Finding:
    return Finding(Verdict.UNCLEAR, seen, to_do, facts)


@dataclass(frozen=True)
class Assumption:
    """One assumption. `says`: what is assumed. `name` is stable: programs may look for it.

    `matters`: where it does not hold loads fail, or figures made from them are wrong; otherwise loads
    put up with it. `exit_code`: what it ends with then.
    """

    name: str
    says: str
    judge: Callable[[Sightings], Finding]
    matters: bool = False
    exit_code: Exit = Exit.FAILED


@dataclass(frozen=True)
class Diagnosis:
    """All assumptions with their findings, and what it took to find them."""

    sightings: Sightings
    findings: Sequence[tuple[Assumption, Finding]]

    @property
    def exit_code(self) -> Exit:
        """0 unless something that matters does not hold, or nothing could be seen; the lowest code that applies."""
        codes = {a.exit_code for a, finding in self.findings if a.matters and finding.verdict is Verdict.BROKEN}
        codes |= set() if self.sightings.reached else {Exit.FAILED}
        return min(codes, default=Exit.OK)

    def count(self, verdict: Verdict) -> int:
        return sum(finding.verdict is verdict for _, finding in self.findings)
