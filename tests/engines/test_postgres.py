"""What a Postgres server has that a file has not: a lock for all machines, readers during a load, its sessions.

Run by `make postgres-check`, with the tests of loads, ledger, faults, kills and dbt, which are the same for both.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from passona.analytics.html_report import write_report
from passona.analytics.transform import transform
from passona.errors import ConfigurationError
from passona.warehouse.engines._postgres_lock import STAGING_COMMENT
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, message, open_campaign
from support.engines import POSTGRES, change, native_rows, url_of
from support.ledgers import assert_whole
from support.people import GONE, forget_people
from support.people import fill as fill_people
from support.served import assert_as_served
from support.warehouses import Warehouse, environment_of

pytestmark = pytest.mark.postgres("about what a server has and a file has not")
Begin = Callable[..., "subprocess.Popen[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]
LOCKS = """FROM pg_locks WHERE locktype = 'advisory' AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""


def staging(warehouse: Warehouse) -> list[Any]:
    return native_rows(warehouse.path, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'passona\\_staging%'")


def test_sessions_and_staging_of_a_killed_load_are_removed_by_the_next(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(30)]})
    warehouse.load(box)
    change(warehouse.path, "CREATE SCHEMA passona_staging_0badcafe")
    change(warehouse.path, f"COMMENT ON SCHEMA passona_staging_0badcafe IS '{STAGING_COMMENT}'")
    change(warehouse.path, "CREATE TABLE passona_staging_0badcafe.clicks (phone_number VARCHAR)")
    import psycopg2

    with closing(psycopg2.connect(url_of(warehouse.path), application_name="passona on afar (process 1)")) as lost:
        with lost.cursor() as cursor:
            cursor.execute("DELETE FROM passona.clicks")  # what it did not commit comes to nothing
        account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(31)]})
        assert warehouse.load(box).exit_code == 0
        with pytest.raises(psycopg2.Error), lost.cursor() as cursor:
            cursor.execute("SELECT 1")
    assert staging(warehouse) == []
    assert_as_served(warehouse, account, [ONE])


def slow(account: Account) -> Sandbox:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    return Sandbox(account, faults=[{"kind": "latency", "seconds": 8, "report": "clicks"}])


def until_it_walks(load: subprocess.Popen[str], box: Sandbox) -> None:
    while not any(record.kind == "report" for record in box.requests):
        assert load.poll() is None


def test_who_reads_waits_for_nobody_and_sees_that_a_load_is_running(
    begun: Begin, passona: Run, warehouse: Warehouse, account: Account
) -> None:
    with slow(account) as box:
        load = begun("load", box=box)
        until_it_walks(load, box)
        found = passona("status", "--json", "--wait", "0")
        _, stderr = load.communicate(timeout=60)
    assert (load.returncode, stderr) == (0, "")
    assert found.returncode == 0
    assert [(run["verb"], run["outcome"]) for run in json.loads(found.stdout)["runs"]] == [("load", "running")]
    assert "not-a-secret" not in found.stdout


def test_a_load_that_has_lost_its_lock_writes_nothing_any_more(
    begun: Begin, passona: Run, warehouse: Warehouse, account: Account
) -> None:
    with slow(account) as box:
        load = begun("load", box=box)
        until_it_walks(load, box)
        native_rows(warehouse.path, f"SELECT pg_terminate_backend(pid) {LOCKS}")
        box.faults = []
        other = passona("load", "--debug", box=box)
        _, stderr = load.communicate(timeout=60)
    assert other.returncode == 0, other.stderr
    assert load.returncode == 1
    assert "has ended this run's session, and its lock with it" in stderr
    assert_as_served(warehouse, account, [ONE])
    assert_whole(warehouse)


def test_nothing_is_left_on_this_machine_and_in_the_server_but_the_tables(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    warehouse.load(box)
    account.put(open_campaign(ONE), {"clicks": [click(2)]})
    warehouse.load(box)
    assert list(tmp_path.iterdir()) == []
    assert (staging(warehouse), native_rows(warehouse.path, f"SELECT pid {LOCKS}")) == ([], [])


def test_who_is_forgotten_is_gone_from_the_tables_and_stays_away(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    fill_people(account)
    warehouse.load(box)
    change(warehouse.path, "CREATE TABLE public.customers AS SELECT '447123400003' AS phone")
    before = warehouse.content()
    found = forget_people(warehouse, "+44 7123 400003")
    assert found.tables == {
        "passona.clicks": 2, "passona.delivery": 1, "passona.alt_delivery": 1, "passona.row_issues": 2,
        "passona.recipient": 1, "passona.recipient__fields": 2,
    }  # fmt: skip
    after = warehouse.content()
    assert not any(GONE in str(row) or "Person00003" in str(row) for rows in after.values() for row in rows)
    assert all(row in before[name] for name, rows in after.items() for row in rows)
    warehouse.load(box, refresh=True)
    assert warehouse.content() == after
    # What else is in the database belongs to others.
    assert native_rows(warehouse.path, "SELECT phone FROM public.customers") == [(GONE,)]


def test_report_reads_the_marts_and_publish_and_re_key_are_refused(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    account.put(
        open_campaign(ONE, name="Spring"), {"alt_delivery": [message(n) for n in range(5)], "clicks": [click(1)]}
    )
    warehouse.load(box)
    assert transform(warehouse.address, {"default": "Europe/London"}, 0, print).exit_code == 0
    figures = write_report(warehouse.address, tmp_path / "report.html", None, 0, print)
    assert [(row["name"], row["sent"], row["clicks"]) for row in figures.campaigns] == [("Spring", 5, 1)]
    refused = passona("publish", "readers.duckdb")
    assert (refused.returncode, "cannot be published" in refused.stderr) == (2, True)
    refused = passona("re-key")
    assert (refused.returncode, "cannot have a new key" in refused.stderr) == (2, True)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://passona:wrong@{host}/postgres", "cannot be reached: .*password authentication failed"),
        ("postgresql://passona:wrong@127.0.0.1:1/postgres", "cannot be reached: .*(refused|TCP/IP)"),
        ("postgresql://passona:wrong@{host}", "expected postgresql://.*, got no database"),
        ("mysql://passona:wrong@{host}/postgres", "expected postgresql://.*, got something else"),
    ],
)
def test_an_address_that_does_not_work_is_refused_without_its_password(
    passona: Run, box: Sandbox, url: str, said: str
) -> None:
    host = str(POSTGRES).rpartition("@")[2]
    ended = passona("load", box=box, DESTINATION__WAREHOUSE__CREDENTIALS=url.format(host=host))
    assert ended.returncode == 2
    assert "wrong" not in ended.stderr
    with pytest.raises(ConfigurationError, match=said):
        raise ConfigurationError(ended.stderr.strip())


def test_without_the_driver_the_error_says_what_to_install(tmp_path: Path) -> None:
    script = "import sys; sys.modules['psycopg2'] = None; from passona.cli.main import main; main(['status'])"
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment_of(None, tmp_path), capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "pip install 'passona-warehouse[postgres]'" in ended.stderr
