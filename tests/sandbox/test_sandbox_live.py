"""The live account: what it is at an instant, and how it changes from one to the next."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from passona_sandbox import LiveAccount, Sandbox
from passona_sandbox.live import STEP
from passona_sandbox.reports import REPORTS

START = datetime(2026, 3, 5, 2, tzinfo=UTC)


class Hand:
    """A clock that is moved by hand."""

    at = START

    def __call__(self) -> float:
        return self.at.timestamp()


def at(instant: datetime, **options: int) -> LiveAccount:
    return LiveAccount(**({"campaigns": 6, "rows": 1_200} | options), clock=instant.timestamp)


def content(account: LiveAccount) -> dict[str, object]:
    """All that it serves."""
    return {
        row["uuid"]: (row, {report: list(account.rows(row["uuid"], report)) for report in REPORTS})
        for row in account.campaigns()
    }


def test_it_is_a_function_of_seed_and_instant_alone():
    later = START + timedelta(days=9)
    hand = Hand()
    account = LiveAccount(campaigns=6, rows=1_200, clock=hand)
    first = content(account)
    hand.at = later
    assert content(account) == content(at(later))
    hand.at = START
    assert content(account) == first
    assert content(at(START, seed=2)).keys().isdisjoint(first)


def test_it_stands_still_for_a_quarter_of_an_hour():
    assert content(at(START)) == content(at(START + timedelta(seconds=STEP - 1)))


@pytest.fixture(scope="module")
def course():
    """One campaign from before its start to after its expiry, hour by hour: entry and rows of each report."""
    account = at(START)
    uuid = next(row["uuid"] for row in account.campaigns() if row["status"] == 0)
    hours = [at(START + timedelta(hours=hour)) for hour in range(100)]
    return [
        (next(row for row in account.campaigns() if row["uuid"] == uuid),
         {report: list(account.rows(uuid, report)) for report in REPORTS})
        for account in hours
    ]  # fmt: skip


def test_a_campaign_is_planned_then_sends_and_then_is_finished(course):
    assert [status for status, _ in Counter(entry["status"] for entry, _ in course).items()] == [0, 1, 2]
    for entry, rows in course:
        assert bool(entry["started_sending_at"]) == (entry["status"] > 0)
        assert bool(entry["finished_sending_at"]) == (entry["status"] == 2)
        assert rows["recipient"]
        assert entry["status"] or not any(rows[report] for report in REPORTS if report != "recipient")


def test_messages_move_from_unsent_to_sent_and_none_is_lost(course):
    people = len({row["Phone_Number"] for row in course[0][1]["recipient"]})
    for (_, before), (entry, after) in pairwise(course):
        assert len(after["delivery"]) >= len(before["delivery"])
        assert {row["SMS_ID"] for row in before["delivery"]} <= {row["SMS_ID"] for row in after["delivery"]}
        assert {row["SMS_ID"] for row in after["delivery"]} == {row["MessageId"] for row in after["alt_delivery"]}
        if entry["status"]:
            assert len(after["delivery"]) + len(after["unsent"]) == people
    assert any(0 < len(rows["delivery"]) < people * 9 // 10 for _, rows in course)


def test_statuses_move_until_the_expiry_and_reasons_are_told_then(course):
    moving = 0
    for (_, before), (_, after) in pairwise(course):
        then = {row["MessageId"]: row for row in after["alt_delivery"]}
        for row in before["alt_delivery"]:
            moving += row != then[row["MessageId"]]
            assert row == then[row["MessageId"]] or (row["Status"], row["MessageUpdate"]) == ("Pending", None)
        assert Counter(row["Status"] for row in before["delivery"]) == Counter(
            row["Status"] for row in before["alt_delivery"]
        )
    assert moving
    statuses, reasons = (
        {row[key] for row in course[-1][1][report]} for report, key in (("delivery", "Status"), ("unsent", "Reason"))
    )
    assert "Pending" not in statuses
    assert "pending" not in reasons


def test_clicks_come_after_the_message_arrived_and_trickle_for_weeks():
    uuid = next(row["uuid"] for row in at(START, rows=40_000).campaigns() if row["status"] == 0)
    counts = [at(START + timedelta(days=day), rows=40_000).count(uuid, "clicks") for day in range(30)]
    assert counts[0] == 0
    assert counts == sorted(counts)
    assert counts[2] < counts[5] < counts[10] < counts[20]
    account = at(START + timedelta(days=30), rows=40_000)
    arrived = {
        row["Mobile"]: row["MessageUpdate"] for row in account.rows(uuid, "alt_delivery") if row["Status"] == "Success"
    }
    for row in account.rows(uuid, "clicks"):
        assert row["Phone_Number"] in arrived


def test_deleted_campaigns_leave_with_their_reports(ask):
    before = {row["uuid"] for row in at(START).campaigns()}
    hand = Hand()
    with Sandbox(LiveAccount(campaigns=6, rows=1_200, clock=hand)) as box:
        hand.at = START + timedelta(days=20)
        gone = before - {row["uuid"] for row in box.account.campaigns()}
        assert gone
        assert gone != before
        assert {ask(box, f"reporting/{uuid}/clicks").status for uuid in gone} == {404}
        hand.at = START + timedelta(days=80)
        assert before.isdisjoint(row["uuid"] for row in box.account.campaigns())


def test_its_pages_fit_the_schema_and_follow_the_clock(ask, walk, page_schema):
    hand = Hand()
    with Sandbox(LiveAccount(campaigns=6, rows=6_000, clock=hand)) as box:
        for day in (0, 2):
            hand.at = START + timedelta(days=day)
            for row in box.account.campaigns():
                for report in REPORTS:
                    page_schema(report).validate(ask(box, f"reporting/{row['uuid']}/{report}").json)
                    assert list(walk(box, row["uuid"], report)) == list(box.account.rows(row["uuid"], report))
