"""Nights of a live account, seven of them bad: afterwards the warehouse matches the account.

`make nights` passes thirty of them.
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from passona.config.settings import Settings
from passona.reports.definitions import REPORTS
from passona.warehouse.database import open_database
from passona.warehouse.load import Load, LoadRequest
from passona.warehouse.run import Outcome
from passona_sandbox import LiveAccount, Sandbox, Switches
from support.night_truth import differences, unexplained
from support.nights import AHEAD, BAD, DAY, DOWN, DRAFT, EMPTY, FULL, HALF, KILLED, REVOKED, NightClock, Nights
from support.oracle import expected
from support.stored import stored
from support.warehouses import Lines, Warehouse


def test_after_ten_nights_seven_of_them_bad_the_warehouse_is_the_truth(tmp_path: Path) -> None:
    # The clocks go forward in the fourth of them; the draft is sent on the day after it.
    first, sent_at = datetime(2026, 3, 26, 2, tzinfo=UTC), datetime(2026, 3, 29, 13, tzinfo=UTC)
    nights = Nights(tmp_path / "warehouse.duckdb", first, campaigns=4, rows=240, sent_at=sent_at)
    for number, bad in enumerate(("", *BAD, "", "")):
        nights.pass_night(nights.first + number * DAY, bad)
    assert list(differences(nights)) == []
    assert list(unexplained(nights)) == []
    assert {night.bad: night.code for night in nights.nights} == {
        "": 0, DOWN: 4, REVOKED: 3, FULL: 1, KILLED: -9, HALF: 4, EMPTY: 5, AHEAD: 0,
    }  # fmt: skip
    assert Warehouse(nights.path).rows("SELECT count(*) FROM passona.clicks WHERE campaign_id = ?", DRAFT) == [(20,)]
    assert nights.nights[-1].requests * 3 < nights.nights[0].requests
    assert [path.name for path in tmp_path.iterdir()] == ["warehouse.duckdb"]
    runs = Warehouse(nights.path).rows(
        "SELECT started_at::DATE::VARCHAR, outcome FROM passona.runs ORDER BY started_at"
    )
    assert [date for date, _ in runs] == [f"{night.at:%Y-%m-%d}" for night in nights.nights]
    # On a full disk there may be no room to say so: it is noted by the next run then.
    assert runs[3][1] in {"error", "interrupted"}
    words = ["ok", "failed", "token refused", "interrupted", "failed", "held", "ok", "ok", "ok"]
    assert [word for _, word in runs[:3] + runs[4:]] == words
    with duckdb.connect(str(nights.path)) as connection:
        connection.execute(
            "UPDATE passona.clicks SET device_type = 'x' WHERE row_id = (SELECT min(row_id) FROM passona.clicks)"
        )
    assert len(list(differences(nights))) == 1, "a wrong value has to be found out"


@pytest.mark.skipif("PASSONA_NIGHTS" not in os.environ, reason="minutes; make nights")
def test_after_thirty_nights_the_warehouse_is_the_truth(tmp_path: Path) -> None:
    # At two in the morning, UTC; the clocks go forward in the 25th night. The last night is never bad.
    first, sent_night = datetime(2026, 3, 5, 2, tzinfo=UTC), 20
    bad_nights = {5: DOWN, 10: REVOKED, 12: EMPTY, 15: FULL, 17: AHEAD, 20: KILLED, 25: HALF}
    sent_at = first + (sent_night - 2) * DAY + timedelta(hours=11)
    # A dozen campaigns a month, as of a busy sender, with reports of up to three pages.
    nights = Nights(tmp_path / "warehouse.duckdb", first, campaigns=12, rows=24_000, sent_at=sent_at)
    for number in range(1, 31):
        nights.pass_night(first + (number - 1) * DAY, bad_nights.get(number, ""))
    assert [*differences(nights), *unexplained(nights)] == []


@pytest.mark.parametrize(
    "count",
    [6, pytest.param(30, marks=pytest.mark.skipif("PASSONA_NIGHTS" not in os.environ, reason="minutes; make nights"))],
)
def test_three_accounts_one_of_which_turns_bad_are_the_truth(tmp_path: Path, count: int) -> None:
    """Beside the warehouse of all, each account has one of its own: what is in them, and what it took, is equal."""
    clock = NightClock(datetime(2026, 3, 5, 2, tzinfo=UTC))
    boxes = {
        name: Sandbox(
            LiveAccount(seed=seed, campaigns=4, rows=400, clock=lambda: clock.utc().timestamp()),
            Switches(token=f"secret-{name}", per_page_limit=20 * seed),
        )
        for seed, name in enumerate(("a", "b", "c"), 1)
    }
    together, alone = (
        Warehouse(tmp_path / "warehouse.duckdb"),
        {name: Warehouse(tmp_path / f"{name}.duckdb") for name in boxes},
    )
    with ExitStack() as stack:
        for box in boxes.values():
            stack.enter_context(box)
        tokens = {name: box.token for name, box in boxes.items()}
        for night in range(count):
            clock.set(datetime(2026, 3, 5, 2, tzinfo=UTC) + night * DAY)
            if night == count // 2:
                boxes["c"].switches = replace(boxes["c"].switches, token="another")
            outcome = load_accounts(together, boxes, tokens, clock)
            requests = {name: requests_of(box) for name, box in boxes.items()}
            assert {name: part.exit_code for name, part in outcome.accounts.items()} == {
                "a": 0, "b": 0, "c": 3 if night >= count // 2 else 0,
            }  # fmt: skip
            for name, box in boxes.items():
                load_accounts(alone[name], {name: box}, tokens, clock)
                assert requests[name] <= requests_of(box)
        for name in ("a", "b"):
            served = boxes[name].account
            for uuid in [str(row["uuid"]) for row in served.campaigns()]:
                for report in REPORTS:
                    assert stored(together.path, uuid, report) == expected(served.rows(uuid, report)), (uuid, report)
    single = [warehouse.content() for warehouse in alone.values()]
    assert together.content() == {
        table: sorted((row for content in single for row in content[table]), key=repr) for table in single[0]
    }
    assert set(together.rows("SELECT DISTINCT account FROM passona.campaigns")) == {("a",), ("b",), ("c",)}


def requests_of(box: Sandbox) -> int:
    """The requests of one load; they are counted anew from here on."""
    count = len(box.requests)
    box.forget_requests()
    return count


def load_accounts(
    warehouse: Warehouse, boxes: dict[str, Sandbox], tokens: dict[str, str], clock: NightClock
) -> Outcome:
    settings = [
        Settings(
            tokens[name], base_url=box.base_url, account=name, retry_pause=0.01,
            other_accounts=tuple(other for other in boxes if other != name),
        )
        for name, box in boxes.items()
    ]  # fmt: skip
    with closing(open_database(warehouse.address, 0, lambda line: None)) as database:
        return Load(settings, database, LoadRequest(), Lines(), clock).run()
