"""Several runs at once: one of them writes, the others wait for it or name it, and a killed one leaves nothing behind."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, click, message, open_campaign, unsent
from support.engines import POSTGRES
from support.forked import Begun
from support.ledgers import assert_whole
from support.served import assert_as_served
from support.warehouses import Warehouse, environment_of

pytestmark = pytest.mark.both

ROUNDS = int(os.environ.get("PASSONA_ROUNDS", "3"))
UUIDS = [f"{n:08}-1111-4111-8111-111111111111" for n in range(1, 9)]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def fill(account: Account, version: int) -> None:
    """In each version more or fewer rows, other values, and reports that become empty."""
    for n, uuid in enumerate(UUIDS):
        rows = 60 + 40 * ((version + n) % 3)
        account.put(
            open_campaign(uuid, name=f"Campaign {n}, version {version}"),
            {
                "alt_delivery": [message(r, Status=f"v{version}") for r in range(rows)],
                "clicks": [click(r % 47, Clicked_At=f"2020-10-25 01:{version % 60:02}:00") for r in range(rows)],
                "unsent": [] if (version + n) % 2 else [unsent(r) for r in range(rows)],
            },
        )


def machine(box: Sandbox, folder: Path, number: int, *arguments: str) -> Begun:
    """A command in a folder of its own: on Postgres as on a machine of its own, with a file all name the same one."""
    own = folder / f"machine{number}"
    own.mkdir(exist_ok=True)
    environment = environment_of(box, folder)
    if POSTGRES is None:
        environment["DESTINATION__WAREHOUSE__CREDENTIALS"] = str(folder / "warehouse.duckdb")
    return Begun(arguments, own, environment)


def slow(account: Account, seconds: float = 8) -> Sandbox:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    return Sandbox(account, faults=[{"kind": "latency", "seconds": seconds, "report": "clicks"}])


def until_it_walks(load: Begun, box: Sandbox) -> None:
    while not any(record.kind == "report" for record in box.requests):
        assert not load.ended


def test_eight_loads_at_once_with_four_kills_leave_every_row_right(
    tmp_path: Path, warehouse: Warehouse, account: Account
) -> None:
    dice = random.Random("eight loads")
    with Sandbox(account, Switches(per_page_limit=50)) as box:
        for version in range(ROUNDS):
            fill(account, version)
            loads = [machine(box, tmp_path, n, "load", "--wait", "300", "--accept-shrink") for n in range(8)]
            killed = dice.sample(loads, 4)
            for load in killed:
                load.kill(dice.uniform(0, 2))
            for load in loads:
                if load not in killed:
                    ended = load.wait()
                    assert ended.returncode == 0, ended.stderr
            assert_as_served(warehouse, account, UUIDS)
            assert_whole(warehouse)
            names = [(uuid, f"Campaign {n}, version {version}", True) for n, uuid in enumerate(UUIDS)]
            assert warehouse.rows("SELECT campaign_id, name, listed FROM passona.campaigns ORDER BY 1") == names
    outcomes = dict(warehouse.rows("SELECT outcome, count(*) FROM passona.runs GROUP BY 1"))
    assert set(outcomes) <= {"ok", "interrupted"}
    assert outcomes["ok"] >= 4 * ROUNDS


@pytest.mark.parametrize("verb", [("load",), ("transform",), ("forget", "+44 7123 400001"), ("load", "--transform"),
                                  ("generate", ONE)])  # fmt: skip
def test_a_second_run_names_the_holder_waits_and_exits_with_6(
    tmp_path: Path, warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, verb: tuple[str, ...]
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    warehouse.load(box)
    with slow(account) as slow_box:
        load = Begun(["load"], tmp_path, environment_of(slow_box, tmp_path))
        until_it_walks(load, slow_box)
        busy = passona(*verb, "--wait", "1", box=slow_box)
        slow_box.faults = []
        assert load.wait().returncode == 0
    assert busy.returncode == 6
    waiting, refused = busy.stderr.splitlines()
    assert f"(process {load.pid}); waiting up to 1 s" in waiting
    assert f"(process {load.pid}); waited 1 s" in refused
    assert "give --wait more seconds" in refused


def test_a_second_run_that_waits_long_enough_loads(tmp_path: Path, warehouse: Warehouse, account: Account) -> None:
    with slow(account, seconds=2) as box:
        first = machine(box, tmp_path, 0, "load")
        until_it_walks(first, box)
        second = machine(box, tmp_path, 1, "load")
        assert [first.wait().returncode, second.wait().returncode] == [0, 0]
    assert warehouse.rows("SELECT outcome FROM passona.runs") == [("ok",), ("ok",)]
    assert_as_served(warehouse, account, [ONE])


def test_a_killed_run_is_interrupted_and_the_next_one_need_not_wait(
    tmp_path: Path, warehouse: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    warehouse.load(box)
    with slow(account, seconds=60) as slow_box:
        load = machine(slow_box, tmp_path, 0, "load")
        until_it_walks(load, slow_box)
        load.kill()
    status = json.loads(passona("status", "--json").stdout)
    assert [run["outcome"] for run in status["runs"]] == ["interrupted", "ok"]
    next_load = passona("load", "--wait", "5", box=box)
    assert (next_load.returncode, next_load.stderr) == (0, "")
    assert warehouse.rows("SELECT outcome, count(*) FROM passona.runs GROUP BY 1 ORDER BY 1") == [
        ("interrupted", 1), ("ok", 2)
    ]  # fmt: skip


@pytest.mark.duckdb("about the destination's name")
def test_the_filesystem_destination_is_refused_and_says_what_to_use(
    warehouse: Warehouse, passona: Run, box: Sandbox, tmp_path: Path
) -> None:
    ended = passona(
        "load", box=box, DESTINATION__WAREHOUSE__DESTINATION_TYPE="filesystem",
        DESTINATION__WAREHOUSE__BUCKET_URL=str(tmp_path / "lake"),
    )  # fmt: skip
    assert ended.returncode == 2
    assert "'filesystem' cannot hold the warehouse; use duckdb or postgres" in ended.stderr
    assert "passona publish" in ended.stderr
    assert box.requests == []


@pytest.mark.duckdb("about the destination's name")
def test_shard_is_no_option(passona: Run, box: Sandbox) -> None:
    ended = passona("load", "--shard", "1/8", box=box)
    assert (ended.returncode, "No such option" in ended.stderr) == (2, True)
