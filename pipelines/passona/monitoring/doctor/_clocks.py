"""Judges of the clocks: the zone of times without an offset. Pure."""

from collections import Counter

from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence
from passona.monitoring.doctor._findings import Finding, assumption, broken, unclear
from passona.monitoring.doctor._zones import Sample, has_offset, judge_zone, made_at
from passona.reports.definitions import ALT_DELIVERY, DELIVERY
from passona.reports.times import instant


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
