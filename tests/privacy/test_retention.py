"""Retention on a bad day: killed before the file is made anew, and a token that is refused."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from passona.config.settings import Settings
from passona.errors import ConfigurationError, Exit
from passona.monitoring.status import Status, status
from passona.source.campaigns import Campaign
from passona.warehouse.database import open_database
from passona.warehouse.retention import expired_campaigns
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, ended_campaign, open_campaign
from support.csv_files import HEADER, row
from support.csv_imports import import_csv
from support.engines import change
from support.warehouses import Warehouse
from traces import People, traces

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
KEEPING = {"retain_days": 90}
PHONE = b"447123400003"


def fill(account: Account) -> None:
    account.put(
        ended_campaign(ONE, 100), {"clicks": [click(n, Link_Destination=f"https://e.org/?u={n}") for n in range(400)]}
    )


def given_up(warehouse: Warehouse) -> bool:
    return warehouse.one("SELECT count(phone_number) FROM passona.clicks") == (0,)


def seen(warehouse: Warehouse) -> Status:
    return status(warehouse.address, timedelta(microseconds=1), 0, lambda _: None, KEEPING["retain_days"])


def write(warehouse: Warehouse, sql: str, *parameters: object) -> None:
    change(warehouse.path, sql, *parameters)


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_rewrite_that_was_killed_is_done_by_the_next_load(
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


@pytest.mark.core
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
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    warehouse.load(box)
    account.remove(ONE)
    warehouse.load(box, accept_shrink=True)
    found = seen(warehouse)
    assert (found.reports["clicks"].open, found.reports["clicks"].stale) == (1, 0)


@pytest.mark.duckdb("its staging is the dataset of all runs")
@pytest.mark.parametrize(("mode", "dates"), [("columns", "known"), ("rows", "unknown")])
def test_rows_of_a_killed_first_load_that_the_ledger_does_not_know_go_too(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str, dates: str
) -> None:
    # They used to stay in clear for ever: the ledger had nothing old to tell, and the campaign was not due any more.
    fill(account)
    account.put(open_campaign(TWO), {"clicks": [click(500)]})
    warehouse.load(box, reports=["clicks"])
    warehouse.load(box, reports=["clicks"], refresh=True)  # a merge, which makes tables in the staging dataset
    write(warehouse, "DELETE FROM passona.report_ledger WHERE report = 'clicks'")
    write(warehouse, "INSERT INTO passona_staging.clicks BY NAME FROM passona.clicks")
    if dates == "unknown":  # then the rows' own load tells their age
        long_ago = str((datetime.now(UTC) - timedelta(days=91)).timestamp())
        write(warehouse, "UPDATE passona.clicks SET _dlt_load_id = ? WHERE campaign_id = ?", long_ago, ONE)
        write(warehouse, "DELETE FROM passona.report_ledger WHERE campaign_id = ?", ONE)
        write(warehouse, "DELETE FROM passona.campaigns WHERE campaign_id = ?", ONE)
        account.remove(ONE)
    box.faults = [{"kind": "status", "code": 403, "report": "clicks"}]
    outcome = warehouse.load(box, reports=["clicks"], **KEEPING, retain_mode=mode)
    assert (outcome.exit_code, outcome.erased) == (Exit.FAILED, 400)  # the 401 in staging go with its truncation
    assert warehouse.rows("SELECT campaign_id FROM passona.clicks") == [(TWO,)]
    assert warehouse.rows("FROM passona_staging.clicks") == []
    assert warehouse.count("_given_up") == 1
    assert warehouse.load(box, reports=["clicks"], **KEEPING, retain_mode=mode).erased == 0


def test_without_an_expiry_a_campaign_ages_from_its_last_change(warehouse: Warehouse) -> None:
    # Loads judged each report by its own last change, retention by that of all of them.
    now = datetime.now(UTC)
    finished = Campaign(TWO, finished_sending_at=now - timedelta(days=91))
    unknown = Campaign("no word of it")
    database = open_database(warehouse.address, 0, print)
    try:
        database.prepare()
        for days, found in ((80, {TWO}), (91, {ONE, TWO})):
            database.connection.execute("DELETE FROM passona.report_ledger")
            for report, age in (("clicks", 200), ("sent", days)):
                database.connection.execute(
                    "INSERT INTO passona.report_ledger (campaign_id, report, changed_at, _dlt_load_id) VALUES (?, ?, ?, '')",
                    [ONE, report, now - timedelta(days=age)],
                )
            assert expired_campaigns(database.connection, [Campaign(ONE), finished, unknown], 90, now) == found
    finally:
        database.close()


def test_what_loads_do_not_ask_for_because_of_its_age_is_not_overdue(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(TWO), {})
    warehouse.load(box)
    fill(account)
    box.faults = [{"kind": "status", "code": 403, "report": "clicks"}]
    warehouse.load(box, reports=["clicks"])
    assert seen(warehouse).reports["clicks"].stale == 1
    assert warehouse.load(box, **KEEPING).exit_code == Exit.FAILED
    found = seen(warehouse).reports
    assert {name: (report.never_loaded, report.stale) for name, report in found.items()} == dict.fromkeys(found, (0, 1))
    assert status(warehouse.address, timedelta(days=1), 0, lambda _: None).reports["sent"].never_loaded == 1
    # A killed package leaves entries that nobody believes; these were given up, and nobody will ask again.
    write(warehouse, "UPDATE passona.report_ledger SET _dlt_load_id = 'gone' WHERE campaign_id = ?", ONE)
    assert {trouble.campaign_id for trouble in seen(warehouse).troubles} == {TWO}


@pytest.mark.core
def test_a_csv_of_an_expired_campaign_is_refused(warehouse: Warehouse, tmp_path: Path) -> None:
    file, settings, now = tmp_path / "recipient.csv", Settings("none", **KEEPING), datetime.now(UTC)
    file.write_bytes(HEADER + row(1))
    refused = pytest.raises(ConfigurationError, match=r"more than 90 days ago .* nothing was loaded")
    with refused:
        import_csv(warehouse, file, settings=settings, made_at=now - timedelta(days=91))
    expired = "INSERT INTO passona.campaigns (campaign_id, expiry_date, _dlt_load_id) VALUES (?, ?, '')"
    write(warehouse, expired, ONE, now - timedelta(days=91))
    with refused:
        import_csv(warehouse, file, settings=settings)
    assert warehouse.count("recipient") == 0
    outcome, _ = import_csv(warehouse, file, campaign=TWO, settings=settings)
    assert (outcome.exit_code, warehouse.count("recipient")) == (Exit.OK, 1)


@pytest.mark.duckdb("looks for bytes in the file")
def test_an_import_gives_up_what_is_old_as_a_load_does(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    # Where all reports come by mail there is no load that would.
    fill(account)
    warehouse.load(box)
    file = tmp_path / "recipient.csv"
    file.write_bytes(HEADER + row(1))
    import_entry = passona("import-csv", str(file), "--campaign", TWO, SOURCES__PASSONA__RETAIN_DAYS="90")
    assert (import_entry.returncode, "retention: personal data of" in import_entry.stderr) == (0, True)
    assert given_up(warehouse)
    assert traces(tmp_path, People(frozenset({PHONE}), frozenset())) == {}
