"""Judges of the clocks: the zone of times without an offset, and whether all times can be read. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence
from passona.monitoring.doctor._findings import Finding, Verdict, assumption, broken, holds, unclear
from passona.monitoring.doctor._words import share
from passona.monitoring.doctor._zones import Sample, has_offset, judge_zone, made_at
from passona.reports.definitions import ALT_DELIVERY, DELIVERY, SENT
from passona.reports.times import instant

# Pairs compared per campaign: as many as the largest page has.
COMPARED = 500
# A first batch goes out within minutes of the start that the list names.
SOON = timedelta(minutes=10)
# One published sample is malformed; where more are, the form is another.
UNREADABLE = 0.01


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
    """Compare MessageSent with the instant in MessageId; failing that, the first SentOn with the campaign's start."""
    samples = []
    for rows in evidence.rows(ALT_DELIVERY.name).values():
        pairs = [(row.get("MessageSent"), made_at(row.get("MessageId"))) for row in rows[:COMPARED]]
        samples += [Sample(text, moment) for text, moment in pairs if isinstance(text, str) and moment]
    readable = [sample for sample in samples if instant(sample.text, "UTC")[0] is not None]
    finding = judge_zone(readable, evidence.settings.timezone, "MessageSent and MessageId's instant")
    if finding.verdict is not Verdict.UNCLEAR or finding.facts:
        return finding
    delays = _start_delays(evidence)
    if delays and all(timedelta(0) <= delay <= SOON for delay in delays):
        minutes, campaigns = SOON.seconds // 60, counted(len(delays), "campaign")
        return holds(f"first SentOn within {minutes} minutes of started_sending_at, in {campaigns}")
    return finding


def _start_delays(evidence: Evidence) -> list[timedelta]:
    """Return the time from the list's start to the first batch of each campaign, both read in `timezone`."""
    delays = []
    for uuid, texts in evidence.texts(SENT.name, "SentOn").items():
        campaign = evidence.campaigns.get(uuid)
        times = [time for text in texts if (time := instant(text, evidence.settings.timezone)[0])]
        if campaign and campaign.started_sending_at and times:
            delays.append(min(times) - campaign.started_sending_at)
    return delays


@assumption("times have a known form", matters=True)
def readable_times(evidence: Evidence) -> Finding:
    readings = evidence.readings
    times = {f"{name}.{column}": n for name, reading in readings.items() for column, n in reading.times.items()}
    unreadable = {
        f"{name}.{column}": count
        for name, reading in readings.items()
        for column, count in reading.issue("invalid_time").items()
    }
    total, bad = sum(times.values()), sum(unreadable.values())
    if not total:
        return unclear("no times were seen")
    if not bad:
        return holds(f"all of {total:,}", times=total, unreadable=0)
    shapes = sum((reading.unreadable for reading in readings.values()), Counter[str]())
    seen = f"{bad:,} of {total:,} are unreadable ({share(bad, total)}), such as {shapes.most_common(1)[0][0]}"
    if any(count > max(1, UNREADABLE * times[column]) for column, count in unreadable.items()):
        worst = max(unreadable, key=lambda column: unreadable[column])
        advice = "nothing to set: they are NULL, and row_issues keeps their texts; report the form to us"
        return broken(f"{seen}, most of them in {worst}", advice, times=total, unreadable=bad)
    return holds(f"{seen}; they are NULL, and row_issues keeps their texts", times=total, unreadable=bad)
