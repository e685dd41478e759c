"""Judges of what several reports say about the same messages: ids, joins, sums. Pure."""

from __future__ import annotations

from passona.masking.messages import counted
from passona.monitoring.doctor._evidence import Evidence
from passona.monitoring.doctor._findings import Finding, Verdict, assumption, broken, holds, unclear
from passona.monitoring.doctor._paging import order
from passona.reports.definitions import ALT_DELIVERY, DELIVERY, SENT, UNSENT

# Pages of two reports in different orders share at least this many messages by chance; only then
# does sharing none prove anything.
EXPECTED = 20
# Of an ended campaign, fewer than the rest changes between two requests.
JOINED = 0.99
_UNJOINED = "nothing to set: each message would be in one report of analytics only; ask the vendor"
_KEYLESS = "nothing to set: analytics counts such rows as one message; ask the vendor"


@assumption("SMS_ID and MessageId are the same", matters=True)
def message_ids(evidence: Evidence) -> Finding:
    delivery, alt_delivery = evidence.texts(DELIVERY.name, "SMS_ID"), evidence.texts(ALT_DELIVERY.name, "MessageId")
    totals, alt_totals = evidence.totals(DELIVERY.name), evidence.totals(ALT_DELIVERY.name)
    expected = joined = by_chance = 0
    for uuid in delivery.keys() & alt_delivery.keys():
        ids, alt_ids = set(delivery[uuid]), set(alt_delivery[uuid])
        total, alt_total = totals.get(uuid, 0), alt_totals.get(uuid, 0)
        if not ids or not alt_ids or not total or not alt_total:
            continue
        if abs(total - alt_total) > (1 - JOINED) * max(total, alt_total):
            return broken(f"{total:,} rows in delivery, {alt_total:,} in alt_delivery of {uuid}", _UNJOINED)
        whole = len(ids) == total and len(alt_ids) == alt_total
        joined += len(ids & alt_ids)
        expected += len(ids | alt_ids) if whole else len(ids & alt_ids)
        by_chance += len(ids) if whole else len(ids) * len(alt_ids) // total
    if joined and joined >= JOINED * expected:
        return holds(f"{counted(joined, 'message')} seen in both reports", joined=joined)
    if by_chance < EXPECTED and not joined:
        return unclear("too few messages of one campaign were seen in both reports" if by_chance else "no messages")
    return broken(f"{joined:,} of {max(expected, by_chance):,} messages are in both reports", _UNJOINED, joined=joined)


@assumption("each message has its own id", matters=True)
def message_key(evidence: Evidence) -> Finding:
    total = 0
    for report, key in ((DELIVERY.name, "SMS_ID"), (ALT_DELIVERY.name, "MessageId")):
        rows_by_campaign = evidence.rows(report)
        for uuid, ids in evidence.texts(report, key).items():
            rows, repeated = len(rows_by_campaign[uuid]), len(ids) - len(set(ids))
            if len(ids) < rows:
                return broken(f"{rows - len(ids):,} of {rows:,} rows of {report} without {key}, in {uuid}", _KEYLESS)
            if repeated and order.judge(evidence).verdict is Verdict.BROKEN:
                return unclear("the order of rows changes, so some were seen twice")
            if repeated:
                return broken(
                    f"{repeated:,} of {rows:,} rows of {report} with the {key} of another, in {uuid}", _KEYLESS
                )
            total += rows
    return holds(f"all of {counted(total, 'row')}", rows=total) if total else unclear("no messages were seen")


@assumption("MessageId of sent is the campaign's")
def sent_message_id(evidence: Evidence) -> Finding:
    return _judge_campaign_ids(evidence, SENT.name)


@assumption("MessageId of unsent is the campaign's")
def unsent_message_id(evidence: Evidence) -> Finding:
    return _judge_campaign_ids(evidence, UNSENT.name)


def _judge_campaign_ids(evidence: Evidence, report: str) -> Finding:
    """Judge whether MessageId is the campaign's uuid, and so not the key of a message."""
    pairs = [(uuid, text) for uuid, texts in evidence.texts(report, "MessageId").items() for text in texts]
    others = sum(text.lower() != uuid.lower() for uuid, text in pairs)
    if not pairs:
        return unclear(f"no rows of {report} with a MessageId were seen")
    if others:
        return broken(f"{others:,} of {len(pairs):,} differ", "nothing to set: no table and no mart joins by it")
    return holds(f"all of {counted(len(pairs), 'row')}")


@assumption("a row of sent is a batch of messages")
def batches(evidence: Evidence) -> Finding:
    """Compare the recipients of all batches with the rows of delivery."""
    totals, sent_totals = evidence.totals(DELIVERY.name), evidence.totals(SENT.name)
    compared, mismatch = 0, ""
    for uuid, rows in evidence.rows(SENT.name).items():
        counts = [count for row in rows if isinstance(count := row.get("RecipientCount"), int)]
        if not rows or len(counts) < sent_totals.get(uuid, 0) or uuid not in totals:
            continue
        compared += 1
        if sum(counts) != totals[uuid]:
            mismatch = mismatch or f"{sum(counts):,} recipients in sent, {totals[uuid]:,} rows in delivery of {uuid}"
    if not compared:
        return unclear("no campaign with all of its batches was seen")
    if mismatch:
        return broken(mismatch, "nothing to set: analytics.campaigns shows the difference as batch_residual")
    return holds(f"recipients add up to the rows of delivery in {counted(compared, 'campaign')}")
