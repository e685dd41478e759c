"""The shrink guard compares with the highest verified count, so that a stepwise shrink is caught (contract, rule 3)."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, ended_campaign, london_time, message, open_campaign, unsent
from support.csv_files import HEADER, row
from support.csv_imports import import_csv
from support.engines import change
from support.ledgers import ledger_states
from support.warehouses import Warehouse

STATE = "SELECT state, row_count FROM passona.report_ledger"


def messages(count: int) -> dict[str, object]:
    return {"alt_delivery": [message(n) for n in range(count)]}


def load(warehouse: Warehouse, account: Account, box: Sandbox, count: int, **options: object) -> int:
    """A load of so many messages; its exit code."""
    account.put(open_campaign(ONE), messages(count))
    return warehouse.load(box, reports=["alt_delivery"], **options).exit_code


def test_a_stepwise_shrink_is_held_below_half_of_the_highest_count(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    assert load(warehouse, account, box, 1000) == 0
    assert load(warehouse, account, box, 510) == 0
    for count in (260, 131, 499, 1, 0):
        assert load(warehouse, account, box, count) == 5
        assert warehouse.rows(STATE) == [("held", 510)]
        assert warehouse.count("alt_delivery") == 510
    assert load(warehouse, account, box, 500) == 0


def test_the_highest_count_grows_with_the_report(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    for count, code in ((10, 0), (300, 0), (200, 0), (149, 5), (400, 0), (200, 0), (199, 5)):
        assert load(warehouse, account, box, count) == code


def test_an_accepted_shrink_is_what_the_guard_compares_with_from_then_on(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    load(warehouse, account, box, 1000)
    assert load(warehouse, account, box, 260) == 5
    assert load(warehouse, account, box, 260, accept_shrink=True) == 0
    assert load(warehouse, account, box, 131) == 0
    assert load(warehouse, account, box, 129) == 5


def test_an_unchanged_report_can_be_accepted_too(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    for count in (1000, 510):
        load(warehouse, account, box, count)
    assert load(warehouse, account, box, 510, accept_shrink=True) == 0
    assert load(warehouse, account, box, 256) == 0


def test_after_an_interrupted_load_the_old_count_holds(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    for count in (1000, 510):
        load(warehouse, account, box, count)
    change(
        warehouse.path,
        "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = 'interrupted'",
    )
    assert load(warehouse, account, box, 499) == 5
    assert load(warehouse, account, box, 500) == 0


def test_an_older_warehouse_starts_with_the_count_in_its_ledger(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    load(warehouse, account, box, 100)
    change(warehouse.path, "ALTER TABLE passona.report_ledger DROP COLUMN _peak")
    for count, code in ((49, 5), (60, 0), (49, 5), (50, 0)):
        assert load(warehouse, account, box, count) == code


def test_a_report_that_failed_in_between_is_compared_with_the_same(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    for count in (1000, 510):
        load(warehouse, account, box, count)
    box.faults = [{"kind": "status", "code": 404, "report": "alt_delivery"}]
    assert load(warehouse, account, box, 510) == 4
    box.faults = []
    assert load(warehouse, account, box, 260) == 5


def test_a_settled_report_is_compared_with_what_it_was_while_it_was_open(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    load(warehouse, account, box, 1000)
    for count, code in ((510, 0), (499, 5)):
        account.put(ended_campaign(ONE, 40), messages(count))
        assert warehouse.load(box, reports=["alt_delivery"], refresh=True).exit_code == code


def test_unsent_may_shrink_until_the_campaign_is_over(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    for count in (1000, 400, 90, 100):
        account.put(open_campaign(ONE), {"unsent": [unsent(n) for n in range(count)]})
        assert warehouse.load(box, reports=["unsent"]).exit_code == 0
    for count in (30, 20):  # the first look after the end, and one by which it lost a third
        account.put(ended_campaign(ONE, 40), {"unsent": [unsent(n) for n in range(count)]})
        assert warehouse.load(box, reports=["unsent"], refresh=True).exit_code == 0
        assert warehouse.rows(STATE) == [("settled", count)]
    account.put(ended_campaign(ONE, 40), {"unsent": [unsent(n) for n in range(14)]})
    # Held, and not taken by the next load because its state is another now.
    for refresh in (True, False, False):
        assert warehouse.load(box, reports=["unsent"], refresh=refresh).exit_code == 5
        assert warehouse.rows(STATE) == [("held", 20)]
    account.put(open_campaign(ONE, expiry_date=london_time(1)), {"unsent": []})
    assert warehouse.load(box, reports=["unsent"]).exit_code == 0


@pytest.mark.parametrize("held", [False, True])
def test_people_who_are_kept_out_count_as_rows(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: object, held: bool
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(10)]})
    warehouse.load(box, reports=["clicks"])
    forgotten = [f"+4471234{n:05}" for n in range(7)]
    assert passona("forget", *forgotten, box=box).returncode == 0  # type: ignore[operator]
    assert warehouse.count("clicks") == 3
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(4 if held else 9)]})
    assert warehouse.load(box, reports=["clicks"]).exit_code == (5 if held else 0)
    assert warehouse.count("clicks") == (3 if held else 2)


def test_files_are_compared_with_the_highest_count_too(warehouse: Warehouse, tmp_path: Path) -> None:
    for count, code in ((40, 0), (21, 0), (15, 5), (20, 0)):
        file = tmp_path / f"{count}.csv"
        file.write_bytes(HEADER + b"".join(row(n) for n in range(count)))
        outcome, _ = import_csv(warehouse, file)
        assert outcome.exit_code == code
    made_at = datetime.now(UTC)
    assert import_csv(warehouse, tmp_path / "15.csv", accept_shrink=True, made_at=made_at)[0].exit_code == 0
    assert warehouse.rows("SELECT row_count, _peak FROM passona.report_ledger") == [(15, 15)]
    assert ledger_states(warehouse) == {(ONE, "recipient"): "open"}
