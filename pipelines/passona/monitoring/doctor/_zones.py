"""Which zone a clock shows: civil times beside instants that are known, compared. Pure.

The instants come from version-1 uuids (RFC 9562), which carry the moment they were made at, and from times
with an offset. A pair that is no whole quarter of an hour apart tells nothing of a zone: the two are of
different moments.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum

from passona.monitoring.doctor._findings import Finding, broken, holds, unclear
from passona.reports.times import instant

# A row is written moments after its uuid is made.
TOLERANCE = timedelta(minutes=2)
# No zone is further from UTC, and every offset is whole quarters of an hour.
FARTHEST = timedelta(hours=14)
QUARTER = timedelta(minutes=15)
# An hour that occurs twice may be the later one, by an hour or, on Lord Howe, by half of one.
FOLDS = (timedelta(0), timedelta(hours=1), timedelta(minutes=30))
# Once in a while a row is written long after its uuid; where more than these few disagree, the zone is another.
AGREEING = 0.95
# Below this share the uuids are not made together with the rows; and a zone with which more than this agree is not
# called wrong unless another fits: chance puts one unrelated pair in four near a quarter of an hour.
MOST = 0.5
# Tried first, so that the zone is called by the name that people know.
WELL_KNOWN = ("UTC", "Europe/London", "Europe/Paris", "America/New_York")
_UUID_EPOCH = datetime(1582, 10, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """A time as written, and the instant that it is of."""

    text: str
    instant: datetime


def made_at(text: object) -> datetime | None:
    """The instant inside a uuid of version 1, in UTC; None for any other text."""
    try:
        found = uuid.UUID(str(text))
        return _UUID_EPOCH + timedelta(microseconds=found.time // 10) if found.version == 1 else None
    except (ValueError, OverflowError):
        return None


def has_offset(text: str) -> bool:
    """Whether a time means the same instant in every zone."""
    return instant(text, "UTC")[0] == instant(text, "Asia/Tokyo")[0]


def offset(sample: Sample) -> timedelta | None:
    """How far the clock is ahead of UTC, in quarters of an hour; None where the pair tells nothing of it."""
    shown = instant(sample.text, "UTC")[0]
    if shown is None:
        return None
    ahead = shown - sample.instant
    quarters = round(ahead / QUARTER) * QUARTER
    return quarters if abs(ahead - quarters) <= TOLERANCE and abs(quarters) <= FARTHEST else None


def agrees(sample: Sample, zone: str) -> bool:
    """Whether the zone's clock shows this time at this instant."""
    found, issue = instant(sample.text, zone)
    if found is None:
        return False
    folds = FOLDS if issue == "ambiguous_time" else FOLDS[:1]
    return any(abs(found + fold - sample.instant) <= TOLERANCE for fold in folds)


def fitting(samples: Sequence[Sample]) -> list[str]:
    """Zones whose clocks show nearly all of these times: those well known if there are any, else up to three."""
    known = [zone for zone in WELL_KNOWN if fits(samples, zone)]
    return known or [zone for zone in sorted(pendulum.timezones()) if "/" in zone and fits(samples, zone)][:3]


def fits(samples: Sequence[Sample], zone: str, share: float = AGREEING) -> bool:
    return sum(agrees(sample, zone) for sample in samples) >= share * len(samples)


def seasons(instants: Iterable[datetime]) -> set[str]:
    """`summer`, `winter` or both: what British clocks showed at these instants."""
    london = pendulum.timezone("Europe/London")
    return {"summer" if london.utcoffset(moment.astimezone(london)) else "winter" for moment in instants}


def judge(samples: Sequence[Sample], zone: str, what: str) -> Finding:
    """Whether `zone` is that of these times. `what`: what was compared with what."""
    naive = [sample for sample in samples if not has_offset(sample.text)]
    if samples and not naive:
        return holds(f"{what}: they carry an offset, so no zone is needed")
    informative = [sample for sample in naive if offset(sample) is not None]
    if len(informative) < MOST * len(naive) or not informative:
        return unclear(f"{what}: {len(informative)} of {len(naive)} pairs tell of a zone")
    found = sorted(seasons(sample.instant for sample in informative))
    seen = found[0] + " alone" if len(found) == 1 else " and ".join(found)
    facts: dict[str, Any] = {"pairs": len(naive), "agree": sum(agrees(s, zone) for s in naive), "seasons": found}
    detail = f"{what}, {facts['agree']:,} of {len(naive):,} agree with {zone}, in {seen}"
    if fits(informative, zone):
        rivals = [name for name in WELL_KNOWN[:2] if not _same(name, zone) and fits(informative, name)]
        if rivals:
            return unclear(
                f"{detail}; so they would with {rivals[0]}", "run again when campaigns of summer are there", **facts
            )
        return holds(detail, **facts)
    return _other_zone(informative, zone, detail, facts)


def _other_zone(samples: Sequence[Sample], zone: str, detail: str, facts: dict[str, Any]) -> Finding:
    ahead = Counter(str(offset(sample)) for sample in samples)
    zones = [name for name in fitting(samples) if name != zone]
    if not zones and fits(samples, zone, MOST):
        return unclear(f"{detail}; no other zone fits better", **facts)
    if not zones:
        kinds = ", ".join(f"{name} {count}" for name, count in ahead.most_common(3))
        return broken(f"{detail}; ahead of UTC by {kinds}", "no zone fits: ask the vendor", **facts)
    if len(facts["seasons"]) == 1 and len(zones) > 1:
        advice = f"set timezone to the one that is yours: {', '.join(zones)}; only one season was seen"
    else:
        advice = f'set timezone = "{zones[0]}", then passona load --refresh'
    return broken(detail, advice, zones=zones, **facts)


def _same(one: str, other: str) -> bool:
    """Whether two names are of the same clock, as far as this can be told by two days of a year."""
    days = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 7))
    first, second = pendulum.timezone(one), pendulum.timezone(other)
    return all(first.utcoffset(day.astimezone(first)) == second.utcoffset(day.astimezone(second)) for day in days)
