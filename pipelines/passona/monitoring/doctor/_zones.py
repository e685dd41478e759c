"""Judges of the zone that a clock shows: civil times compared with known instants. Pure.

The instants come from version-1 uuids (RFC 9562), which carry their time of creation, and from times with
an offset. The two times of a pair that differ by no whole quarter of an hour are unrelated, and show no zone.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pendulum

from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence, Finding, assumption, broken, holds, unclear
from passona.reports.definitions import ALT_DELIVERY, DELIVERY
from passona.reports.times import instant

# A row is written moments after its uuid.
TOLERANCE = timedelta(minutes=2)
# No zone is further from UTC, and every offset is whole quarters of an hour.
FARTHEST = timedelta(hours=14)
QUARTER = timedelta(minutes=15)
# A repeated hour may be the later one: by an hour or, on Lord Howe, by half an hour.
FOLDS = (timedelta(0), timedelta(hours=1), timedelta(minutes=30))
# Few rows are written long after their uuid; if more than these disagree, the zone is another.
AGREEING = 0.95
# Below this share the uuids were not made with the rows. A zone with which more than this share agrees is not called
# wrong unless another fits: by chance one unrelated pair in four is near a quarter of an hour.
MOST = 0.5
# Tried first, so that the zone gets the name that people know.
WELL_KNOWN = ("UTC", "Europe/London", "Europe/Paris", "America/New_York")
_UUID_EPOCH = datetime(1582, 10, 15, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """A civil time as written, and its instant."""

    text: str
    instant: datetime


def made_at(text: object) -> datetime | None:
    """Return the instant in a uuid of version 1, in UTC; None for any other text."""
    try:
        identifier = UUID(str(text))
        return _UUID_EPOCH + timedelta(microseconds=identifier.time // 10) if identifier.version == 1 else None
    except (ValueError, OverflowError):
        return None


def has_offset(text: str) -> bool:
    """Return True if a time means the same instant in every zone."""
    return instant(text, "UTC")[0] == instant(text, "Asia/Tokyo")[0]


def offset(sample: Sample) -> timedelta | None:
    """Return how far the clock is ahead of UTC, in quarters of an hour; None if the pair is unrelated."""
    shown = instant(sample.text, "UTC")[0]
    if shown is None:
        return None
    ahead = shown - sample.instant
    quarters = round(ahead / QUARTER) * QUARTER
    return quarters if abs(ahead - quarters) <= TOLERANCE and abs(quarters) <= FARTHEST else None


def agrees(sample: Sample, zone: str) -> bool:
    """Return True if the zone's clock shows this time at this instant."""
    moment, issue = instant(sample.text, zone)
    if moment is None:
        return False
    folds = FOLDS if issue == "ambiguous_time" else FOLDS[:1]
    return any(abs(moment + fold - sample.instant) <= TOLERANCE for fold in folds)


def fits(samples: Sequence[Sample], zone: str, share: float = AGREEING) -> bool:
    return sum(agrees(sample, zone) for sample in samples) >= share * len(samples)


def fitting(samples: Sequence[Sample]) -> list[str]:
    """Return the well-known zones that fit, or else up to three others."""
    zones = [zone for zone in WELL_KNOWN if fits(samples, zone)]
    return zones or [zone for zone in sorted(pendulum.timezones()) if "/" in zone and fits(samples, zone)][:3]


def seasons(instants: Iterable[datetime]) -> set[str]:
    """Return `summer`, `winter` or both: what British clocks showed at these instants."""
    london = pendulum.timezone("Europe/London")
    return {"summer" if london.utcoffset(moment.astimezone(london)) else "winter" for moment in instants}


def judge_zone(samples: Sequence[Sample], zone: str, what: str) -> Finding:
    """Check that `zone` is that of these times. `what`: which two times each sample compares."""
    naive = [sample for sample in samples if not has_offset(sample.text)]
    if samples and not naive:
        return holds(f"{what}: they have an offset, so no zone is needed")
    related = [sample for sample in naive if offset(sample) is not None]
    if len(related) < MOST * len(naive) or not related:
        return unclear(f"{what}: {len(related)} of {len(naive)} pairs show a zone")
    covered = sorted(seasons(sample.instant for sample in related))
    agreeing = sum(agrees(sample, zone) for sample in naive)
    when = " and ".join(covered) if len(covered) > 1 else f"{covered[0]} only"
    seen = f"{what}: {agreeing:,} of {len(naive):,} agree with {zone}, in {when}"
    if not fits(related, zone):
        return _judge_other_zone(related, zone, seen)
    rivals = [name for name in WELL_KNOWN[:2] if not _same(name, zone) and fits(related, name)]
    if rivals:
        return unclear(f"{seen}; {rivals[0]} fits too", "run again when there are campaigns of the summer")
    return holds(seen)


def _judge_other_zone(samples: Sequence[Sample], zone: str, seen: str) -> Finding:
    zones = [name for name in fitting(samples) if name != zone]
    if not zones and fits(samples, zone, MOST):
        return unclear(f"{seen}; no other zone fits better")
    if not zones:
        offsets = Counter(str(offset(sample)) for sample in samples)
        counts = ", ".join(f"{name} {count}" for name, count in offsets.most_common(3))
        return broken(f"{seen}; ahead of UTC by {counts}", "no zone fits: ask the vendor")
    advice = f'set timezone = "{zones[0]}", then passona load --refresh'
    if len(seasons(sample.instant for sample in samples)) == 1 and len(zones) > 1:
        advice = f"set timezone to yours, one of {', '.join(zones)}; only one season was seen"
    return broken(seen, advice)


def _same(one: str, other: str) -> bool:
    """Return True if two zones have the same offset in winter and in summer."""
    days = (datetime(2024, month, 1, tzinfo=UTC) for month in (1, 7))
    first, second = pendulum.timezone(one), pendulum.timezone(other)
    return all(first.utcoffset(day.astimezone(first)) == second.utcoffset(day.astimezone(second)) for day in days)


@assumption("the list's times are in timezone", matters=True)
def zone_of_list(evidence: Evidence) -> Finding:
    """Compare `created_at` with the instant in the campaign's uuid."""
    pairs = [(row.get("created_at"), made_at(row.get("uuid"))) for row in evidence.listed_rows]
    samples = [Sample(text, moment) for text, moment in pairs if isinstance(text, str) and text and moment]
    if not samples:
        return unclear("no campaign with a uuid of version 1 and a created_at")
    return judge_zone(samples, evidence.settings.timezone, "created_at and the uuid's instant")


@assumption("expiry_date in timezone is Expiry_Date", matters=True)
def zone_of_expiry(evidence: Evidence) -> Finding:
    """Compare the list's `expiry_date` with `Expiry_Date` of delivery, which has an offset."""
    listed = {row.get("uuid"): row.get("expiry_date") for row in evidence.listed_rows}
    samples, without_offset = [], 0
    for uuid, texts in evidence.texts(DELIVERY.name, "Expiry_Date").items():
        civil = listed.get(uuid)
        most_frequent = Counter(texts).most_common(1)
        moment = instant(most_frequent[0][0], "UTC")[0] if most_frequent else None
        if moment is None or not isinstance(civil, str) or not civil:
            continue
        if has_offset(most_frequent[0][0]):
            samples.append(Sample(civil, moment))
        else:
            without_offset += 1
    if without_offset:
        seen = f"Expiry_Date of {counted(without_offset, 'campaign')} came without an offset"
        return broken(seen, "nothing to set: loads read it in timezone; compare created_at to check timezone")
    if not samples:
        return unclear("no campaign with messages and an expiry_date")
    return judge_zone(samples, evidence.settings.timezone, "expiry_date and Expiry_Date")


@assumption("the reports' times are in timezone", matters=True)
def zone_of_reports(evidence: Evidence) -> Finding:
    """Compare MessageSent with the instant in MessageId."""
    samples = []
    for response in evidence.of(ALT_DELIVERY.name):
        pairs = [(row.get("MessageSent"), made_at(row.get("MessageId"))) for row in response.rows]
        samples += [Sample(text, moment) for text, moment in pairs if isinstance(text, str) and moment]
    return judge_zone(samples, evidence.settings.timezone, "MessageSent and MessageId's instant")
