"""Retention on a bad day: killed before the file is made anew, and a token that is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import timedelta

from passona.errors import Exit
from passona.status import status
from sandbox import Account, Sandbox
from test_lifecycle import ended
from test_load import ONE, click, going
from warehouses import Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]
KEEPING = {"retain_days": 90}
PHONE = b"447123400003"


def fill(account: Account) -> None:
    account.put(ended(ONE, 100), {"clicks": [click(n, Link_Destination=f"https://e.org/?u={n}") for n in range(400)]})


def given_up(warehouse: Warehouse) -> bool:
    return warehouse.one("SELECT count(phone_number) FROM passona.clicks") == (0,)


def test_a_load_that_is_killed_before_the_file_is_made_anew_leaves_that_to_the_next(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    # Freed pages used to keep what was given up: the next load found nothing old any more.
    fill(account)
    warehouse.load(box)
    warehouse.load(box, **KEEPING)  # the console command makes the file anew after this
    assert given_up(warehouse)
    assert warehouse.count("_given_up") == 1
    loaded = passona("load", box=box, SOURCES__PASSONA__RETAIN_DAYS="90")
    assert (loaded.returncode, loaded.stderr) == (0, "")
    assert warehouse.rows("SELECT 1 FROM duckdb_tables() WHERE table_name = '_given_up'") == []
    assert PHONE not in warehouse.path.read_bytes()


def test_what_is_old_is_given_up_though_the_token_is_refused(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    fill(account)
    warehouse.load(box)
    box.faults = [{"kind": "status", "code": 401}]
    outcome = warehouse.load(box, **KEEPING)
    assert (outcome.exit_code, outcome.erased > 0) == (Exit.TOKEN, True)
    assert given_up(warehouse)


def test_a_campaign_that_has_left_the_list_is_not_overdue_for_ever(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(going(ONE), {"clicks": [click(1)]})
    warehouse.load(box)
    account.remove(ONE)
    warehouse.load(box)
    found = status(warehouse.path, timedelta(microseconds=1), 0, lambda _: None)
    assert (found.reports["clicks"].open, found.reports["clicks"].stale) == (1, 0)
