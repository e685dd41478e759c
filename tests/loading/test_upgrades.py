"""Warehouses of other versions: the file of the first release is loaded on, later ones are refused."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version

import duckdb
import pytest

from passona.errors import ConfigurationError
from passona.reports.definitions import REPORTS
from passona.reports.tables import FORM, TABLES
from passona.warehouse.database import open_database
from passona_sandbox import Sandbox
from support.first_release import GOING, LEFT, OVER, PLANNED, account, campaigns, unpack
from support.oracle import expected
from support.stored import stored
from support.warehouses import Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]

VERSION = version("passona-warehouse")
# What the first release has; later ones have columns beside it.
LEDGER = "SELECT campaign_id, report, state, changed_at, pages, row_count, api_total, digest, error, origin"


@pytest.fixture
def old(warehouse: Warehouse) -> Warehouse:
    unpack(warehouse.path)
    return warehouse


def change(warehouse: Warehouse, *statements: str) -> None:
    with duckdb.connect(str(warehouse.path)) as connection:
        for statement in statements:
            connection.execute(statement)


def with_account(content: dict[str, list[tuple[object, ...]]]) -> dict[str, list[tuple[object, ...]]]:
    """What it holds once its campaigns belong to an account."""
    return content | {"campaigns": [(*row, "default") for row in content["campaigns"]]}


def prepare(warehouse: Warehouse) -> None:
    """What each run that writes does first."""
    database = open_database(warehouse.path, 0, lambda line: None)
    try:
        database.prepare()
    finally:
        database.close()


def test_the_file_of_the_first_release_is_loaded_on_and_keeps_every_row(old: Warehouse) -> None:
    before = old.content()
    states = dict(old.rows("SELECT (campaign_id, report), state FROM passona.report_ledger"))
    assert sorted(states.values()) == ["failed"] + ["held"] + ["open"] * 5 + ["settled"] * 12
    final = f"{LEDGER}, verified_at, run_id FROM passona.report_ledger WHERE state = 'settled' ORDER BY ALL"
    settled = old.rows(final)
    with Sandbox(account()) as box:
        outcome = old.load(box)
        asked = {(record.campaign, record.report) for record in box.requests if record.kind == "report"}
    assert (outcome.exit_code, outcome.errors) == (0, [])
    assert asked == {(GOING, report) for report in REPORTS} | {(PLANNED, "recipient")}
    assert old.content() == with_account(before)
    assert old.rows("SELECT DISTINCT verb, account FROM passona.runs") == [("load", "default")]
    assert old.rows(final) == settled
    assert len(settled) == 12
    assert old.rows("SELECT state, error, count(*) FROM passona.report_ledger GROUP BY ALL ORDER BY ALL") == [
        ("open", None, 7), ("settled", None, 12),
    ]  # fmt: skip
    for entry, reports in campaigns():
        for report in REPORTS:
            served = [{key: value for key, value in row.items() if key != "Mood"} for row in reports.get(report, ())]
            assert stored(old.path, str(entry["uuid"]), report) == expected(served), (entry["name"], report)
    assert old.rows("SELECT campaign_id, listed FROM passona.campaigns ORDER BY ALL") == [
        (OVER, True), (GOING, True), (PLANNED, True), (LEFT, False),
    ]  # fmt: skip


def test_a_warehouse_of_the_first_release_has_mode_clear(
    old: Warehouse,
) -> None:
    before = old.content()
    with Sandbox(account()) as box:
        with pytest.raises(ConfigurationError, match=r"this warehouse is clear, .* or load into a new file"):
            old.load(box, privacy="pseudonymous", privacy_key="k" * 32)
        assert box.requests == []
    assert old.content() == with_account(before)
    assert old.rows("SELECT mode, key_id FROM passona._privacy") == [("clear", None)]
    assert old.rows("SELECT DISTINCT suppressed, expired_at FROM passona.report_ledger") == [(None, None)]
    # Of a first load that was killed there are rows, and no word of them in the ledger.
    change(old, "DROP TABLE passona._privacy", "DROP TABLE passona._forgotten", "DELETE FROM passona.report_ledger")
    with Sandbox(account()) as box, pytest.raises(ConfigurationError, match="this warehouse is clear"):
        old.load(box, privacy="pseudonymous", privacy_key="k" * 32)


def test_a_load_adds_and_describes_columns_of_this_version(old: Warehouse, passona: Run) -> None:
    change(
        old,
        "ALTER TABLE passona.report_ledger DROP COLUMN origin",
        "COMMENT ON COLUMN passona.clicks.clicked_at IS 'as an earlier version said'",
        "COMMENT ON TABLE passona.sent IS 'as an earlier version said'",
    )
    with Sandbox(account()) as box:
        refused = passona("campaigns", box=box)
        assert refused.returncode == 2
        assert refused.stderr == (
            f"passona: the warehouse was made by an earlier version of passona-warehouse (0.1.0, this is {VERSION}): "
            "run passona load, which brings it forward\n"
        )
        assert old.load(box).exit_code == 0
    assert old.rows("SELECT DISTINCT origin FROM passona.report_ledger ORDER BY ALL") == [("api",), (None,)]
    described = "SELECT comment FROM duckdb_{}() WHERE schema_name = 'passona' AND table_name = ?"
    assert old.rows(described.format("tables"), "sent") == [(TABLES["sent"].comment,)]
    assert old.rows(described.format("columns") + " AND column_name = 'clicked_at'", "clicks") == [
        (TABLES["clicks"].comment_on("clicked_at"),)
    ]


@pytest.mark.parametrize("verb", ["load", "campaigns"])
@pytest.mark.core(1)
def test_a_warehouse_of_a_later_version_is_refused_and_not_touched(old: Warehouse, passona: Run, verb: str) -> None:
    prepare(old)
    change(old, f"INSERT INTO passona._upgrades VALUES ({FORM + 1}, 'something new', '7.2.0', now())")
    before = old.path.read_bytes()
    with Sandbox(account()) as box:
        ended = passona(verb, box=box)
        assert {record.kind for record in box.requests} <= {"campaigns"}
    assert ended.returncode == 2
    assert ended.stderr == (
        f"passona: the warehouse was made by passona-warehouse 7.2.0, and this is {VERSION}, which does not know its form: "
        "pip install --upgrade 'passona-warehouse>=7.2.0'\n"
    )
    assert old.path.read_bytes() == before
    assert [path.name for path in old.path.parent.iterdir()] == ["warehouse.duckdb"]


def test_a_migration_runs_once_before_the_first_package(old: Warehouse) -> None:
    before = with_account(old.content())
    with Sandbox(account()) as box:
        for refresh in (False, True):
            assert old.load(box, refresh=refresh).exit_code == 0
            assert {name: sorted(map(sorted_texts, rows)) for name, rows in old.content().items()} == {
                name: sorted(map(sorted_texts, rows)) for name, rows in before.items()
            }
    assert old.rows("SELECT form, step FROM passona._upgrades") == [(FORM, "campaign ids are in lower case")]


def sorted_texts(row: tuple[object, ...]) -> list[str]:
    """A row whatever the order of its columns."""
    return sorted(map(str, row))


KILLED = """
import os, pathlib, signal, sys
from passona.warehouse import _migrations
from passona.warehouse.database import open_database
# Asked for last, when all rows have been changed.
_migrations._this_version = lambda: os.kill(os.getpid(), signal.SIGKILL)
open_database(pathlib.Path(sys.argv[1]), 0, print).prepare()
"""


def test_a_kill_in_the_middle_of_an_upgrade_leaves_the_form_that_was_there(old: Warehouse) -> None:
    change(old, "UPDATE passona.clicks SET campaign_id = upper(campaign_id)")
    ids = "SELECT DISTINCT campaign_id FROM passona.clicks ORDER BY 1"
    before = old.rows(ids)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(old.path)], check=False, timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert old.rows(ids) == before
    assert old.rows("SELECT * FROM duckdb_tables() WHERE table_name = '_upgrades'") == []


def test_a_new_warehouse_has_the_form_of_this_version_and_keeps_it(warehouse: Warehouse) -> None:
    for _ in range(2):
        prepare(warehouse)
        assert warehouse.rows("SELECT form, step, version FROM passona._upgrades") == [(FORM, "created", VERSION)]
