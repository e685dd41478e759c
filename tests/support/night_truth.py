"""Whether a warehouse is the truth after its nights: every row of every table against the account.

    Nights (the account at any instant, what was seen when) + warehouse -> differences, a line each

The account knows every row at every instant; the `oracle` says what the tables have to hold for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from support.nights import AHEAD, LONDON, REPORTS, Nights
from support.oracle import expected, time_of
from support.stored import stored
from support.warehouses import Warehouse

DATES = ("scheduled_send_date", "expiry_date", "started_sending_at", "finished_sending_at", "created_at", "updated_at")
COLUMNS = ("name", "sender", "status", *DATES)
CHILDREN = {"alt_delivery__fields": "alt_delivery", "recipient__fields": "recipient", "unsent__fields": "unsent"}
Row = dict[str, Any]
Entries = dict[tuple[str, str], tuple[str, datetime | None]]


def differences(nights: Nights) -> Iterator[str]:
    """Where the warehouse is not the truth.

    Of campaigns that are listed at the last night's instant: every row as it is at that instant. Of those
    that left: every row as it was when it was verified, and that not before the last good night on which
    the campaign was there; where a load was interrupted nothing is promised until the next, which never came.
    """
    warehouse = Warehouse(nights.path)
    listed: dict[str, Row] = {str(row["uuid"]): row for row in nights.then(nights.nights[-1].at).campaigns()}
    entries = {
        (uuid, report): (state, verified_at)
        for uuid, report, state, verified_at in warehouse.rows(
            "SELECT campaign_id, report, state, CASE WHEN _dlt_load_id IN (SELECT load_id FROM passona._dlt_loads "
            "WHERE status = 0) THEN verified_at END FROM passona.report_ledger"
        )
    }
    for uuid in sorted({uuid for uuid, _ in entries} | nights.seen.keys() | listed.keys()):
        yield from _campaign_differs(warehouse, nights, uuid, listed.get(uuid))
        yield from _reports_differ(nights, uuid, entries, is_listed=uuid in listed)
    for table, parent in CHILDREN.items():
        ((orphans,),) = warehouse.rows(
            f"SELECT count(*) FROM passona.{table} ANTI JOIN passona.{parent} USING (campaign_id, row_id)"
        )
        if orphans:
            yield f"{table}: {orphans} rows without a parent"


def unexplained(nights: Nights) -> Iterator[str]:
    """Good nights that took other requests than those that read the list and what was due, page by page.

    A wrong clock makes a night no worse.
    """
    for night in nights.nights:
        if night.bad in {"", AHEAD} and night.requests != night.explained:
            yield f"{night.at:%Y-%m-%d}: {night.requests} requests, and not {night.explained}"


def _reports_differ(nights: Nights, uuid: str, entries: Entries, *, is_listed: bool) -> Iterator[str]:
    seen = nights.seen[uuid][0] if uuid in nights.seen else None
    for report in REPORTS:
        state, verified_at = entries.get((uuid, report), ("never loaded", None))
        if not is_listed and verified_at is None and state != "never loaded":
            continue
        at = nights.nights[-1].at if is_listed else verified_at
        rows = nights.then(at).rows(uuid, report) if at else ()
        if stored(nights.path, uuid, report) != expected(rows):
            yield f"{uuid}, {report} ({state}): other rows than at {at}"
        is_settled = (uuid, report) in nights.settled
        if not is_listed and not is_settled and seen and verified_at and verified_at < seen:
            yield f"{uuid}, {report}: left the list, and is older than the last good night"
        if (state == "settled") != is_settled:
            yield f"{uuid}, {report}: {state}, which is not what the contract says"


def _campaign_differs(warehouse: Warehouse, nights: Nights, uuid: str, row: Row | None) -> Iterator[str]:
    """Whether the row of a campaign, and its groups, are not as the list had them at last."""
    served = row if row is not None else nights.seen[uuid][1] if uuid in nights.seen else None
    if served is None:
        return
    wanted = [_value(name, served[name]) for name in COLUMNS]
    sql = f"SELECT {', '.join(COLUMNS)}, listed FROM passona.campaigns WHERE campaign_id = ?"
    if warehouse.rows(sql, uuid) != [(*wanted, row is not None)]:
        yield f"{uuid}: other values in campaigns than in the list"
    groups = [
        (key == "included_contact_groups", position, group)
        for key in ("excluded_contact_groups", "included_contact_groups")
        for position, group in enumerate(served[key], 1)
    ]
    sql = (
        "SELECT included, position, contact_group_id FROM passona.campaigns__contact_groups "
        "WHERE campaign_id = ? ORDER BY ALL"
    )
    if warehouse.rows(sql, uuid) != groups:
        yield f"{uuid}: other contact groups than in the list"


def _value(name: str, served: Any) -> Any:
    if name in DATES:
        return time_of(served, LONDON)[0] if served else None
    return None if served == "" else served
