"""What a judge says about an assumption: it holds, it is broken (and what to do), or the evidence is unclear. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from passona.errors import Exit
from passona.monitoring.doctor._evidence import Evidence


class Verdict(StrEnum):
    """The three outcomes, as `--json` writes them."""

    HOLDS = "holds"
    BROKEN = "does_not_hold"
    UNCLEAR = "cannot_be_told"


@dataclass(frozen=True)
class Finding:
    """What was seen, and what to set or do about it."""

    verdict: Verdict
    seen: str
    to_do: str = ""


def holds(seen: str, to_do: str = "") -> Finding:
    return Finding(Verdict.HOLDS, seen, to_do)


def broken(seen: str, to_do: str) -> Finding:
    return Finding(Verdict.BROKEN, seen, to_do)


def unclear(seen: str, to_do: str = "") -> Finding:
    return Finding(Verdict.UNCLEAR, seen, to_do)


Judge = Callable[[Evidence], Finding]


@dataclass(frozen=True)
class Assumption:
    """One assumption and its judge. `name` is stable: programs rely on it.

    `matters`: if it is broken, loads fail or their figures are wrong, and doctor ends with `exit_code`.
    Loads cope with any other.
    """

    name: str
    says: str
    judge: Judge
    matters: bool
    exit_code: Exit


def assumption(says: str, *, matters: bool = False, exit_code: Exit = Exit.FAILED) -> Callable[[Judge], Assumption]:
    """Turn a judge into the assumption of the same name."""
    return lambda judge: Assumption(judge.__name__, says, judge, matters, exit_code)
