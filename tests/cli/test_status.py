"""`passona status`: freshness, troubles and the probe's exit code, from the warehouse alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import duckdb
import pytest
from click.testing import CliRunner

from passona.cli.main import main
from passona.errors import Busy, ConfigurationError
from passona.monitoring.status import ReportStatus, Status, age, format_age, status
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.engines import change, destination_of
from support.warehouses import Warehouse

pytestmark = pytest.mark.both

DAY = timedelta(days=1)
Probe = Callable[..., "tuple[int, str]"]


@pytest.fixture
def probe(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Probe:
    """The verb in this process: its exit code and what it prints."""
    monkeypatch.setenv("DESTINATION__WAREHOUSE__CREDENTIALS", str(warehouse.path))
    for name, value in destination_of(warehouse.path.parent).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> tuple[int, str]:
        ended = CliRunner().invoke(main, ["status", *arguments])
        return ended.exit_code, ended.output

    return run


def account_of(*uuids: str) -> Account:
    account = Account.empty()
    for uuid in uuids:
        account.put(open_campaign(uuid, name=f"Campaign {uuid[0]}"), {"clicks": [click(n) for n in range(4)]})
    return account


def seen(warehouse: Warehouse, max_age: timedelta = DAY) -> Status:
    return status(warehouse.address, max_age, 0, lambda _: None)


def write(warehouse: Warehouse, sql: str, *parameters: object) -> None:
    change(warehouse.path, sql, *parameters)


@pytest.mark.core
def test_after_a_load_all_is_fresh(warehouse: Warehouse, probe: Probe) -> None:
    with Sandbox(account_of(ONE)) as box:
        warehouse.load(box)
    found = seen(warehouse)
    assert (found.overdue, found.troubles) == ([], [])
    assert [(run.verb, run.outcome, run.row_count) for run in found.runs] == [("load", "ok", 4)]
    clicks = found.reports["clicks"]
    assert (clicks.open, clicks.settled, clicks.rows, clicks.stale) == (1, 0, 4, 0)
    assert clicks.oldest == warehouse.one("SELECT verified_at FROM passona.report_ledger WHERE report = 'clicks'")[0]
    code, printed = probe("--max-age", "26h")
    assert code == 0
    assert printed.splitlines()[-1] == f"all is fresh, nothing is older than 26 h: {warehouse.address}"


def test_what_was_not_verified_lately_is_overdue_and_ends_a_probe_with_4(warehouse: Warehouse, probe: Probe) -> None:
    with Sandbox(account_of(ONE, TWO)) as box:
        warehouse.load(box, reports=["clicks", "sent"])
    long_ago = datetime.now(UTC) - timedelta(hours=50)
    write(warehouse, "UPDATE passona.runs SET finished_at = ?", long_ago)
    write(warehouse, "UPDATE passona.report_ledger SET verified_at = ? WHERE report = 'clicks'", long_ago)
    write(warehouse, "UPDATE passona.report_ledger SET state = 'settled' WHERE campaign_id = ?", TWO)
    code, printed = probe("--max-age", "2d")
    assert code == 4
    assert "overdue: the last finished load ended 2 d 2 h ago; the limit is 2 d" in printed
    assert "overdue: clicks: 1 campaign not verified within 2 d; the oldest is 2 d 2 h old" in printed
    assert "overdue: delivery: 2 campaigns never loaded" in printed
    assert "overdue: sent" not in printed
    assert probe()[0] == 0, "only a probe ends with 4"
    assert probe("--max-age", "3d")[0] == 4, "never loaded is overdue whatever the age"


@pytest.mark.core
def test_what_failed_and_what_is_held_is_told_with_its_reason(warehouse: Warehouse, probe: Probe) -> None:
    account = account_of(ONE, TWO)
    with Sandbox(account) as box:
        warehouse.load(box)
        account.put(open_campaign(ONE), {"clicks": [click(1)]})
        box.faults = [{"kind": "status", "code": 404, "report": "clicks", "campaign": TWO}]
        warehouse.load(box)
    found = seen(warehouse)
    assert [(run.outcome) for run in found.runs] == ["failed", "ok"]
    assert sorted((t.campaign_id, t.report, t.state, t.verified_at is None) for t in found.troubles) == [
        (ONE, "clicks", "held", False),
        (TWO, "clicks", "failed", False),
    ]
    code, printed = probe("--json")
    assert code == 0
    document = json.loads(printed)
    assert (document["fresh"], document["reports"]["clicks"]["held"]) == (True, 1)
    assert any("expected about 4 rows as before, got 1" in trouble["error"] for trouble in document["troubles"])
    _, printed = probe()
    assert "2 reports failed or held" in printed
    assert "status 404" in printed


@pytest.mark.core
def test_a_run_that_was_killed_and_what_it_left_are_interrupted(warehouse: Warehouse) -> None:
    with Sandbox(account_of(ONE)) as box:
        warehouse.load(box)
    write(warehouse, "UPDATE passona.runs SET outcome = 'running', finished_at = NULL")
    write(warehouse, "UPDATE passona.report_ledger SET _dlt_load_id = 'gone' WHERE report = 'sent'")
    found = seen(warehouse)
    assert found.runs[0].outcome == "interrupted"
    assert [(t.report, t.state, t.error) for t in found.troubles] == [("sent", "failed", "interrupted")]
    assert found.overdue[0] == "no load has finished yet"


def test_campaigns_that_have_not_started_are_not_missed(warehouse: Warehouse) -> None:
    account = Account.empty()
    dates = {"scheduled_send_date": "2098-01-01 00:00:00", "started_sending_at": "", "finished_sending_at": ""}
    account.put(open_campaign(ONE) | dates, {})
    with Sandbox(account) as box:
        warehouse.load(box)
    found = seen(warehouse)
    assert found.overdue == []
    assert found.reports["clicks"] == ReportStatus()
    assert found.reports["recipient"].open == 1


def test_a_list_of_troubles_is_cut_short_for_people_alone(warehouse: Warehouse, probe: Probe) -> None:
    account = Account.empty()
    for number in range(7):
        account.put(open_campaign(f"{number}{ONE[1:]}"), {"alt_delivery": [message(number)]})
    with Sandbox(account, faults=[{"kind": "status", "code": 403, "report": "any", "page": 1}]) as box:
        box.faults = [
            {"kind": "status", "code": 403, "report": name} for name in ("clicks", "delivery", "sent", "unsent")
        ]
        warehouse.load(box)
    assert len(json.loads(probe("--json")[1])["troubles"]) == 28
    assert "and 8 more; --json lists all" in probe()[1]


@pytest.mark.duckdb("about a file that is away or held")
@pytest.mark.core
def test_no_warehouse_is_no_status(warehouse: Warehouse, probe: Probe) -> None:
    assert probe() == (2, f"passona: there is no warehouse at {warehouse.path}: run passona load first\n")
    duckdb.connect(str(warehouse.path)).close()
    with pytest.raises(ConfigurationError, match="holds no tables of passona"):
        seen(warehouse)


@pytest.mark.duckdb("about a file that is away or held")
def test_a_warehouse_that_is_being_written_is_busy(warehouse: Warehouse) -> None:
    hold = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, warehouse.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        with pytest.raises(Busy, match=f"held by python.* \\(process {writer.pid}\\)"):
            seen(warehouse)


@pytest.mark.parametrize("text", ["", "26", "h", "-1h", "0h", "1.5h", "9999999h", "26 h"])
def test_an_age_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="write it like 26h"):
        age(text)


def test_ages_are_read_and_told() -> None:
    assert [age(text) for text in ("90s", "90m", " 26h", "2d")] == [
        timedelta(seconds=90),
        timedelta(minutes=90),
        timedelta(hours=26),
        timedelta(days=2),
    ]
    spans = {30: "0 min", 90 * 60: "1 h 30 min", 26 * 3600: "26 h", 76 * 3600: "3 d 4 h", 96 * 3600: "4 d"}
    assert {seconds: format_age(timedelta(seconds=seconds)) for seconds in spans} == spans
