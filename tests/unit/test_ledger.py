"""What is due, in which order, when it is settled, and what the shrink guard holds (contract, rules 3 and 9)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passona.config.settings import Settings
from passona.errors import Exit, WalkFailed
from passona.reports.definitions import ALT_DELIVERY, CLICKS, DELIVERY, RECIPIENT, REPORTS, SENT, UNSENT, Report
from passona.reports.tables import LEDGER
from passona.source.campaigns import Campaign
from passona.source.ledger import (
    Entry,
    State,
    Task,
    check_csv_shrink,
    entry_of_walk,
    entry_table,
    failure_entry,
    is_due,
    plan,
    shrink_error,
    since,
)
from passona.source.pages import Page
from passona.source.spool import Spool
from passona.source.walk import Walk

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SETTINGS = Settings("token", timezone="UTC", settle_days=3, clicks_settle_days=30)


def campaign(name: str = "c", **dates: Any) -> Campaign:
    begun: dict[str, Any] = {"listed": True, "started_sending_at": NOW - 90 * DAY}
    return Campaign(name, **(begun | dates))


def entry(state: State = "open", report: Report = DELIVERY, **values: Any) -> Entry:
    usual: dict[str, Any] = {"verified_at": NOW - DAY, "checked_at": NOW - DAY, "row_count": 7}
    return Entry("c", report.name, state, **(usual | values))


def task(report: Report = DELIVERY, known: Entry | None = None, **dates: Any) -> Task:
    return Task(report, campaign(**dates), known)


def walk(
    tmp_path: Path,
    report: Report,
    at: datetime = NOW,
    times: Sequence[str] = (),
    key: str = "",
    zone: str = "UTC",
) -> Walk:
    """A verified walk of one row for each time."""
    rows: list[dict[str, Any]] = [dict.fromkeys(report.sorted_keys) | {key: time} for time in times]
    spool = Spool(report, "c", tmp_path / "spool")
    spool.add(Page(1, rows, len(rows), 1, max(1, len(rows)), None))
    spool.finish()
    spool.at = at
    return Walk(report, "c", spool, zone)


def text(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S}"


# --- due or not


@pytest.mark.parametrize(
    "known", [None, entry("open"), entry("failed"), entry("held"), entry("failed", verified_at=None)]
)
def test_what_is_not_settled_is_due(known: Entry | None) -> None:
    assert is_due(task(known=known, expiry_date=NOW - 400 * DAY), SETTINGS, NOW)


def test_what_is_settled_is_not_due() -> None:
    assert not is_due(task(known=entry("settled"), expiry_date=NOW - 40 * DAY), SETTINGS, NOW)
    assert not is_due(task(known=entry("settled"), expiry_date=None), SETTINGS, NOW)


@pytest.mark.parametrize(
    ("report", "days"), [(CLICKS, 30), *((r, 3) for n, r in REPORTS.items() if n != "clicks")], ids=str
)
def test_a_settled_report_is_due_again_if_the_campaign_is_prolonged(report: Report, days: int) -> None:
    known = entry("settled", report, checked_at=NOW - DAY)
    edge = NOW - DAY - days * DAY
    assert not is_due(task(report, known, expiry_date=edge), SETTINGS, NOW)
    assert is_due(task(report, known, expiry_date=edge + timedelta(seconds=1)), SETTINGS, NOW)


def test_of_a_campaign_that_has_not_started_only_recipients_are_due() -> None:
    ahead = campaign(started_sending_at=None, scheduled_send_date=NOW + DAY)
    due = plan([ahead], {}, list(REPORTS.values()), SETTINGS, NOW)
    assert [task.report.name for task in due] == ["recipient"]


def test_a_half_written_report_is_due_even_before_its_campaign_starts() -> None:
    ahead = {"started_sending_at": None, "scheduled_send_date": NOW + DAY}
    assert is_due(task(known=entry("failed", verified_at=None), **ahead), SETTINGS, NOW)
    assert not is_due(task(known=entry("failed", verified_at=None, row_count=None), **ahead), SETTINGS, NOW)
    assert not is_due(task(known=entry("failed"), **ahead), SETTINGS, NOW)


def test_an_expired_report_that_was_half_written_stays_expired() -> None:
    expired = entry("settled", verified_at=None, checked_at=NOW - DAY, row_count=0, expired_at=NOW - DAY)
    assert not is_due(task(known=expired), SETTINGS, NOW)


def test_refresh_makes_settled_reports_due_too_and_those_of_campaigns_ahead() -> None:
    entries = {("c", name): entry("settled", report) for name, report in REPORTS.items()}
    assert plan([campaign()], entries, list(REPORTS.values()), SETTINGS, NOW) == []
    assert len(plan([campaign()], entries, list(REPORTS.values()), SETTINGS, NOW, refresh=True)) == 6


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        ({}, False),  # listed, and no date that could be read
        ({"scheduled_send_date": NOW + DAY}, True),
        ({"scheduled_send_date": NOW + DAY, "expiry_date": NOW + 3 * DAY}, True),
        ({"expiry_date": NOW + DAY}, True),
        ({"scheduled_send_date": NOW - DAY}, False),
        ({"scheduled_send_date": NOW}, False),
        ({"scheduled_send_date": NOW + DAY, "expiry_date": NOW - DAY}, False),
        ({"scheduled_send_date": NOW + DAY, "started_sending_at": NOW - DAY}, False),
        ({"scheduled_send_date": NOW + DAY, "finished_sending_at": NOW - DAY}, False),
        ({"scheduled_send_date": NOW + DAY, "listed": False}, False),  # nobody knows
    ],
)
def test_a_campaign_has_not_started_only_where_all_that_is_known_of_it_says_so(dates: Any, expected: bool) -> None:
    assert Campaign("c", **({"listed": True} | dates)).not_started(NOW) is expected


# --- order


def test_never_loaded_reports_come_first_then_the_longest_unchecked() -> None:
    campaigns = [
        campaign("old", started_sending_at=NOW - 9 * DAY),
        campaign("new", started_sending_at=NOW - 1 * DAY),
        campaign("undated", started_sending_at=None, listed=False),
        campaign("fresh", started_sending_at=NOW - 1 * DAY),
        campaign("stale", started_sending_at=NOW - 1 * DAY),
        campaign("interrupted", started_sending_at=NOW - 5 * DAY),
    ]
    entries = {
        ("fresh", "delivery"): entry(checked_at=NOW - 1 * DAY),
        ("stale", "delivery"): entry(checked_at=NOW - 8 * DAY),
        ("interrupted", "delivery"): entry("failed", verified_at=None, checked_at=NOW - DAY),
    }
    due = plan(campaigns, entries, [DELIVERY], SETTINGS, NOW)
    assert [task.campaign.campaign_id for task in due] == ["new", "interrupted", "old", "undated", "stale", "fresh"]


@given(st.permutations(["a", "b", "c", "d"]))
def test_the_order_of_a_plan_does_not_depend_on_the_order_of_the_list(names: list[str]) -> None:
    due = plan([campaign(name) for name in names], {}, [DELIVERY], SETTINGS, NOW)
    assert [task.campaign.campaign_id for task in due] == ["a", "b", "c", "d"]


def test_a_plan_knows_what_the_ledger_holds_of_each_report() -> None:
    known = entry(digest="d")
    (found,) = plan(
        [campaign()],
        {("c", "delivery"): known, ("c", "sent"): entry(), ("x", "delivery"): entry()},
        [DELIVERY],
        SETTINGS,
        NOW,
    )
    assert (found.known, found.verified_digest, found.key) == (known, "d", ("c", "delivery"))


def test_a_digest_that_was_not_verified_is_not_trusted() -> None:
    assert task(known=entry("failed", digest="d", verified_at=None)).verified_digest is None


# --- settled or not


@pytest.mark.parametrize(
    ("report", "days"), [(CLICKS, 30), (DELIVERY, 3), (SENT, 3), (UNSENT, 3), (RECIPIENT, 3)], ids=str
)
def test_a_walk_settles_a_report_from_its_window_after_the_campaigns_end_on(
    tmp_path: Path, report: Report, days: int
) -> None:
    edge = NOW - days * DAY
    for expiry, state in ((edge, "settled"), (edge + timedelta(seconds=1), "open"), (NOW + DAY, "open")):
        assert entry_of_walk(task(report, expiry_date=expiry), walk(tmp_path, report), SETTINGS, "r").state == state


@pytest.mark.parametrize(
    ("report", "key"), [(SENT, "SentOn"), (ALT_DELIVERY, "MessageSent"), (ALT_DELIVERY, "MessageUpdate")]
)
def test_a_time_in_the_rows_behind_the_expiry_is_the_end(tmp_path: Path, report: Report, key: str) -> None:
    due = task(report, expiry_date=NOW - 40 * DAY)
    early, late = text(NOW - 3 * DAY), text(NOW - 3 * DAY + timedelta(seconds=1))
    assert (
        entry_of_walk(due, walk(tmp_path, report, times=[early, text(NOW - 9 * DAY)], key=key), SETTINGS, "r").state
        == "settled"
    )
    assert (
        entry_of_walk(due, walk(tmp_path, report, times=[late, text(NOW - 9 * DAY)], key=key), SETTINGS, "r").state
        == "open"
    )


def test_without_an_expiry_the_times_in_the_rows_are_the_end(tmp_path: Path) -> None:
    due = task(CLICKS, expiry_date=None)
    for age, state in ((31, "settled"), (29, "open")):
        found = walk(tmp_path, CLICKS, times=[text(NOW - age * DAY)], key="Clicked_At")
        assert entry_of_walk(due, found, SETTINGS, "r").state == state


def test_without_any_end_the_last_change_of_content_is_it(tmp_path: Path) -> None:
    found = walk(tmp_path, UNSENT, times=["x"], key="Reason")
    assert entry_of_walk(task(UNSENT), found, SETTINGS, "r").state == "open"  # seen for the first time
    for age, state in ((3, "settled"), (2, "open")):
        known = entry("open", UNSENT, digest=found.digest, changed_at=NOW - age * DAY)
        assert entry_of_walk(task(UNSENT, known), found, SETTINGS, "r").state == state
    other = entry("open", UNSENT, digest="other", changed_at=NOW - 99 * DAY)
    assert entry_of_walk(task(UNSENT, other), found, SETTINGS, "r").state == "open"


@pytest.mark.parametrize("time", ["9999-12-31 23:59:59", "9999-12-31T23:59:59Z", "never", "0001-01-01 00:00:00"])
def test_odd_times_in_the_rows_do_not_end_a_run(tmp_path: Path, time: str) -> None:
    for zone in ("America/New_York", "Asia/Kathmandu"):
        found = walk(tmp_path, CLICKS, times=[time], key="Clicked_At", zone=zone)
        state = entry_of_walk(task(CLICKS, expiry_date=NOW - 99 * DAY), found, SETTINGS, "r").state
        assert state in ("open", "settled")


def test_recipients_of_a_campaign_that_has_not_started_are_never_settled(tmp_path: Path) -> None:
    found = walk(tmp_path, RECIPIENT)
    known = entry("open", RECIPIENT, digest=found.digest, changed_at=NOW - 99 * DAY)
    ahead = task(RECIPIENT, known, started_sending_at=None, scheduled_send_date=NOW + DAY)
    assert entry_of_walk(ahead, found, SETTINGS, "r").state == "open"
    assert entry_of_walk(task(RECIPIENT, known), found, SETTINGS, "r").state == "settled"


def test_the_entry_of_a_walk_tells_what_the_tables_hold(tmp_path: Path) -> None:
    found = walk(tmp_path, CLICKS, times=["2026-01-01 00:00:00"] * 2, key="Clicked_At")
    got = entry_of_walk(task(CLICKS, expiry_date=NOW), found, SETTINGS, "run")
    assert got == Entry(
        "c", "clicks", "open", verified_at=NOW, checked_at=NOW, changed_at=NOW, pages=1, row_count=2, api_total=2,
        digest=found.digest, attempts=1, error=None, run_id="run", origin="api", suppressed=0, peak=2,
    )  # fmt: skip


def test_content_that_did_not_change_keeps_the_time_of_its_last_change(tmp_path: Path) -> None:
    found = walk(tmp_path, CLICKS)
    known = entry("open", CLICKS, digest=found.digest, changed_at=NOW - 5 * DAY)
    assert entry_of_walk(task(CLICKS, known), found, SETTINGS, "r").changed_at == NOW - 5 * DAY
    assert (
        entry_of_walk(task(CLICKS, entry(digest="x", changed_at=NOW - 5 * DAY)), found, SETTINGS, "r").changed_at == NOW
    )


# --- not loaded


def test_a_walk_that_failed_changes_nothing_that_the_entry_says_of_the_rows() -> None:
    known = entry("settled", digest="d", pages=2, api_total=7, changed_at=NOW - DAY, origin="csv")
    got = failure_entry(task(known=known), "failed", WalkFailed("why"), 3, "run", at=NOW)
    kept = ("verified_at", "row_count", "digest", "pages", "api_total", "changed_at", "origin")
    assert [getattr(got, name) for name in kept] == [getattr(known, name) for name in kept]
    assert (got.state, got.error, got.attempts, got.run_id) == ("failed", "why", 3, "run")
    assert got.checked_at is not None


def test_a_walk_that_failed_the_first_time_is_an_entry_without_rows() -> None:
    got = failure_entry(task(), "failed", WalkFailed("why"), 1, "run", at=NOW)
    assert (got.key, got.state, got.row_count, got.verified_at) == (("c", "delivery"), "failed", None, None)


# --- shrink guard


@pytest.mark.parametrize(
    ("before", "now", "held"),
    [
        (None, 0, False), (0, 0, False), (0, 9, False),  # there was nothing to lose
        (1, 0, True), (100, 0, True), (100, 1, True), (100, 49, True), (101, 50, True), (3, 1, True),
        (100, 50, False), (100, 51, False), (2, 1, False), (1, 1, False), (100, 100, False), (100, 999, False),
    ],
)  # fmt: skip
def test_a_report_that_would_have_none_or_fewer_than_half_of_its_rows_is_held(
    before: int | None, now: int, held: bool
) -> None:
    for report in (DELIVERY, CLICKS):
        for settled in (False, True):
            found = shrink_error(task(report, entry(row_count=before)), now, settled=settled)
            assert (found is not None) is held
    assert shrink_error(task(known=None), now, settled=True) is None


@pytest.mark.parametrize("state", ["open", "failed", "held", "settled"])
def test_the_guard_compares_with_the_rows_of_an_interrupted_load_too(state: State) -> None:
    assert shrink_error(task(known=entry(state, verified_at=None, row_count=10)), 4, settled=False) is not None


def test_unsent_may_shrink_freely_until_it_is_settled() -> None:
    for state in ("open", "failed", "held"):
        known = entry(state, UNSENT, row_count=100)
        assert shrink_error(task(UNSENT, known), 0, settled=False) is None
        assert shrink_error(task(UNSENT, known), 0, settled=True) is None  # it came to its end since
    assert shrink_error(task(UNSENT, entry("settled", UNSENT, row_count=100)), 0, settled=True) is not None


def test_a_csv_with_fewer_rows_than_the_api_had_is_held() -> None:
    listed = task(known=entry(row_count=10, api_total=10))
    assert check_csv_shrink(listed, 10, settled=True) is None
    assert "10 rows or more, as the API had, got 9" in str(check_csv_shrink(listed, 9, settled=True))
    mailed = task(known=entry(row_count=10))
    assert check_csv_shrink(mailed, 5, settled=True) is None
    assert check_csv_shrink(mailed, 4, settled=True) is not None
    pending = task(UNSENT, entry("open", UNSENT, row_count=10, api_total=10))
    assert check_csv_shrink(pending, 0, settled=False) is None


def test_the_guard_says_what_it_expected_what_came_and_what_to_do() -> None:
    found = shrink_error(task(CLICKS, entry(row_count=100)), 3, settled=False)
    assert found is not None
    assert found.exit_code == Exit.HELD
    for part in ("campaign c, clicks", "100", "got 3", "--accept-shrink"):
        assert part in str(found)


# --- since


def test_since_keeps_campaigns_whose_end_is_unknown() -> None:
    campaigns = [
        campaign("at", expiry_date=NOW),
        campaign("before", expiry_date=NOW - timedelta(seconds=1)),
        campaign("after", expiry_date=NOW + DAY, finished_sending_at=NOW - 9 * DAY),
        campaign("finished", finished_sending_at=NOW - DAY),
        campaign("unknown"),
    ]
    assert [found.campaign_id for found in since(campaigns, NOW)] == ["at", "after", "unknown"]


def test_entries_are_a_table_of_the_ledgers_columns() -> None:
    known = entry(digest="d", error="e", changed_at=NOW, peak=9)
    table = entry_table([known, entry("failed", SENT, verified_at=None)])
    assert table.schema == LEDGER
    assert Entry(*table.to_pylist()[0].values()) == known
    assert entry_table([]).schema == LEDGER
