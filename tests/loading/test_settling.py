"""When a report settles, and what makes it due again (contract, rule 9): nothing is lost by settling too early.

The sandbox says what time it is (header `Date`), so a test travels by changing the account's clock.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from passona.monitoring.status import status
from passona.reports.definitions import REPORTS
from passona.source.pace import Clock
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, london_time, message, open_campaign
from support.engines import change
from support.ledgers import ledger_states
from support.sandbox_requests import requested_reports
from support.served import assert_as_served
from support.warehouses import Lines, Warehouse

DAY = 86_400
OF = f"WHERE campaign_id = '{ONE}'"


class Wrong(Clock):
    """A machine's clock that is so many days off."""

    def __init__(self, days: float) -> None:
        self._off = timedelta(days=days)

    def utc(self) -> datetime:
        return super().utc() + self._off


def travel(account: Account, days: float) -> None:
    """For the server it is so many days later."""
    account.clock = lambda: time.time() + days * DAY


def seen(warehouse: Warehouse) -> tuple[int, list[str]]:
    """By `passona status`: campaigns whose clicks are stale, and what is overdue."""
    found = status(warehouse.address, timedelta(hours=26), 0, print)
    return found.reports["clicks"].stale, found.overdue


def draft(**dates: Any) -> dict[str, Any]:
    """A campaign that was never sent; without any date, unless they are given."""
    none = dict.fromkeys(("scheduled_send_date", "expiry_date", "started_sending_at", "finished_sending_at"), "")
    return {"uuid": ONE, "status": 0, **none, "created_at": london_time(-1), "updated_at": london_time(-1), **dates}


def over(uuid: str = ONE, **other: Any) -> dict[str, Any]:
    """A campaign that was sent long ago; all its reports settle at the first look."""
    return open_campaign(uuid, **{"expiry_date": "2020-07-01 00:00:00"} | other)


@pytest.mark.parametrize(
    "dates",
    [
        {},
        {"scheduled_send_date": "2024-01-10 10:00:00"},
        {"expiry_date": "2024-01-12 10:00:00"},
        {"scheduled_send_date": "2024-01-10 10:00:00", "expiry_date": "2024-01-12 10:00:00"},
    ],
    ids=lambda dates: "+".join(dates) or "no date",
)
def test_a_draft_does_not_settle_however_old_and_is_loaded_when_it_is_sent(
    warehouse: Warehouse, account: Account, box: Sandbox, dates: dict[str, str]
) -> None:
    account.put(draft(**dates), {})
    for days in (0, 4, 31, 400):
        travel(account, days)
        assert warehouse.load(box).exit_code == 0
        assert set(ledger_states(warehouse).values()) == {"open"}
    travel(account, 401)
    account.put(
        draft(**dates, started_sending_at=london_time(400.5)),
        {
            "clicks": [click(1, Clicked_At=london_time(400.6))],
            "alt_delivery": [message()],
            "recipient": [],
            "unsent": [],
        },
    )
    warehouse.load(box)
    assert_as_served(warehouse, account, [ONE])


def test_a_draft_that_an_earlier_version_settled_is_due_again(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(draft(), {})
    warehouse.load(box)
    change(warehouse.path, "UPDATE passona.report_ledger SET state = 'settled'")
    box.forget_requests()
    warehouse.load(box)
    assert requested_reports(box) == [(ONE, report) for report in sorted(REPORTS)]
    assert set(ledger_states(warehouse).values()) == {"open"}


def test_without_dates_a_campaign_that_was_sent_settles_after_its_last_change(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(draft(started_sending_at=london_time(-1)), {})
    for days, state in ((0, "open"), (2.9, "open"), (3.1, "settled")):
        travel(account, days)
        warehouse.load(box, reports=["unsent"])
        assert ledger_states(warehouse) == {(ONE, "unsent"): state}


@pytest.mark.parametrize("name", ["started_sending_at", "finished_sending_at"])
def test_a_campaign_sent_after_its_expiry_settles_after_the_sending(
    warehouse: Warehouse, account: Account, box: Sandbox, name: str
) -> None:
    account.put(draft(expiry_date=london_time(-60), **{name: london_time(-0.1)}), {})
    warehouse.load(box)
    assert set(ledger_states(warehouse).values()) == {"open"}
    travel(account, 2)
    account.put(
        draft(expiry_date=london_time(-60), **{name: london_time(-0.1)}),
        {"clicks": [click(Clicked_At=london_time(1))], "alt_delivery": [message()], "recipient": [], "unsent": []},
    )
    warehouse.load(box)
    assert_as_served(warehouse, account, [ONE])
    travel(account, 40)
    warehouse.load(box)
    assert set(ledger_states(warehouse).values()) == {"settled"}


@pytest.mark.parametrize("gap", ["seen", "not seen"])
def test_a_campaign_that_was_deleted_and_made_anew_is_loaded_anew(
    warehouse: Warehouse, account: Account, box: Sandbox, gap: str
) -> None:
    account.put(open_campaign(TWO), {})
    account.put(over(expiry_date=""), {"clicks": [click(n) for n in range(3)]})
    warehouse.load(box)
    assert ledger_states(warehouse)[ONE, "clicks"] == "settled"
    account.remove(ONE)
    made = {}
    if gap == "seen":
        warehouse.load(box)
        assert warehouse.one(f"SELECT listed FROM passona.campaigns {OF}") == (False,)
    else:
        made = {"created_at": london_time(0.5)}
        travel(account, 1)
    account.put(over(expiry_date="", **made), {"clicks": [click(n) for n in range(7, 10)]})
    # The load that sees it in the list need not be the one that asks for clicks.
    warehouse.load(box, reports=["sent"])
    warehouse.load(box)
    assert_as_served(warehouse, account, [ONE])


@pytest.mark.parametrize("days", [400, -400, 0.1])
@pytest.mark.core(1)
def test_now_is_the_servers_clock_whatever_this_machine_says(
    warehouse: Warehouse, account: Account, box: Sandbox, days: float
) -> None:
    account.put(open_campaign(ONE, expiry_date=london_time(1)), {"clicks": [click()]})
    account.put(over(TWO, expiry_date=london_time(-31)), {"clicks": [click()]})
    lines = Lines()
    warehouse.load(box, clock=Wrong(days), lines=lines)
    found = ledger_states(warehouse)
    assert {state for (uuid, _), state in found.items() if uuid == ONE} == {"open"}
    assert {state for (uuid, _), state in found.items() if uuid == TWO} == {"settled"}
    assert len(lines.said) == 1
    assert "the server's" in lines.said[0]
    ((first, last),) = warehouse.rows("SELECT min(checked_at), max(checked_at) FROM passona.report_ledger")
    assert abs(first - datetime.now(UTC)) < timedelta(minutes=10)
    assert abs(last - datetime.now(UTC)) < timedelta(minutes=10)
    ((began, ended),) = warehouse.rows("SELECT started_at, finished_at FROM passona.runs")
    assert began <= ended
    assert abs(ended - datetime.now(UTC)) < timedelta(minutes=10)


def test_of_clocks_that_agree_nothing_is_said(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(over(), {})
    lines = Lines()
    assert warehouse.load(box, lines=lines).exit_code == 0
    assert lines.said == []


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 31 Feb 2026 10:00:00 GMT", "0"])
def test_without_a_date_that_can_be_read_this_machines_clock_counts(
    warehouse: Warehouse, account: Account, box: Sandbox, date: str
) -> None:
    account.put(over(), {})
    box.faults = [{"kind": "headers", "headers": {"Date": date}}]
    assert warehouse.load(box).exit_code == 0
    assert set(ledger_states(warehouse).values()) == {"settled"}


def test_a_look_in_the_future_counts_as_none(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE, expiry_date=london_time(1)), {"clicks": [click()]})
    travel(account, 400)
    warehouse.load(box)
    assert set(ledger_states(warehouse).values()) == {"settled"}
    assert seen(warehouse) == (
        1,
        ["no load has finished yet", *(f"{name}: 1 campaign not verified within 26 h" for name in REPORTS)],
    )
    account.put(
        open_campaign(ONE, expiry_date=london_time(1)), {"clicks": [click(), click(1)], "alt_delivery": [message()]}
    )
    travel(account, 0)
    warehouse.load(box)
    assert_as_served(warehouse, account, [ONE])
    assert set(ledger_states(warehouse).values()) == {"open"}
    assert seen(warehouse) == (0, [])
    travel(account, 40)
    warehouse.load(box)
    assert set(ledger_states(warehouse).values()) == {"settled"}


def test_a_change_in_the_future_does_not_keep_a_report_open(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(draft(started_sending_at=london_time(-1)), {})
    for days, state in ((400, "open"), (0, "open"), (4, "settled")):
        travel(account, days)
        warehouse.load(box, reports=["unsent"])
        assert ledger_states(warehouse) == {(ONE, "unsent"): state}


@pytest.mark.parametrize(
    "name",
    ["scheduled_send_date", "started_sending_at", "finished_sending_at", "expiry_date", "created_at", "updated_at"],
)
def test_a_date_after_the_last_check_makes_all_reports_due_again(
    warehouse: Warehouse, account: Account, box: Sandbox, name: str
) -> None:
    account.put(over(), {"clicks": [click()]})
    warehouse.load(box)
    warehouse.load(box)
    box.forget_requests()
    travel(account, 50)
    account.put(over(**{name: london_time(10)}), {"clicks": [click(), click(1)]})
    warehouse.load(box)
    assert requested_reports(box) == [(ONE, report) for report in sorted(REPORTS)]
    assert_as_served(warehouse, account, [ONE])
    assert ledger_states(warehouse)[ONE, "clicks"] == "settled"
    warehouse.load(box)
    assert requested_reports(box) == []


@pytest.mark.core
def test_while_a_date_in_the_list_is_ahead_nothing_settles(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(over(scheduled_send_date=london_time(5)), {"clicks": [click()]})
    warehouse.load(box)
    assert set(ledger_states(warehouse).values()) == {"open"}


def test_retention_goes_by_the_servers_clock_too(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE, expiry_date=london_time(-1)), {"clicks": [click()]})
    warehouse.load(box)
    outcome = warehouse.load(box, clock=Wrong(400), retain_days=90)
    assert (outcome.erased, warehouse.one("SELECT count(phone_number) FROM passona.clicks")) == (0, (1,))
