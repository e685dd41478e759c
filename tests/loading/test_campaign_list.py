"""The list of campaigns: guarded when it shrinks, uuids in any case, and uuids that nobody knows (contract, rule 3)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passona.reports.definitions import REPORTS
from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.engines import change
from support.ledgers import ledger_states
from support.sandbox_requests import posted_reports, requested_reports
from support.served import assert_as_served
from support.warehouses import Lines, Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]

TEAM, OTHER_TEAM = "77777777-7777-4777-8777-777777777777", "88888888-8888-4888-8888-888888888888"
# Letters, so that it has two spellings.
MIXED = "dc8a7564-fb1e-11e9-abb5-0242ac120008"
CLOSED = "2020-07-01 00:00:00"
TABLES = ("campaigns", "campaigns__contact_groups", "row_issues", "report_ledger", *REPORTS)


def numbered(number: int) -> str:
    return f"55555555-5555-4555-8555-{number:012}"


def fill(account: Account, count: int, **other: Any) -> list[str]:
    return [account.put(open_campaign(numbered(n), **other), {"clicks": [click(n)]}) for n in range(count)]


def listed(warehouse: Warehouse) -> list[str]:
    return [uuid for (uuid,) in warehouse.rows("SELECT campaign_id FROM passona.campaigns WHERE listed ORDER BY 1")]


# --- The guard


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        (1, 0, True), (3, 0, True), (10, 0, True), (10, 4, True), (4, 1, True), (5, 2, True),
        (3, 1, False), (2, 1, False), (4, 2, False), (10, 5, False), (10, 9, False),
    ],
)  # fmt: skip
@pytest.mark.core(1)
def test_a_list_that_lost_more_than_half_or_all_is_held_and_all_stay_listed(
    warehouse: Warehouse, account: Account, box: Sandbox, before: int, after: int, held: bool
) -> None:
    campaigns = fill(account, before)
    warehouse.load(box, reports=["clicks"])
    for uuid in campaigns[after:]:
        account.remove(uuid)
    for uuid in campaigns[:after]:
        account.put(open_campaign(uuid), {"clicks": [click(1), click(2)]})
    box.forget_requests()
    outcome = warehouse.load(box, reports=["clicks"])
    assert outcome.exit_code == (5 if held else 0)
    assert listed(warehouse) == (campaigns if held else campaigns[:after])
    # What the list still has goes on.
    assert requested_reports(box) == [(uuid, "clicks") for uuid in campaigns[:after]]
    assert_as_served(warehouse, account, campaigns[:after])
    if held:
        (error,) = outcome.errors
        assert f"the {before} that were listed, got {after} of them" in error
        assert "--accept-shrink" in error
        assert warehouse.load(box, reports=["clicks"], accept_shrink=True).exit_code == 0
        assert listed(warehouse) == campaigns[:after]
        assert warehouse.load(box, reports=["clicks"]).exit_code == 0


def test_after_a_night_with_an_empty_list_open_reports_are_asked_for_again(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    campaigns = fill(account, 5, team_uuid=TEAM)
    warehouse.load(box)
    box.switches = Switches(teams=(OTHER_TEAM,))
    before = warehouse.content()
    for _ in range(2):
        assert warehouse.load(box).exit_code == 5
    assert warehouse.content() == before
    assert set(ledger_states(warehouse).values()) == {"open"}
    box.switches = Switches()
    account.put(open_campaign(campaigns[0], team_uuid=TEAM), {"clicks": [click(7), click(8)]})
    box.forget_requests()
    assert warehouse.load(box).exit_code == 0
    assert requested_reports(box) == [(uuid, report) for uuid in campaigns for report in sorted(REPORTS)]
    assert_as_served(warehouse, account, campaigns)


def test_the_campaigns_of_another_team_are_not_loaded_in_place_of_ours(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    box.switches = Switches(teams=(TEAM,))
    campaigns = fill(account, 4, team_uuid=TEAM)
    warehouse.load(box)
    strangers = [
        account.put(open_campaign(numbered(n), team_uuid=OTHER_TEAM), {"clicks": [click(n)]}) for n in range(10, 15)
    ]
    box.switches = Switches(teams=(OTHER_TEAM,))
    box.forget_requests()
    assert warehouse.load(box).exit_code == 5
    assert (requested_reports(box), listed(warehouse)) == ([], campaigns)
    assert warehouse.load(box, accept_shrink=True).exit_code == 0
    assert listed(warehouse) == strangers
    assert_as_served(warehouse, account, [*campaigns, *strangers])


def test_loads_of_given_uuids_go_on_while_the_list_is_held(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    campaigns = fill(account, 4)
    warehouse.load(box)
    box.faults = [
        {"kind": "meta", "fields": {"total": 0, "last_page": 1, "from": None, "to": None}, "report": "campaigns"},
        *({"kind": "swallow_row", "report": "campaigns"} for _ in campaigns),
    ]
    account.put(open_campaign(campaigns[2]), {"clicks": [click(n) for n in range(5)]})
    lines = Lines()
    assert warehouse.load(box, campaigns[2], lines=lines).exit_code == 0
    assert len(lines.said) == 1
    assert "got 0 of them; all stay listed" in lines.said[0]
    assert listed(warehouse) == campaigns
    assert_as_served(warehouse, account, campaigns)


def test_a_held_list_is_one_line_without_a_table(passona: Run, account: Account, box: Sandbox) -> None:
    fill(account, 4)
    assert passona("load", box=box).returncode == 0
    box.switches = Switches(teams=(OTHER_TEAM,))
    ended = passona("load", box=box)
    assert (ended.returncode, ended.stdout) == (5, "")
    assert ended.stderr == (
        "passona: list of campaigns: expected most of the 4 that were listed, got 0 of them; all stay listed; check "
        "the team that the token is switched to, --accept-shrink takes the new list\n"
    )


# --- Upper and lower case


def test_another_spelling_of_a_uuid_is_the_same_campaign(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(MIXED), {"clicks": [click(1)], "alt_delivery": [message()]})
    account.put(open_campaign(ONE), {})
    warehouse.load(box)
    before = warehouse.table("clicks")
    for uuid in (MIXED.upper(), MIXED.title()):
        account.remove(MIXED if MIXED in {row["uuid"] for row in account.campaigns()} else MIXED.upper())
        account.put(open_campaign(uuid), {"clicks": [click(1)], "alt_delivery": [message(), message(1)]})
        assert warehouse.load(box).exit_code == 0
        assert warehouse.table("clicks") == before
        assert warehouse.count("alt_delivery") == 2
        assert listed(warehouse) == [ONE, MIXED]
        assert {uuid for uuid, _ in ledger_states(warehouse)} == {ONE, MIXED}


@pytest.mark.core
def test_a_settled_campaign_in_another_spelling_costs_no_request(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(MIXED, expiry_date=CLOSED), {"clicks": [click()]})
    warehouse.load(box)
    account.remove(MIXED)
    account.put(open_campaign(MIXED.upper(), expiry_date=CLOSED), {"clicks": [click()]})
    box.forget_requests()
    assert warehouse.load(box).exit_code == 0
    assert requested_reports(box) == []


@pytest.mark.parametrize("first", [MIXED, MIXED.upper()])
def test_both_spellings_in_one_list_are_one_campaign(
    warehouse: Warehouse, account: Account, box: Sandbox, first: str
) -> None:
    rows = {"clicks": [click(1), click(2)]}
    account.put(open_campaign(first, name=first), rows)
    account.put(open_campaign(first.swapcase(), name=first.swapcase()), rows)
    for _ in range(2):
        assert warehouse.load(box).exit_code == 0
        assert warehouse.rows("SELECT campaign_id, name FROM passona.campaigns") == [(MIXED, MIXED)]
        assert warehouse.count("clicks") == 2
        assert len(ledger_states(warehouse)) == 6


@pytest.mark.parametrize("uuid", [MIXED, MIXED.upper(), f" {MIXED.title()} "])
def test_a_uuid_is_accepted_in_any_case(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path, uuid: str
) -> None:
    account.put(open_campaign(MIXED), {"clicks": [click(1)]})
    (tmp_path / "due.txt").write_text(f"{uuid}\n{MIXED}\n")
    for arguments in ((uuid,), ("--campaigns-file", "due.txt")):
        document = json.loads(passona("load", *arguments, "--json", box=box).stdout)
        assert (document["outcome"], document["campaigns"]) == ("ok", 1)
    lines = [",".join(click()), ",".join(str(value or "") for value in click(1).values()), ""]
    (tmp_path / "clicks.csv").write_text("\n".join(lines))
    made = passona("import-csv", "clicks.csv", "--campaign", uuid, "--made-at", "2098-01-01", box=box)
    assert made.returncode == 0, made.stderr
    assert passona("generate", uuid, "--report", "sent", box=box).returncode == 0
    assert posted_reports(box) == [(MIXED, "sent")]
    for table in ("campaigns", "clicks", "report_ledger"):
        assert warehouse.rows(f"SELECT DISTINCT campaign_id FROM passona.{table}") == [(MIXED,)]
    assert warehouse.rows("SELECT campaign_id FROM passona.runs WHERE verb = 'generate'") == [(MIXED,)]


def test_a_uuid_given_in_lower_case_is_asked_for_as_the_list_writes_it(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(MIXED.upper()), {"clicks": [click()]})
    assert warehouse.load(box, MIXED).exit_code == 0
    assert {uuid for uuid, _ in requested_reports(box)} == {MIXED.upper()}
    assert warehouse.rows("SELECT campaign_id, listed FROM passona.campaigns") == [(MIXED, True)]
    assert warehouse.rows("SELECT campaign_id FROM passona.clicks") == [(MIXED,)]


def test_a_warehouse_with_ids_in_upper_case_is_brought_forward(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    rows = {"clicks": [click(1, Clicked_At="nonsense")], "alt_delivery": [message()]}
    for uuid in (MIXED, ONE, "abcdefab-1111-4111-8111-111111111111"):
        account.put(open_campaign(uuid, expiry_date=CLOSED, included_contact_groups=["g"], created_at="nonsense"), rows)
    warehouse.load(box)
    for table in (*TABLES, "alt_delivery__fields"):
        change(
            warehouse.path,
            f"UPDATE passona.{table} SET campaign_id = upper(campaign_id) WHERE campaign_id <> '{MIXED}'",
        )
    # Of one both spellings are there, as the list turned from one to the other.
    for table in ("campaigns", "report_ledger", "clicks"):
        change(warehouse.path, f"CREATE TABLE copied AS SELECT * FROM passona.{table} WHERE campaign_id = '{MIXED}'")
        change(warehouse.path, f"UPDATE copied SET campaign_id = '{MIXED.upper()}'")
        change(warehouse.path, f"INSERT INTO passona.{table} SELECT * FROM copied")
        change(warehouse.path, "DROP TABLE copied")
    change(warehouse.path, "DELETE FROM passona._upgrades")
    change(warehouse.path, "INSERT INTO passona._upgrades VALUES (0, 'made so', '0.1.0', now())")
    box.forget_requests()
    assert warehouse.load(box).exit_code == 0
    assert {uuid for uuid, _ in requested_reports(box)} <= {MIXED}
    assert_as_served(warehouse, account, [row["uuid"] for row in account.campaigns()])
    assert len(ledger_states(warehouse)) == 18
    assert warehouse.count("campaigns") == warehouse.count("campaigns__contact_groups") == 3
    for table in (*TABLES, "alt_delivery__fields"):
        assert warehouse.rows(f"SELECT 1 FROM passona.{table} WHERE campaign_id <> lower(campaign_id)") == []


# --- A uuid that nobody knows


def traces(warehouse: Warehouse, uuid: str) -> list[str]:
    """The tables in which this campaign is."""
    return [name for name in TABLES if warehouse.rows(f"SELECT 1 FROM passona.{name} WHERE campaign_id = ?", uuid)]


@pytest.mark.parametrize(
    ("switches", "faults", "seen"),
    [
        (Switches(), [], "not in the list, status 404"),
        (Switches(), [{"kind": "status", "code": 403, "campaign": TWO}], "not in the list, status 403"),
        (Switches(unknown_campaign="empty"), [], "not in the list, no rows"),
        (Switches(), [{"kind": "status", "code": 500, "campaign": TWO, "report": "sent"}], "not in the list, status 404"),
        (Switches(), [{"kind": "status", "code": 403, "report": "campaigns"}], "status 404"),
    ],
    ids=["404", "403", "empty", "one 500", "no list"],
)  # fmt: skip
@pytest.mark.core(1)
def test_a_uuid_that_nobody_knows_is_one_error_line_and_leaves_no_trace(
    warehouse: Warehouse, account: Account, box: Sandbox, switches: Switches, faults: list[dict[str, Any]], seen: str
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    box.switches, box.faults = switches, faults
    outcome = warehouse.load(box, TWO, ONE)
    assert outcome.exit_code == 4
    (error,) = outcome.errors
    assert error.startswith(f"campaign {TWO}: the account has no such campaign ({seen}); check the uuid")
    assert traces(warehouse, TWO) == []
    assert_as_served(warehouse, account, [ONE])


def test_several_wrong_uuids_are_a_line_each(passona: Run, warehouse: Warehouse, box: Sandbox) -> None:
    ended = passona("load", ONE, TWO, "--report", "clicks", box=box)
    assert (ended.returncode, ended.stderr.count("\n")) == (4, 2)
    for uuid in (ONE, TWO):
        assert f"passona: campaign {uuid}: the account has no such campaign" in ended.stderr
        assert traces(warehouse, uuid) == []
    assert "all is fresh" in passona("status").stdout


def test_what_an_earlier_version_kept_of_a_wrong_uuid_goes(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    warehouse.load(box)
    for report in REPORTS:
        change(
            warehouse.path,
            "INSERT INTO passona.report_ledger (campaign_id, report, state, error, attempts, checked_at, _dlt_load_id) "
            f"SELECT '{TWO}', '{report}', 'failed', 'status 404', 1, now(), max(_dlt_load_id) FROM passona.report_ledger",
        )
    assert warehouse.load(box, TWO).exit_code == 4
    assert traces(warehouse, TWO) == []
    assert len(ledger_states(warehouse)) == 6


def test_a_campaign_that_was_never_listed_is_loaded_if_it_has_reports(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()], "sent": []})
    box.faults = [
        {"kind": "meta", "fields": {"total": 0, "last_page": 1, "from": None, "to": None}, "report": "campaigns"},
        {"kind": "swallow_row", "report": "campaigns"},
        {"kind": "status", "code": 404, "report": "unsent"},
    ]
    outcome = warehouse.load(box, ONE)
    assert outcome.exit_code == 4
    assert outcome.errors[0].startswith(f"campaign {ONE}, unsent: ")
    assert {report for (_, report), state in ledger_states(warehouse).items() if state == "failed"} == {"unsent"}
    assert len(ledger_states(warehouse)) == 6
    assert warehouse.rows("SELECT campaign_id, listed FROM passona.campaigns") == [(ONE, False)]
    assert warehouse.count("clicks") == 1


def test_a_server_that_fails_does_not_make_a_campaign_unknown(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    box.faults = [{"kind": "status", "code": 500, "campaign": ONE}]
    outcome = warehouse.load(box, ONE, reports=["clicks", "sent"])
    assert (outcome.exit_code, len(outcome.errors)) == (4, 2)
    assert set(ledger_states(warehouse).values()) == {"failed"}
    box.faults = []
    assert warehouse.load(box, ONE, reports=["clicks", "sent"]).exit_code == 4
    assert ledger_states(warehouse) == {}


def test_a_known_campaign_that_was_deleted_keeps_its_rows_and_says_why(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    for uuid in (ONE, TWO):
        account.put(open_campaign(uuid), {"clicks": [click()]})
    warehouse.load(box)
    account.remove(ONE)
    outcome = warehouse.load(box, ONE)
    assert (outcome.exit_code, len(outcome.errors)) == (4, 6)
    assert ledger_states(warehouse)[ONE, "clicks"] == "failed"
    assert warehouse.count("clicks") == 2
