"""What is due and what is not, what is kept and what is held: loads one after another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from passona.errors import ConfigurationError
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, THREE, TWO, click, ended_campaign, london_time, message, open_campaign, unsent
from support.engines import change
from support.ledgers import ledger_states
from support.sandbox_requests import requested_reports
from support.served import assert_as_served
from support.warehouses import GUIDE, Warehouse, environment_of

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.core
def test_settled_reports_cost_no_request_and_unchanged_ones_no_rewrite(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    closed = [f"33333333-3333-4333-8333-{n:012}" for n in range(100)]
    for uuid in closed:
        account.put(ended_campaign(uuid, 40), {"sent": [{"MessageId": uuid, "Brand": None, "SentOn": None, "RecipientCount": 1,
                                                "TemplateApiId": None, "TemplateName": None, "Message": "m"}]})  # fmt: skip
    still = [f"44444444-4444-4444-8444-{n:012}" for n in range(5)]
    for uuid in still:
        account.put(open_campaign(uuid), {"clicks": [click(n) for n in range(3)]})
    assert warehouse.load(box).exit_code == 0
    before = dict(warehouse.rows("SELECT row_id, _dlt_load_id FROM passona.clicks"))
    account.put(open_campaign(still[0]), {"clicks": [click(n) for n in range(4)]})
    box.forget_requests()
    outcome = warehouse.load(box)
    assert len([record for record in box.requests if record.kind == "campaigns"]) <= 2
    assert requested_reports(box) == sorted((uuid, report) for uuid in still for report in outcome.reports)
    assert (outcome.reports["clicks"].loaded, outcome.reports["clicks"].unchanged) == (1, 4)
    assert sum(report.loaded for report in outcome.reports.values()) == 1
    after = dict(warehouse.rows("SELECT row_id, _dlt_load_id FROM passona.clicks"))
    assert len(after) == 16
    assert sum(before.get(row_id) == load_id for row_id, load_id in after.items()) == 12


@pytest.mark.core
def test_reports_settle_by_their_windows_after_the_campaign_ended(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(ended_campaign(ONE, 4), {"alt_delivery": [message()], "clicks": [click()]})
    account.put(ended_campaign(TWO, 31), {"alt_delivery": [message()], "clicks": [click()]})
    warehouse.load(box)
    found = ledger_states(warehouse)
    assert {report for (uuid, report), state in found.items() if uuid == ONE and state == "settled"} == {
        "delivery", "alt_delivery", "recipient", "sent", "unsent",
    }  # fmt: skip
    assert found[ONE, "clicks"] == "open"
    assert found[TWO, "clicks"] == "settled"


def test_a_late_time_in_the_rows_keeps_a_report_open(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(ended_campaign(ONE, 10), {"alt_delivery": [message(MessageUpdate=london_time(-1))], "sent": []})
    warehouse.load(box)
    assert (ledger_states(warehouse)[ONE, "alt_delivery"], ledger_states(warehouse)[ONE, "sent"]) == ("open", "settled")


def test_without_dates_the_last_change_decides(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE, expiry_date="", started_sending_at=""), {"recipient": []})
    box.faults = [{"kind": "status", "code": 403, "report": "campaigns"}]
    warehouse.load(box, ONE, reports=["recipient", "alt_delivery"])
    assert ledger_states(warehouse)[ONE, "recipient"] == "open"
    change(warehouse.path, "UPDATE passona.report_ledger SET changed_at = changed_at - INTERVAL '4 days'")
    warehouse.load(box, ONE, reports=["recipient"])
    assert ledger_states(warehouse)[ONE, "recipient"] == "settled"


def test_a_settled_report_is_due_again_when_the_campaign_was_prolonged(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(ended_campaign(ONE, 40), {"alt_delivery": [message()]})
    warehouse.load(box)
    account.put(ended_campaign(ONE, 0.5), {"alt_delivery": [message(), message(1)]})
    warehouse.load(box)
    assert_as_served(warehouse, account, [ONE])


NOT_STARTED = {
    "uuid": ONE, "status": 0, "scheduled_send_date": london_time(3), "expiry_date": london_time(5),
    "started_sending_at": "", "finished_sending_at": "",
}  # fmt: skip


@pytest.mark.core
def test_of_a_campaign_that_has_not_started_only_recipients_are_asked(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(NOT_STARTED, {"recipient": []})
    warehouse.load(box)
    assert requested_reports(box) == [(ONE, "recipient")]
    assert ledger_states(warehouse) == {(ONE, "recipient"): "open"}


def test_a_killed_refresh_of_a_campaign_that_has_not_started_is_repaired(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(NOT_STARTED, {"recipient": []})
    warehouse.load(box, refresh=True)
    # As a kill leaves it, between the two transactions of a package.
    change(
        warehouse.path,
        "UPDATE passona.report_ledger SET state = 'failed', verified_at = NULL, error = 'interrupted'",
    )
    warehouse.load(box)
    assert set(ledger_states(warehouse).values()) == {"open"}
    assert warehouse.one("SELECT count(verified_at) FROM passona.report_ledger") == (6,)


def test_an_unchanged_open_report_is_checked_and_not_rewritten(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1), click(2)]})
    warehouse.load(box)
    first = warehouse.one("SELECT verified_at, changed_at, digest FROM passona.report_ledger WHERE report = 'clicks'")
    account.put(open_campaign(ONE), {"clicks": [click(2), click(1)]})
    warehouse.load(box)
    second = warehouse.one("SELECT verified_at, changed_at, digest FROM passona.report_ledger WHERE report = 'clicks'")
    assert second[0] > first[0]
    assert second[1:] == first[1:]
    assert warehouse.count("clicks") == 2


def test_refresh_walks_and_rewrites_all_and_changes_nothing(warehouse: Warehouse) -> None:
    account = Account(campaigns=2, rows=600)
    with Sandbox(account) as box:
        warehouse.load(box)
        before = warehouse.content()
        outcome = warehouse.load(box, refresh=True)
    assert sum(report.unchanged for report in outcome.reports.values()) == 0
    assert warehouse.content() == before


@pytest.mark.core
def test_since_leaves_out_campaigns_that_ended_before(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(ended_campaign(ONE, 100), {"clicks": [click()]})
    account.put(ended_campaign(TWO, 10), {"clicks": [click()]})
    warehouse.load(box, since=datetime.now(UTC) - timedelta(days=50))
    assert {uuid for uuid, _ in requested_reports(box)} == {TWO}


def test_campaigns_most_in_need_come_first(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    uuids = [f"55555555-5555-4555-8555-{n:012}" for n in range(4)]
    account.put(open_campaign(uuids[0], started_sending_at=london_time(-1)), {})
    warehouse.load(box, reports=["clicks"])
    for n, uuid in enumerate(uuids[1:], 2):
        account.put(open_campaign(uuid, started_sending_at=london_time(-n)), {})
    box.forget_requests()
    warehouse.load(box, reports=["clicks"], concurrency=1)
    order = [record.campaign for record in box.requests if record.kind == "report"]
    assert order == [*uuids[1:], uuids[0]]


@pytest.mark.parametrize(
    ("report", "before", "after", "held"),
    [
        ("alt_delivery", 10, 0, True), ("alt_delivery", 10, 4, True), ("alt_delivery", 10, 5, False),
        ("alt_delivery", 0, 0, False), ("unsent", 10, 0, False), ("alt_delivery", 1, 0, True),
    ],
)  # fmt: skip
@pytest.mark.core(1)
def test_the_shrink_guard_holds_a_report_that_lost_more_than_half(
    warehouse: Warehouse, account: Account, box: Sandbox, report: str, before: int, after: int, held: bool
) -> None:
    rows = [message(n) if report == "alt_delivery" else unsent(n) for n in range(before)]
    account.put(open_campaign(ONE), {report: rows})
    warehouse.load(box, reports=[report])
    account.put(open_campaign(ONE), {report: rows[:after]})
    outcome = warehouse.load(box, reports=[report])
    assert outcome.exit_code == (5 if held else 0)
    assert warehouse.count(report) == (before if held else after)
    assert ledger_states(warehouse)[ONE, report] == ("held" if held else "open")
    if held:
        assert "--accept-shrink" in outcome.errors[0]
        assert warehouse.load(box, reports=[report], accept_shrink=True).exit_code == 0
        assert warehouse.count(report) == after


def test_unsent_of_a_campaign_that_has_ended_is_guarded_too(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(ended_campaign(ONE, 10), {"unsent": [unsent(n) for n in range(10)]})
    warehouse.load(box, reports=["unsent"])
    account.put(ended_campaign(ONE, 10), {"unsent": []})
    assert warehouse.load(box, reports=["unsent"], refresh=True).exit_code == 5
    assert warehouse.count("unsent") == 10


@pytest.mark.parametrize("code", [403, 404])
@pytest.mark.core(1)
def test_a_refused_report_is_failed_and_never_empty(
    warehouse: Warehouse, account: Account, box: Sandbox, code: int
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    warehouse.load(box)
    box.faults = [{"kind": "status", "code": code, "report": "clicks"}]
    outcome = warehouse.load(box)
    assert outcome.exit_code == 4
    assert warehouse.count("clicks") == 1
    assert ledger_states(warehouse)[ONE, "clicks"] == "failed"
    assert ledger_states(warehouse)[ONE, "alt_delivery"] == "open"


def test_a_token_refused_in_mid_run_ends_it_and_keeps_what_was_verified(warehouse: Warehouse, account: Account) -> None:
    for n in range(6):
        account.put(open_campaign(f"66666666-6666-4666-8666-{n:012}"), {"clicks": [click(n)]})
    with Sandbox(account, faults=[{"kind": "status", "code": 401, "report": "clicks", "after": 3}]) as box:
        outcome = warehouse.load(box, reports=["clicks"], concurrency=1)
        assert [record.status for record in box.requests if record.kind == "report"] == [200, 200, 200, 401]
    assert outcome.exit_code == 3
    assert warehouse.count("clicks") == 3
    assert warehouse.one("SELECT outcome FROM passona.runs") == ("token refused",)


@pytest.mark.core
def test_a_campaign_of_another_team_stops_the_run_before_anything_is_loaded(passona: Run) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE, team_uuid="77777777-7777-4777-8777-777777777777"), {"clicks": [click()]})
    with Sandbox(account) as box:
        ended_ = passona("load", box=box, SOURCES__PASSONA__TEAM_UUID="88888888-8888-4888-8888-888888888888")
        assert {record.kind for record in box.requests} == {"campaigns"}
    assert ended_.returncode == 2
    assert "77777777-7777-4777-8777-777777777777" in ended_.stderr


@pytest.mark.duckdb("into a server they walk side by side (test_postgres_at_once)")
def test_of_two_loads_one_works_and_the_other_says_who_and_ends_with_6(passona: Run, warehouse: Warehouse) -> None:
    account = Account.empty()
    account.put(open_campaign(ONE), {"clicks": [click()]})
    with Sandbox(account, faults=[{"kind": "latency", "seconds": 3, "report": "clicks"}]) as box:
        first = subprocess.Popen(
            [sys.executable, "-m", "passona", "load"], cwd=warehouse.path.parent, env=environment_of(box, warehouse.path.parent),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        while not any(record.kind == "campaigns" for record in box.requests):
            assert first.poll() is None
        second = passona("load", "--wait", "0", box=box)
        _, stderr = first.communicate(timeout=30)
    assert (first.returncode, stderr) == (0, b"")
    assert second.returncode == 6
    assert str(first.pid) in second.stderr
    assert warehouse.count("clicks") == 1


@pytest.mark.duckdb("a file has one writer")
def test_a_reader_that_holds_the_file_is_waited_for_and_named(passona: Run, warehouse: Warehouse) -> None:
    code = "import duckdb, sys; c = duckdb.connect('warehouse.duckdb', read_only=True); print('held', flush=True); sys.stdin.read()"
    with Sandbox(Account(campaigns=0)) as box:
        warehouse.load(box, GUIDE)
        reader = subprocess.Popen(
            [sys.executable, "-c", code], cwd=warehouse.path.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )  # fmt: skip
        assert reader.stdout is not None
        assert reader.stdout.readline() == b"held\n"
        held = passona("load", "--wait", "1", box=box)
        waiting = subprocess.Popen(
            [sys.executable, "-m", "passona", "load", "--wait", "30"], cwd=warehouse.path.parent,
            env=environment_of(box), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        assert waiting.stderr is not None
        assert str(reader.pid).encode() in waiting.stderr.readline()
        reader.communicate(b"")
        assert waiting.wait(30) == 0
        waiting.stderr.close()
    assert held.returncode == 6
    assert str(reader.pid) in held.stderr


def test_a_campaign_whose_dates_cannot_be_read_is_loaded(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    odd = "08/06/2020 13:50"
    account.put(
        {"uuid": ONE, "scheduled_send_date": odd, "expiry_date": odd, "started_sending_at": odd, "finished_sending_at": odd},
        {"clicks": [click()]},
    )  # fmt: skip
    assert warehouse.load(box).exit_code == 0
    assert_as_served(warehouse, account, [ONE])


def test_drift_of_the_list_of_campaigns_is_told_and_its_new_column_described(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE, mood="good"))
    warehouse.load(box)
    box.faults = [{"kind": "missing_key", "name": "sender", "report": "campaigns"}]
    assert warehouse.load(box).drift == ["campaigns: new key 'mood'", "campaigns: missing key 'sender'"]
    assert warehouse.rows(
        "SELECT comment IS NULL FROM duckdb_columns() WHERE schema_name = 'passona' AND table_name = 'campaigns' AND column_name = 'mood'"
    ) == [(False,)]


def test_issues_of_campaigns_are_those_of_the_list_as_it_is(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    issues = "SELECT column_name, raw_value FROM passona.row_issues WHERE report = 'campaigns'"
    for text in ("garbage one", "garbage two"):
        account.put(open_campaign(ONE, created_at=text))
        warehouse.load(box)
        assert warehouse.rows(issues) == [("created_at", text)]
    change(warehouse.path, "DELETE FROM passona.row_issues")  # as a kill between two tables would leave it
    warehouse.load(box)
    assert warehouse.rows(issues) == [("created_at", "garbage two")]


def test_a_number_that_becomes_the_same_text_is_loaded_anew(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    for value, stored, issues in ((83, None, 1), ("83", "83", 0), (83, None, 1)):
        account.put(open_campaign(ONE), {"clicks": [click(Browser_Version=value)]})
        warehouse.load(box, reports=["clicks"])
        assert warehouse.one("SELECT browser_version FROM passona.clicks") == (stored,)
        assert warehouse.count("row_issues") == issues


def test_with_a_team_set_a_list_that_is_refused_ends_the_run(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE, team_uuid=TWO), {"clicks": [click()]})
    box.faults = [{"kind": "status", "code": 403, "report": "campaigns"}]
    assert warehouse.load(box, ONE, team_uuid=THREE).exit_code == 4
    assert warehouse.count("clicks") == 0


def test_a_known_campaign_of_another_team_is_not_asked_for(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE, team_uuid=TWO.upper()), {"clicks": [click()]})
    assert warehouse.load(box, team_uuid=TWO).exit_code == 0
    assert warehouse.count("clicks") == 1
    account.remove(ONE)
    box.forget_requests()
    with pytest.raises(ConfigurationError, match="nothing was loaded"):
        warehouse.load(box, ONE, team_uuid=THREE)
    assert requested_reports(box) == []


def test_pending_messages_that_are_gone_at_the_end_are_not_held(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    pending = [{"MessageId": ONE, "Mobile": f"4471234{n:05}", "FieldNames": "", "FieldValues": "", "Reason": "pending"}
               for n in range(10)]  # fmt: skip
    account.put(open_campaign(ONE), {"unsent": pending})
    warehouse.load(box)
    account.put(ended_campaign(ONE, 40), {"unsent": []})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.count("unsent") == 0


def test_comments_that_a_kill_left_out_are_made_up_for(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE))
    warehouse.load(box)
    change(warehouse.path, "COMMENT ON COLUMN passona.clicks.clicked_at IS NULL")
    warehouse.load(box)
    assert warehouse.one(
        "SELECT comment FROM duckdb_columns() WHERE schema_name = 'passona' AND table_name = 'clicks' AND column_name = 'clicked_at'"
    ) != (None,)


def test_what_is_verified_is_committed_while_a_long_walk_goes_on(
    warehouse: Warehouse, account: Account, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passona.warehouse.load.PACKAGE_SECONDS", 0.3)
    monkeypatch.setattr("passona.warehouse._walks.TICK_SECONDS", 0.1)
    account.put(open_campaign(ONE), {"clicks": [click()], "alt_delivery": [message()]})
    box.faults = [{"kind": "latency", "seconds": 2, "report": "alt_delivery"}]
    assert warehouse.load(box).exit_code == 0
    first, last = warehouse.rows("SELECT list(report ORDER BY report) FROM passona.report_ledger GROUP BY _dlt_load_id "
                                 "ORDER BY _dlt_load_id")  # fmt: skip
    assert "clicks" in first[0]
    assert last[0] == ["alt_delivery"]


def test_of_a_report_that_is_refused_in_mid_walk_nothing_stays_on_disk(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(
        open_campaign(ONE), {"alt_delivery": [message(n, FieldValues=f"{'John ' * 400}{n},Doe") for n in range(6_000)]}
    )
    box.faults = [{"kind": "status", "code": 404, "report": "alt_delivery", "page": 110}]
    assert warehouse.load(box, page_size=50, reports=["alt_delivery"]).exit_code == 4
    assert {path.name for path in warehouse.path.parent.iterdir()} <= {"warehouse.duckdb"}


def test_a_narrower_load_leaves_the_spools_of_others(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(
        open_campaign(ONE), {"alt_delivery": [message(n, FieldValues=f"{'John ' * 400}{n},Doe") for n in range(6_000)]}
    )
    box.faults = [{"kind": "status", "code": 500, "report": "alt_delivery", "page": 110}]
    assert warehouse.load(box, page_size=50, reports=["alt_delivery"]).exit_code == 4
    box.faults = []
    assert warehouse.load(box, reports=["sent"]).exit_code == 0
    box.forget_requests()
    assert warehouse.load(box, page_size=50, reports=["alt_delivery"]).exit_code == 0
    assert len([record for record in box.requests if record.kind == "report"]) < 60
    assert_as_served(warehouse, account, [ONE])
