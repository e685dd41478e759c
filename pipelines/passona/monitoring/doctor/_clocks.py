"""Judges of the clocks: which zone times without an offset are of, and whether all can be read. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from passona.monitoring.doctor._findings import Finding, Verdict, broken, holds, unclear
from passona.monitoring.doctor._sightings import Sightings
from passona.monitoring.doctor._words import several, shape, share
from passona.monitoring.doctor._zones import Sample, judge, made_at
from passona.reports.definitions import ALT_DELIVERY, DELIVERY, SENT
from passona.reports.times import instant

# Pairs compared: a page of the largest size has no more, and they are of one campaign.
COMPARED = 500
# A first batch goes out within minutes of the moment that the list calls the start.
SOON = timedelta(minutes=10)
# One published sample is malformed; where more are, the form is another.
UNREADABLE = 0.01


def zone_of_list(seen: Sightings) -> Finding:
    """Campaigns' uuids against `created_at`."""
    pairs = [(row.get("created_at"), made_at(row.get("uuid"))) for row in seen.listed_rows]
    samples = [Sample(text, moment) for text, moment in pairs if isinstance(text, str) and text and moment]
    if not samples:
        return unclear("no campaign with a uuid of version 1 and a created_at")
    return judge(samples, seen.settings.timezone, "created_at beside the uuid's instant")


def zone_of_expiry(seen: Sightings) -> Finding:
    """The list's `expiry_date` against `Expiry_Date` of delivery, which carries an offset."""
    listed = {row.get("uuid"): row.get("expiry_date") for row in seen.listed_rows}
    samples, without = [], 0
    for uuid, rows in seen.rows(DELIVERY.name).items():
        texts = Counter(text for row in rows if isinstance(text := row.get("Expiry_Date"), str) and text)
        text, written = (texts.most_common(1) or [("", 0)])[0][0], listed.get(uuid)
        moment = instant(text, "UTC")[0]
        if moment is None or not isinstance(written, str) or not written:
            continue
        # The other end of Tokyo: a time that means another instant there has no offset of its own.
        if instant(text, "Asia/Tokyo")[0] != moment:
            without += 1
        else:
            samples.append(Sample(written, moment))
    if without:
        return broken(
            f"Expiry_Date of {several(without, 'campaign')} came without an offset",
            "nothing to set: it is read as all times without one; check timezone by created_at",
        )
    if not samples:
        return unclear("no campaign with messages and an expiry_date")
    return judge(samples, seen.settings.timezone, "expiry_date beside Expiry_Date")


def zone_of_reports(seen: Sightings) -> Finding:
    """MessageSent against the instant in MessageId; failing that, the first SentOn against the campaign's start."""
    samples = []
    for rows in seen.rows(ALT_DELIVERY.name).values():
        pairs = [(row.get("MessageSent"), made_at(row.get("MessageId"))) for row in rows[:COMPARED]]
        samples += [Sample(text, moment) for text, moment in pairs if isinstance(text, str) and moment]
    readable = [sample for sample in samples if instant(sample.text, "UTC")[0] is not None]
    found = judge(readable, seen.settings.timezone, "MessageSent beside MessageId's instant")
    return found if found.verdict is not Verdict.UNCLEAR or found.facts else _by_start(seen, found)


def _by_start(seen: Sightings, found: Finding) -> Finding:
    """Whether reports and list are of one zone, where no uuid tells which."""
    gaps = _starts(seen)
    if gaps and all(timedelta(0) <= gap <= SOON for gap in gaps):
        minutes, campaigns = SOON.seconds // 60, several(len(gaps), "campaign")
        return holds(f"first SentOn within {minutes} minutes of started_sending_at, in {campaigns}")
    return found


def _starts(seen: Sightings) -> list[timedelta]:
    """From the list's start to the first batch, by campaign, both as civil times of one zone."""
    gaps = []
    for uuid, rows in seen.rows(SENT.name).items():
        campaign, zone = seen.campaigns.get(uuid), seen.settings.timezone
        times = [instant(text, zone)[0] for row in rows if isinstance(text := row.get("SentOn"), str)]
        known = [time for time in times if time is not None]
        if campaign and campaign.started_sending_at and known:
            gaps.append(min(known) - campaign.started_sending_at)
    return gaps


def readable_times(seen: Sightings) -> Finding:
    """Whether times have a form that loads can read; once in a while one has not."""
    total = sum(reading.times for reading in seen.readings.values())
    if not total:
        return unclear("no times were seen")
    worst = Counter[str]()
    shapes = Counter[str]()
    for name, reading in seen.readings.items():
        for column, count in reading.of("invalid_time").items():
            worst[f"{name}.{column}"] = count
            shapes.update(shape(text) for text in reading.odd[column, "invalid_time"])
    bad = sum(worst.values())
    if not bad:
        return holds(f"all of {total:,}", times=total, unreadable=0)
    detail = f"{bad:,} of {total:,} cannot be ({share(bad, total)}), such as {shapes.most_common(1)[0][0]}"
    if any(count > UNREADABLE * _times_in(seen, place) for place, count in worst.items()):
        place = max(worst, key=lambda name: worst[name])
        return broken(
            f"{detail}, most of them in {place}",
            "nothing to set: they are NULL, and row_issues keeps their texts; tell us the form",
            times=total,
            unreadable=bad,
        )
    return holds(f"{detail}; they are NULL, and row_issues keeps their texts", times=total, unreadable=bad)


def _times_in(seen: Sightings, place: str) -> float:
    """Times in a column, near enough: those of its report, shared out among the columns of times."""
    reading = seen.readings[place.partition(".")[0]]
    columns = sum(column.kind == "time" for column in reading.report.columns)
    return max(reading.times / columns, 1 / UNREADABLE)
