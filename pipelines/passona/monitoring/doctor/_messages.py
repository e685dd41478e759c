"""Judges of what the reports say of the same messages: identities, joins, sums. Pure."""

from __future__ import annotations

from collections import Counter

from passona.monitoring.doctor._findings import Finding, Verdict, broken, holds, unclear
from passona.monitoring.doctor._paging import order
from passona.monitoring.doctor._sightings import Sightings
from passona.monitoring.doctor._words import several
from passona.reports.definitions import ALT_DELIVERY, DELIVERY, SENT, UNSENT

# Of two reports in different orders, pages of each have this many messages in common by chance at the
# least, where none in common proves something.
EXPECTED = 20
# Messages that changed between two requests are fewer than this share of a campaign that is over.
JOINED = 0.99


def message_ids(seen: Sightings) -> Finding:
    """Whether SMS_ID of delivery and MessageId of alt_delivery are the same."""
    delivery, other = _ids(seen, DELIVERY.name, "SMS_ID"), _ids(seen, ALT_DELIVERY.name, "MessageId")
    totals, other_totals = seen.totals(DELIVERY.name), seen.totals(ALT_DELIVERY.name)
    both = common = chance = 0
    for uuid in delivery.keys() & other.keys():
        one, two = set(delivery[uuid]), set(other[uuid])
        all_one, all_two = totals.get(uuid, 0), other_totals.get(uuid, 0)
        if not one or not two or not all_one or not all_two:
            continue
        if abs(all_one - all_two) > (1 - JOINED) * max(all_one, all_two):
            return broken(f"{all_one:,} rows in delivery, {all_two:,} in alt_delivery of {uuid}", _UNJOINED)
        whole = len(one) == all_one and len(two) == all_two
        common += len(one & two)
        both += len(one | two) if whole else len(one & two)
        chance += len(one) if whole else len(one) * len(two) // all_one
    if common and common >= JOINED * both:
        return holds(f"{several(common, 'message')} seen in both reports", joined=common)
    if chance < EXPECTED and not common:
        return unclear("too few messages of the same campaign were seen in both reports" if chance else "no messages")
    return broken(f"{common:,} of {max(both, chance):,} messages are in both reports", _UNJOINED, joined=common)


_UNJOINED = "nothing to set: messages of analytics would be in one report only; ask the vendor"


def message_key(seen: Sightings) -> Finding:
    """Whether each message has an id of its own."""
    detail = []
    for report, key in ((DELIVERY.name, "SMS_ID"), (ALT_DELIVERY.name, "MessageId")):
        for uuid, ids in _ids(seen, report, key).items():
            rows = len(seen.rows(report)[uuid])
            if len(ids) < rows:
                return broken(f"{rows - len(ids):,} of {rows:,} rows of {report} without {key}, in {uuid}", _KEYLESS)
            if len(set(ids)) < len(ids) and order(seen).verdict is Verdict.BROKEN:
                return unclear("rows come in no steady order, so some were seen twice")
            if len(set(ids)) < len(ids):
                twice = len(ids) - len(set(ids))
                return broken(f"{twice:,} of {rows:,} rows of {report} with the {key} of another, in {uuid}", _KEYLESS)
            detail.append(rows)
    return (
        holds(f"all of {several(sum(detail), 'row')}", rows=sum(detail))
        if sum(detail)
        else unclear("no messages were seen")
    )


_KEYLESS = "nothing to set: analytics counts such rows as one message; ask the vendor"


def sent_message_id(seen: Sightings) -> Finding:
    return _campaigns_own(seen, SENT.name)


def unsent_message_id(seen: Sightings) -> Finding:
    return _campaigns_own(seen, UNSENT.name)


def _campaigns_own(seen: Sightings, report: str) -> Finding:
    """Whether MessageId is the campaign's uuid, so that it is no key of a message."""
    found: Counter[bool] = Counter()
    for uuid, ids in _ids(seen, report, "MessageId").items():
        found.update(text.lower() == uuid.lower() for text in ids)
    if not found:
        return unclear(f"no rows of {report} with one were seen")
    if found[False]:
        return broken(
            f"{found[False]:,} of {found.total():,} are another", "nothing to set: no table and no mart joins by it"
        )
    return holds(f"all of {several(found.total(), 'row')}")


def batches(seen: Sightings) -> Finding:
    """Whether a row of sent is a batch: the recipients of all of them are the messages of delivery."""
    totals, sent_totals = seen.totals(DELIVERY.name), seen.totals(SENT.name)
    compared, odd = 0, ""
    for uuid, rows in seen.rows(SENT.name).items():
        counts = [count for row in rows if isinstance(count := row.get("RecipientCount"), int)]
        if not rows or len(counts) < sent_totals.get(uuid, 0) or uuid not in totals:
            continue
        compared += 1
        if sum(counts) != totals[uuid]:
            odd = odd or f"{sum(counts):,} recipients in sent, {totals[uuid]:,} rows in delivery of {uuid}"
    if not compared:
        return unclear("no campaign whose batches were all seen")
    if odd:
        return broken(odd, "nothing to set: campaigns of analytics tell the difference as batch_residual")
    return holds(f"recipients add up to the rows of delivery in {several(compared, 'campaign')}")


def _ids(seen: Sightings, report: str, key: str) -> dict[str, list[str]]:
    """The ids of a report's rows, by campaign; a page that was seen twice counts once."""
    return {
        uuid: [value for row in rows if isinstance(value := row.get(key), str) and value]
        for uuid, rows in seen.rows(report).items()
    }
