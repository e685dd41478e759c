"""What the marts must say of a made-up campaign: from the sandbox's truth, and from rows as served, one by one.

Shares nothing with the dbt project, so that the two can be compared. Times are read by the oracle.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from passona_sandbox import Account
from support.oracle import expected


def figures(account: Account, uuid: str) -> dict[str, Any]:
    """The row of `campaigns`, but for what the list says of the campaign."""
    delivery, clicks = _told(account, uuid, "delivery"), _told(account, uuid, "clicks")
    recipients, unsent = _told(account, uuid, "recipient"), _told(account, uuid, "unsent")
    batches, times = _told(account, uuid, "sent"), _told(account, uuid, "alt_delivery")
    sent_at = {row["mobile"]: row["message_sent"] for row, _ in times}
    people = [(row, truth) for row, truth in clicks if not truth["robot"]]
    delivered = sum(truth["delivered"] for _, truth in delivery)
    pending = sum(row["status"] == "Pending" for row, _ in delivery)
    final = len(delivery) - pending
    taken = [_seconds(row["message_sent"], row["message_update"]) for row, _ in times if row["status"] != "Pending"]
    waited = [_seconds(sent_at[row["phone_number"]], row["clicked_at"]) for row, _ in clicks]
    waited_human = [_seconds(sent_at[row["phone_number"]], row["clicked_at"]) for row, _ in people]
    targeted, human_clickers = _persons(recipients), _persons(people)
    return {
        "targeted": targeted,
        "sent": len(delivery),
        "delivered": delivered,
        "failed": final - delivered,
        "pending": pending,
        "unmapped": 0,
        "unsent": len(unsent),
        "residual": targeted - len(delivery) - len(unsent),
        "recipients_in_groups": len(recipients),
        "batches": len(batches),
        "batch_recipients": sum(row["recipient_count"] for row, _ in batches),
        "batch_residual": sum(row["recipient_count"] for row, _ in batches) - len(delivery),
        "unsent_reasons": _counted(Counter(row["reason"] for row, _ in unsent)),
        "delivered_per_final": _ratio(delivered, final),
        "delivered_per_sent": _ratio(delivered, len(delivery)),
        "pending_per_sent": _ratio(pending, len(delivery)),
        "unsent_per_targeted": _ratio(len(unsent), targeted),
        "clicks": len(clicks),
        "human_clicks": len(people),
        "clickers": _persons(clicks),
        "human_clickers": human_clickers,
        "human_clickers_per_delivered": _ratio(human_clickers, delivered),
        "first_sent_at": min((time for time in sent_at.values() if time), default=None),
        "last_sent_at": max((time for time in sent_at.values() if time), default=None),
        "delivery_seconds_median": _quantile(taken, Decimal("0.5")),
        "delivery_seconds_p90": _quantile(taken, Decimal("0.9")),
        "seconds_to_human_click_median": _quantile(waited_human, Decimal("0.5")),
        "seconds_to_human_click_p90": _quantile(waited_human, Decimal("0.9")),
        "clicks_within_10s_per_timed_click": _share_within_10s(waited),
        "human_clicks_within_10s_per_timed_human_click": _share_within_10s(waited_human),
        "clicks_without_message": sum(seconds is None for seconds in waited),
        "messages_without_text": 0,
        "messages_without_msisdn": 0,
        "messages_in_one_report": 0,
    }


def _told(account: Account, uuid: str, report: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows by the names of columns, each with what is true of it."""
    rows = [dict(next(iter(expected([row])))[0]) for row in account.rows(uuid, report)]
    return [(row, account.row_truth(uuid, report, index)) for index, row in enumerate(rows)]


def _persons(reported: Sequence[tuple[Any, dict[str, Any]]]) -> int:
    return len({truth["person"] for _, truth in reported})


def _counted(reasons: Counter[str]) -> str | None:
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason} {count}" for reason, count in ordered) or None


def _seconds(earlier: datetime | None, later: datetime | None) -> int | None:
    if earlier is None or later is None or later < earlier:
        return None
    return int((later - earlier).total_seconds())


def _ratio(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(Decimal("0.000001")) if whole else None


def _share_within_10s(waited: Sequence[int | None]) -> Decimal | None:
    timed = [seconds for seconds in waited if seconds is not None]
    return _ratio(sum(seconds <= 10 for seconds in timed), len(timed))


def _quantile(numbers: Sequence[int | None], share: Decimal) -> Decimal | None:
    """Between two numbers where it lies between."""
    known = sorted(number for number in numbers if number is not None)
    if not known:
        return None
    place = share * (len(known) - 1)
    low = int(place)
    high = min(low + 1, len(known) - 1)
    return (known[low] + (place - low) * (known[high] - known[low])).quantize(Decimal("0.001"))
