"""Loads at once into one Postgres database, some of them killed, and what comes between them: every row right and once.

Run by `make postgres-check`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import psycopg2.errors
import pytest
from dlt.destinations.exceptions import DatabaseTerminalException

from engines import POSTGRES
from forked import Begun
from passona.database import Database, open_database
from passona.errors import Busy, Exit, NotWritten
from passona.load import Load, Outcome, Wish
from passona.pages import Page
from passona.reports import REPORTS, Report
from passona.settings import Settings
from passona.upgrades import STEPS, Step
from sandbox import Account, Sandbox, Switches
from test_kills import assert_whole, unsent
from test_load import ONE, TWO, assert_as_served, click, going, message
from test_postgres import LOCKS, asked, staging
from warehouses import Lines, Warehouse, environment_of

pytestmark = pytest.mark.skipif(POSTGRES is None, reason="make postgres-check starts a server")
ROUNDS = int(os.environ.get("PASSONA_ROUNDS", "2"))
Run = Callable[..., "subprocess.CompletedProcess[str]"]
UUIDS = [f"{n:08}-1111-4111-8111-111111111111" for n in range(1, 17)]


def fill(account: Account, version: int) -> None:
    """Sixteen campaigns, in each version with more or fewer rows, other values, and reports that become empty."""
    for n, uuid in enumerate(UUIDS):
        rows = 60 + 40 * ((version + n) % 3)
        account.put(
            going(uuid, name=f"Campaign {n}, version {version}"),
            {
                "alt_delivery": [message(r, Status=f"v{version}") for r in range(rows)],
                "clicks": [click(r % 47, Clicked_At=f"2020-10-25 01:{version % 60:02}:00") for r in range(rows)],
                "unsent": [] if (version + n) % 2 else [unsent(r) for r in range(rows)],
            },
        )


def machine(box: Sandbox, folder: Path, number: int, *arguments: str, **environment: str) -> Begun:
    """A command on a machine of its own: nothing is shared but the server."""
    own = folder / f"machine{number}"
    own.mkdir(exist_ok=True)
    return Begun(arguments, own, environment_of(box, folder) | environment)


def at_work(warehouse: Warehouse) -> int:
    """Loads that hold the database together."""
    ((number,),) = asked(warehouse, f"SELECT count(*) {LOCKS} AND mode = 'ShareLock' AND objid = 1")
    return int(number)


@pytest.mark.parametrize("parts", ["eight shards", "all of everything"])
def test_eight_loads_at_once_half_of_them_killed_leave_every_row_right_and_once(
    tmp_path: Path, warehouse: Warehouse, account: Account, parts: str
) -> None:
    dice = random.Random(parts)
    with Sandbox(account, Switches(per_page_limit=50, latency=0.02)) as box:
        for version in range(ROUNDS):
            fill(account, version)
            shards = [("--shard", f"{n + 1}/8") if parts == "eight shards" else () for n in range(8)]
            loads = [
                machine(box, tmp_path, n, "load", "--wait", "0", "--accept-shrink", *shard)
                for n, shard in enumerate(shards)
            ]
            while at_work(warehouse) < 3:
                assert not all(load.ended for load in loads), "they came one after the other"
            killed = dice.sample(loads, 4)
            for load in killed:
                load.kill(dice.uniform(0, 1))
            for load in loads:
                if load not in killed:
                    ended = load.wait()
                    assert (ended.returncode, ended.stderr) == (0, "")
            last = machine(box, tmp_path, 0, "load", "--wait", "0", "--accept-shrink").wait()
            assert (last.returncode, last.stderr) == (0, "")
            assert_as_served(warehouse, account, UUIDS)
            assert_whole(warehouse)
            names = [(uuid, f"Campaign {n}, version {version}", True) for n, uuid in enumerate(UUIDS)]
            assert warehouse.rows("SELECT campaign_id, name, listed FROM passona.campaigns ORDER BY 1") == names
            assert staging(warehouse) == []
    outcomes = dict(warehouse.rows("SELECT outcome, count(*) FROM passona.runs GROUP BY 1"))
    assert set(outcomes) <= {"ok", "interrupted"}
    assert outcomes["ok"] >= 5 * ROUNDS


class Between(Lines):
    """A watcher of a load that does something once, at the first call of one of its methods."""

    def __init__(self, moment: str, act: Callable[[], object]) -> None:
        super().__init__()
        self._moment, self._act = moment, act

    def _at(self, moment: str) -> None:
        if moment == self._moment:
            self._moment = ""
            self._act()

    def planned(self, pulls: Any) -> None:
        self._at("planned")

    def walked(self, pull: Any) -> None:
        self._at("walked")

    def say(self, line: str) -> None:
        super().say(line)
        self._at("said")


@contextmanager
def opened(warehouse: Warehouse) -> Iterator[Database]:
    database = open_database(warehouse.address, 0, print, alone=False)
    with closing(database):
        yield database


def load_between(
    warehouse: Warehouse, box: Sandbox, moment: str, act: Callable[[], object], *reports: str, **options: Any
) -> Outcome:
    """A load that another one comes between, with `act`, at some moment: when it has planned what to ask for, when
    its first walk has ended, when the list of campaigns has come (and is odd)."""
    settings = Settings(box.token, base_url=box.base_url, retry_pause=0.01, **options)
    wish = Wish((), tuple(REPORTS[name] for name in reports or REPORTS))
    with opened(warehouse) as database:
        return Load(settings, database, wish, Between(moment, act)).run()


def entry(warehouse: Warehouse, report: str = "clicks") -> tuple[Any, ...]:
    return warehouse.one(f"SELECT state, row_count, error FROM passona.report_ledger WHERE report = '{report}'")


@pytest.mark.parametrize("before", [0, 5])
def test_of_two_walks_the_one_that_began_later_counts_whichever_is_written_last(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, before: int
) -> None:
    if before:
        account.put(going(ONE), {"clicks": [click(n) for n in range(before)]})
        warehouse.load(box)
    account.put(going(ONE), {"clicks": [click(n) for n in range(10)]})

    def another() -> None:
        account.put(going(ONE), {"clicks": [click(n, Link_Name="later") for n in range(12)]})
        assert passona("load", box=box).returncode == 0

    outcome = load_between(warehouse, box, "walked", another, "clicks")
    assert (outcome.exit_code, outcome.reports["clicks"].loaded, outcome.reports["clicks"].unchanged) == (0, 0, 1)
    assert_as_served(warehouse, account, [ONE])
    assert entry(warehouse) == ("open", 12, None)
    assert_whole(warehouse)


def test_what_another_load_brought_before_this_one_walked_is_replaced(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    account.put(going(ONE), {"clicks": [click(n) for n in range(10)]})

    def another() -> None:
        assert passona("load", box=box).returncode == 0
        account.put(going(ONE), {"clicks": [click(n, Link_Name="later") for n in range(12)]})

    outcome = load_between(warehouse, box, "planned", another)
    assert outcome.reports["clicks"].loaded == 1
    assert_as_served(warehouse, account, [ONE])
    assert entry(warehouse) == ("open", 12, None)
    assert_whole(warehouse)


def test_the_shrink_guard_compares_with_what_another_load_brought_meanwhile(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    account.put(going(ONE), {"clicks": [click(n) for n in range(10)]})

    def another() -> None:
        assert passona("load", box=box).returncode == 0
        account.put(going(ONE), {"clicks": [click(0)]})

    outcome = load_between(warehouse, box, "planned", another, "clicks")
    assert (outcome.exit_code, outcome.reports["clicks"].held, outcome.reports["clicks"].loaded) == (Exit.HELD, 1, 0)
    assert entry(warehouse)[:2] == ("held", 10)
    assert warehouse.count("clicks") == 10


@pytest.mark.parametrize("told", ["unchanged", "failed"])
def test_what_a_load_tells_of_rows_that_another_has_replaced_goes_with_them(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, told: str
) -> None:
    account.put(going(ONE), {"clicks": [click(n) for n in range(10)]})
    warehouse.load(box)
    if told == "failed":
        box.faults = [{"kind": "status", "code": 403, "report": "clicks"}]

    def another() -> None:
        box.faults = []
        account.put(going(ONE), {"clicks": [click(n, Link_Name="later") for n in range(12)]})
        assert passona("load", box=box).returncode == 0

    outcome = load_between(warehouse, box, "walked", another, "clicks")
    assert outcome.exit_code == (Exit.FAILED if told == "failed" else Exit.OK)
    assert entry(warehouse) == ("open", 12, None)
    assert_as_served(warehouse, account, [ONE])
    assert_whole(warehouse)


def test_what_another_load_has_given_up_does_not_come_back(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    ended = {"uuid": ONE, "started_sending_at": "2020-06-01 10:00:00", "expiry_date": "2020-06-02 10:00:00"}
    account.put(ended, {"clicks": [click(n) for n in range(10)]})
    warehouse.load(box)
    account.put(ended, {"clicks": [click(n) for n in range(11)]})

    def another() -> None:
        assert passona("load", box=box, SOURCES__PASSONA__RETAIN_DAYS="90").returncode == 0

    settings = Settings(box.token, base_url=box.base_url)
    with opened(warehouse) as database:
        wish = Wish((), (REPORTS["clicks"],), refresh=True)
        assert Load(settings, database, wish, Between("walked", another)).run().exit_code == 0
    assert warehouse.rows("SELECT DISTINCT phone_number FROM passona.clicks") == [(None,)]
    assert entry(warehouse) == ("settled", 10, None)


def test_of_two_lists_of_campaigns_the_later_counts(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    account.put(going(ONE, name="before", mood="a key that is told"), {"clicks": [click(1)]})
    account.put(going(TWO, name="gone"))
    warehouse.load(box)

    def another() -> None:
        account.put(going(ONE, name="later", mood="told"), {"clicks": [click(1)]})
        account.remove(TWO)
        assert passona("load", box=box).returncode == 0

    load_between(warehouse, box, "said", another)
    rows = warehouse.rows("SELECT campaign_id, name, listed FROM passona.campaigns ORDER BY 1")
    assert rows == [(ONE, "later", True), (TWO, "gone", False)]
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT campaign_id, name, listed FROM passona.campaigns ORDER BY 1") == rows


def test_keys_that_are_new_to_two_loads_are_all_columns_and_all_in_dlts_schema(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passona.load.PACKAGE_ROWS", 1)
    account.put(going(ONE), {"clicks": [click(1, Mood="good")]})
    warehouse.load(box)
    account.put(going(ONE), {"clicks": [click(2, Mood="better")], "alt_delivery": [message(1, Weather="fine")]})
    account.put(going(TWO), {"unsent": [unsent(1) | {"Tide": "high"}]})

    def another() -> None:
        account.put(going(ONE), {"clicks": [click(3, Moon="full")], "alt_delivery": [message(1, Weather="fine")]})
        assert passona("load", "--report", "clicks", box=box).returncode == 0

    # The first package is written by then, so this load has dlt's schema as that left it.
    box.faults = [{"kind": "latency", "seconds": 2, "campaign": TWO}]
    wish = Wish((), (REPORTS["alt_delivery"], REPORTS["unsent"]))
    with opened(warehouse) as database:
        settings = Settings(box.token, base_url=box.base_url, retry_pause=0.01)
        assert Load(settings, database, wish, AfterTheFirstPackage(warehouse, another)).run().exit_code == 0
    ((schema,),) = asked(warehouse, "SELECT schema FROM passona._dlt_version ORDER BY inserted_at DESC LIMIT 1")
    tables = json.loads(schema)["tables"]
    assert {"mood", "moon"} <= set(tables["clicks"]["columns"])
    assert "weather" in tables["alt_delivery"]["columns"]
    assert "tide" in tables["unsent"]["columns"]
    assert warehouse.rows("SELECT mood, moon FROM passona.clicks") == [(None, "full")]
    assert warehouse.rows("SELECT weather FROM passona.alt_delivery") == [("fine",)]
    assert warehouse.rows("SELECT tide FROM passona.unsent") == [("high",)]


class AfterTheFirstPackage(Lines):
    """Does something once, when the page of another campaign comes and the first package is written."""

    def __init__(self, warehouse: Warehouse, act: Callable[[], object]) -> None:
        super().__init__()
        self._warehouse, self._act = warehouse, act

    def page(self, report: Report, page: Page) -> None:
        if report.name == "unsent" and page.rows and self._act is not print:
            while not asked(self._warehouse, "SELECT 1 FROM passona.alt_delivery"):
                pass
            act, self._act = self._act, print
            act()


def slow(account: Account, seconds: float = 6) -> Sandbox:
    account.put(going(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    return Sandbox(account, faults=[{"kind": "latency", "seconds": seconds, "report": "clicks"}])


def until_at_work(warehouse: Warehouse, number: int, *loads: Begun) -> None:
    """Until so many loads have begun their runs."""
    while running(warehouse) < number:
        assert not any(load.ended for load in loads)


def running(warehouse: Warehouse) -> int:
    try:
        ((number,),) = asked(warehouse, "SELECT count(*) FROM passona.runs WHERE outcome = 'running'")
    except psycopg2.errors.UndefinedTable:
        return 0
    return int(number)


def runs(told: subprocess.CompletedProcess[str]) -> list[str]:
    return sorted(run["outcome"] for run in json.loads(told.stdout)["runs"] if run["verb"] == "load")


def test_a_run_that_was_killed_is_told_from_one_that_is_at_work(
    tmp_path: Path, warehouse: Warehouse, account: Account, passona: Run, box: Sandbox
) -> None:
    assert warehouse.load(box).exit_code == 0
    with slow(account) as slow_box:
        living, dying = (machine(slow_box, tmp_path, n, "load") for n in range(2))
        until_at_work(warehouse, 2, living, dying)
        assert runs(passona("status", "--json")) == ["ok", "running", "running"]
        dying.kill()
        while at_work(warehouse) > 1:
            assert not living.ended
        assert runs(passona("status", "--json")) == ["interrupted", "ok", "running"]
        assert passona("load", "--report", "sent", box=slow_box).returncode == 0
        outcomes = "SELECT outcome FROM passona.runs ORDER BY outcome"
        assert asked(warehouse, outcomes) == [("interrupted",), ("ok",), ("ok",), ("running",)]
        assert living.wait().returncode == 0
    assert asked(warehouse, outcomes) == [("interrupted",), ("ok",), ("ok",), ("ok",)]
    assert_as_served(warehouse, account, [ONE])


def test_what_has_to_be_alone_waits_for_loads_and_loads_wait_behind_it(
    tmp_path: Path, warehouse: Warehouse, account: Account, passona: Run
) -> None:
    (tmp_path / "clicks.csv").touch()
    person = "+44 7123 400001"
    verbs = [
        ("transform",), ("forget", person), ("load", "--transform"), ("generate", ONE),
        ("import-csv", "clicks.csv", "--campaign", ONE),
    ]  # fmt: skip
    with slow(account, seconds=15) as box:
        loads = [machine(box, tmp_path, n, "load") for n in range(2)]
        until_at_work(warehouse, 2, *loads)
        for verb in verbs:
            busy = passona(*verb, "--wait", "0", box=box)
            assert busy.returncode == 6, busy.stderr
            assert f"is held by passona on {os.uname().nodename[:24]} (process " in busy.stderr
            assert any(f"(process {load.pid}) and 1 other; waited 0 s" in busy.stderr for load in loads)
        alone = machine(box, tmp_path, 2, "forget", person, "--wait", "60")
        while not asked(warehouse, f"SELECT 1 {LOCKS} AND mode = 'ExclusiveLock' AND objid = 2"):
            assert not alone.ended
        behind = passona("load", "--wait", "0", box=box)
        assert behind.returncode == 6
        assert f"(process {alone.pid}), which waits to be alone; waited 0 s" in behind.stderr
        assert [load.wait().returncode for load in loads] == [0, 0]
        ended = alone.wait()
        assert (ended.returncode, warehouse.count("clicks")) == (0, 0), ended.stderr
    verbs_run = asked(warehouse, "SELECT verb FROM passona.runs ORDER BY started_at")
    assert verbs_run == [("load",), ("load",), ("forget",)]


def test_a_load_is_alone_where_it_brings_the_warehouse_forward(
    warehouse: Warehouse, account: Account, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    account.put(going(ONE))
    warehouse.load(box)
    with opened(warehouse) as of_the_version_before:
        assert of_the_version_before.shared
        monkeypatch.setattr("passona.upgrades.STEPS", (*STEPS, Step("as a later version could have it")))
        with pytest.raises(Busy):
            open_database(warehouse.address, 0, print, alone=False)
    with opened(warehouse) as database:
        assert not database.shared
        database.prepare()
    with opened(warehouse) as database:
        assert database.shared


def test_a_run_that_has_lost_its_lock_opens_no_session_and_notes_nothing(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    # dlt opens a session anew where one was ended, and tries again.
    account.put(going(ONE))
    warehouse.load(box)
    with opened(warehouse) as database, opened(warehouse) as other:
        ((lock,),) = asked(warehouse, f"SELECT min(pid) {LOCKS} AND objid = 1")
        database.begin_run("11111111", "load")
        other.begin_run("22222222", "load")
        asked(warehouse, f"SELECT pg_terminate_backend({lock})")
        lost, alive = (database, other) if lost_its_lock(database) else (other, database)
        with pytest.raises(DatabaseTerminalException), lost.pipeline.destination_client():
            pass
        with alive.pipeline.destination_client():
            pass
        alive.begin_run("33333333", "load")
        with pytest.raises(psycopg2.Error):
            lost.connection.execute("SELECT 1")
        alive.connection.execute("SELECT 1")
    ended = asked(warehouse, "SELECT count(*) FROM passona.runs WHERE outcome = 'interrupted'")
    assert ended == [(1,)]


def lost_its_lock(database: Database) -> bool:
    try:
        database.end_run("nobody's", "ok", 0, 0)
    except NotWritten as error:
        return "has ended the session that holds the lock" in str(error)
    return False


def test_loads_beside_each_other_in_one_folder_have_work_folders_of_their_own(
    tmp_path: Path, warehouse: Warehouse, account: Account, passona: Run
) -> None:
    with slow(account) as box:
        loads = [Begun(["load"], tmp_path, environment_of(box, tmp_path)) for _ in range(2)]
        until_at_work(warehouse, 2, *loads)
        assert len(list(tmp_path.glob("*.work"))) == 2
        loads[0].kill()
        assert loads[1].wait().returncode == 0
        assert len(list(tmp_path.glob("*.work"))) == 1
        box.faults = []
        assert passona("forget", "+44 7123 400001").returncode == 0
    assert list(tmp_path.glob("*.work")) == []


def test_all_loads_of_a_database_share_one_budget_of_requests_and_a_killed_one_keeps_nothing_of_it(
    tmp_path: Path, warehouse: Warehouse, account: Account
) -> None:
    bound = 60
    for uuid in UUIDS:
        account.put(going(uuid), {"clicks": [click(1)]})
    with Sandbox(account) as box:
        loads = [machine(box, tmp_path, n, "load", SOURCES__PASSONA__REQUESTS_PER_MINUTE=str(bound)) for n in range(4)]
        # Each of them alone has more than this to ask.
        until_sent(box, bound, *loads)
        counted = asked(warehouse, "SELECT count(*), max(sent_at) <= clock_timestamp() FROM passona._requests")
        for load in loads:
            load.kill()
        # Nothing is reserved: what another may send more is its own at once.
        last = machine(box, tmp_path, 4, "load", SOURCES__PASSONA__REQUESTS_PER_MINUTE=str(bound + 5))
        until_sent(box, bound + 5, last)
        last.kill()
        sent = sorted(record.at for record in box.requests)
    assert counted == [(bound, True)]
    # Counted a moment before they are sent.
    assert all(later - earlier > 55 for earlier, later in zip(sent, sent[bound + 5 :], strict=False))


def until_sent(box: Sandbox, requests: int, *loads: Begun) -> None:
    while len(box.requests) < requests:
        assert not any(load.ended for load in loads)


def test_a_load_whose_budget_is_gone_says_so(tmp_path: Path, warehouse: Warehouse, account: Account) -> None:
    for uuid in UUIDS:
        account.put(going(uuid), {"clicks": [click(1)]})
    with Sandbox(account, Switches(latency=0.1)) as box:
        load = machine(box, tmp_path, 0, "load", SOURCES__PASSONA__REQUESTS_PER_MINUTE="1000")
        until_sent(box, 10, load)
        asked(
            warehouse,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND application_name LIKE 'passona on %' AND query LIKE '%passona._requests%'",
        )
        ended = load.wait()
    assert ended.returncode == 1
    assert "the session by which loads share requests_per_minute" in ended.stderr
    assert asked(warehouse, "SELECT outcome FROM passona.runs") == [("error",)]
