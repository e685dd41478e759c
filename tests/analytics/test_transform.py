"""From the API to the marts: a sandbox over HTTP, a load, dbt in this process, every figure compared.

A build takes some seconds, so the tests of this file share a few of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from passona.analytics.transform import Transformed
from passona_sandbox import Account, Sandbox
from support.answers import figures
from support.engines import change, copy, reading
from support.marts import MARTS, build_marts, mart_rows
from support.warehouses import GUIDE, Warehouse, environment_of

pytestmark = pytest.mark.both

HOUR, COMMA, STATUS, QUIET, GROUPS, MORE, GOING = (
    f"{n}{n}{n}{n}{n}{n}{n}{n}-1111-4111-8111-111111111111" for n in "1234567"
)
AGENT = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
Run = Callable[..., subprocess.CompletedProcess[str]]


def click(phone: str, at: str, agent: str | None = AGENT) -> dict[str, Any]:
    return {
        "Phone_Number": phone, "Link_Name": "L", "Link_Destination": "https://example.org/", "Clicked_At": at,
        "User_Agent": agent, "Device_Type": None, "OS_Version": None, "Browser_Version": None,
    }  # fmt: skip


def delivery(phone: str, status: str = "Success", text: str | None = "Hello") -> dict[str, Any]:
    return {
        "SMS_ID": f"m{phone}", "Sender": "S", "Recipient": phone, "Message_Copy": text, "Status": status,
        "Expiry_Date": "2024-10-29T00:00:00+0000",
    }  # fmt: skip


def alt_delivery(phone: str, sent: str, status: str = "Success") -> dict[str, Any]:
    return {
        "MessageId": f"m{phone}", "Mobile": phone, "FieldNames": "", "FieldValues": "", "MessageSent": sent,
        "MessageUpdate": sent, "Status": status,
    }  # fmt: skip


def recipient(phone: str, group: str, names: str = "", values: str = "") -> dict[str, Any]:
    return {
        "Phone_Number": phone, "Group_Name": group, "Group_Description": None, "Field_Names": names,
        "Field_Values": values,
    }  # fmt: skip


def messages(*phones: str, sent: str = "2024-06-01 10:00:00", status: str = "Success") -> dict[str, Any]:
    return {
        "delivery": [delivery(phone, status) for phone in phones],
        "alt_delivery": [alt_delivery(phone, sent, status) for phone in phones],
    }


# The campaign that is still sending is dated by the hour, which may end between two accounts.
NOW = time.time()


def demo() -> Account:
    """The demo's campaigns, and one for each thing that is hard to get from the API to a mart."""
    account = Account(rows=10_000, now=NOW)
    account.put(
        {"uuid": HOUR},
        messages("447000000001", sent="2024-10-27 00:30:00")
        | {
            "clicks": [
                click("447000000001", f"2024-10-27 {time}") for time in ("00:59:59", "01:30:00", "01:30:00", "02:00:00")
            ]
        },
    )
    account.put({"uuid": COMMA}, {"recipient": [
        recipient("447000000001", "A", "Name,Town", 'Ann,"Leith, Edinburgh"'),
        recipient("447000000002", "A", "Name,Town", "Bob,Leith, Edinburgh"),
        recipient("447000000003", "A", "Town", "Leith, Edinburgh"),
    ]})  # fmt: skip
    account.put({"uuid": STATUS}, messages("447000000001", status="Teleported") | {"unsent": []})
    account.put({"uuid": QUIET}, messages("447000000001", "447000000002"))
    account.put({"uuid": GROUPS}, messages("447000000001") | {
        "recipient": [recipient("447000000001", "A", "Town", "Leith"), recipient("447000000001", "B", "Town", "Leith")],
        "clicks": [click("447000000001", "2024-06-01 10:00:20")],
    })  # fmt: skip
    account.put({"uuid": GOING, "expiry_date": "2099-01-01 00:00:00"}, messages("447000000001", "447000000002"))
    return account


@dataclass
class Demo:
    """The demo's account, what is built from it, and what the build said."""

    account: Account
    warehouse: Warehouse
    outcome: Transformed

    def figures(self, uuid: str) -> dict[str, Any]:
        return row_of(self.warehouse, "campaigns", uuid)


def row_of(warehouse: Warehouse, mart: str, uuid: str) -> dict[str, Any]:
    (row,) = rows_of(warehouse, mart, uuid)
    return row


def rows_of(warehouse: Warehouse, mart: str, uuid: str) -> list[dict[str, Any]]:
    with reading(warehouse.path, f"analytics.{mart}") as connection:
        found = connection.execute(f"SELECT * FROM analytics.{mart} WHERE campaign_id = ? ORDER BY ALL", [uuid])
        return [
            dict(zip([column[0] for column in found.description or ()], row, strict=True)) for row in found.fetchall()
        ]


@pytest.fixture(scope="module")
def of_demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    account, warehouse = demo(), Warehouse(tmp_path_factory.mktemp("demo") / "warehouse.duckdb")
    with Sandbox(account) as box:
        assert warehouse.load(box).exit_code == 0
    return Demo(account, warehouse, build_marts(warehouse))


def test_everything_is_built_and_tested_and_nothing_is_left_behind(of_demo: Demo) -> None:
    outcome = of_demo.outcome
    assert (outcome.failures, outcome.skipped, outcome.exit_code) == ([], 0, 0)
    assert outcome.built > 30
    assert outcome.passed > 100
    assert {file.name for file in of_demo.warehouse.path.parent.iterdir()} <= {"warehouse.duckdb"}
    assert of_demo.warehouse.one("SELECT verb, outcome FROM passona.runs ORDER BY started_at DESC LIMIT 1") == (
        "transform",
        "ok",
    )


@pytest.mark.core
def test_every_figure_of_every_made_up_campaign_is_the_truth(of_demo: Demo) -> None:
    made_up = [row["uuid"] for row in of_demo.account.campaigns() if row["name"] not in ("Given", "LinkTest")]
    assert len(made_up) == 8
    for uuid in made_up:
        truth, reported = figures(of_demo.account, uuid), of_demo.figures(uuid)
        assert {name: reported[name] for name in truth} == truth
        robots = reported["preview_clicks"] + reported["bot_clicks"] + reported["unknown_clicks"]
        assert robots == truth["clicks"] - truth["human_clicks"]


def test_every_click_is_of_a_person_or_a_robot_as_it_was(of_demo: Demo) -> None:
    account, uuid = of_demo.account, of_demo.account.campaigns()[0]["uuid"]
    truths = [account.row_truth(uuid, "clicks", index) for index in range(account.count(uuid, "clicks"))]
    phones = [row["Phone_Number"] for row in account.rows(uuid, "clicks")]
    reported = [(row["phone"], row["click_class"] != "human") for row in rows_of(of_demo.warehouse, "clicks", uuid)]
    assert sorted(reported) == sorted((phone, truth["robot"]) for phone, truth in zip(phones, truths, strict=True))


def test_phones_in_two_groups_are_those_of_the_truth(of_demo: Demo) -> None:
    account, uuid = of_demo.account, of_demo.account.campaigns()[0]["uuid"]
    served = {(row["Phone_Number"], row["Group_Name"]) for row in account.rows(uuid, "recipient")}
    bridge = "SELECT phone, group_name FROM analytics_staging.int_recipient_groups WHERE campaign_id = ?"
    assert sorted(of_demo.warehouse.rows(bridge, uuid)) == sorted(served)
    assert len(served) > len({phone for phone, _ in served})


def test_the_guides_own_campaign_with_a_click_before_its_message(of_demo: Demo) -> None:
    reported = of_demo.figures(GUIDE)
    assert (
        reported["sent"],
        reported["delivered"],
        reported["segments"],
        reported["clicks"],
        reported["clicks_without_message"],
    ) == (
        1,
        1,
        1,
        1,
        1,
    )
    assert reported["delivery_seconds_median"] == 2
    assert [row["hours_since_sending"] for row in rows_of(of_demo.warehouse, "campaign_hours", GUIDE)] == [-415, 0]


def test_a_click_in_the_double_hour_counts_in_its_first_pass_and_is_marked(of_demo: Demo) -> None:
    reported = rows_of(of_demo.warehouse, "campaign_hours", HOUR)
    assert [(row["hour_at"], row["local_hour"].hour, row["hours_since_sending"], row["human_clicks"], row["clicks_with_ambiguous_time"]) for row in reported] == [
        (datetime(2024, 10, 26, 23, tzinfo=UTC), 0, 0, 1, 0),
        (datetime(2024, 10, 27, 0, tzinfo=UTC), 1, 1, 2, 2),
        (datetime(2024, 10, 27, 2, tzinfo=UTC), 2, 3, 1, 0),
    ]  # fmt: skip


def test_a_comma_in_a_value_stays_in_it_or_splits_nothing(of_demo: Demo) -> None:
    reported = rows_of(of_demo.warehouse, "recipient_fields", COMMA)
    assert [(row["phone"][-1], row["field_name"], row["field_value"]) for row in reported] == [
        ("1", "Name", "Ann"), ("1", "Town", "Leith, Edinburgh"),
    ]  # fmt: skip
    assert of_demo.figures(COMMA)["targeted"] == 3


def test_a_status_never_seen_before_is_counted_apart_and_told(of_demo: Demo) -> None:
    reported = of_demo.figures(STATUS)
    assert (
        reported["sent"],
        reported["unmapped"],
        reported["delivered_per_final"],
        reported["delivered_per_sent"],
    ) == (1, 1, None, 0)
    assert of_demo.outcome.warnings == ["statuses_are_mapped: 1 row"]


def test_a_campaign_without_clicks_has_zeros_and_no_times(of_demo: Demo) -> None:
    reported = of_demo.figures(QUIET)
    assert (reported["clicks"], reported["human_clickers"], reported["human_clickers_per_delivered"]) == (
        0,
        0,
        Decimal(0),
    )
    assert (reported["seconds_to_human_click_median"], reported["clicks_within_10s_per_timed_click"]) == (
        None,
        None,
    )


def test_a_phone_in_two_groups_is_targeted_once_and_clicks_once(of_demo: Demo) -> None:
    reported = of_demo.figures(GROUPS)
    assert (
        reported["targeted"],
        reported["recipients_in_groups"],
        reported["sent"],
        reported["clicks"],
        reported["residual"],
    ) == (
        1,
        2,
        1,
        1,
        0,
    )
    assert len(rows_of(of_demo.warehouse, "recipient_fields", GROUPS)) == 1


def test_a_campaign_says_how_final_it_is(of_demo: Demo) -> None:
    assert (of_demo.figures(QUIET)["is_final"], of_demo.figures(QUIET)["clicks_state"]) == (True, "settled")
    assert (of_demo.figures(GOING)["is_final"], of_demo.figures(GOING)["clicks_state"]) == (False, "open")


def test_everything_in_the_marts_is_described(of_demo: Demo) -> None:
    bare = of_demo.warehouse.rows(
        "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE schema_name LIKE 'analytics%' AND comment IS NULL "
        "UNION ALL SELECT schema_name, table_name, NULL FROM duckdb_tables() WHERE schema_name LIKE 'analytics%' AND comment IS NULL "
        "UNION ALL SELECT schema_name, view_name, NULL FROM duckdb_views() WHERE schema_name LIKE 'analytics%' AND comment IS NULL"
    )
    assert bare == []


def test_a_later_build_does_what_changed_and_ends_as_a_full_one(of_demo: Demo, warehouse: Warehouse) -> None:
    account = demo()
    copy(of_demo.warehouse.path, warehouse.path)
    account.put(
        {"uuid": MORE, "name": "More"},
        messages("447000000001") | {"clicks": [click("447000000001", "2024-06-01 11:00:00")]},
    )
    account.put({"uuid": GOING, "expiry_date": "2099-01-01 00:00:00"}, messages("447000000002", status="Expired"))
    account.put({"uuid": QUIET, "name": "Renamed"})
    with Sandbox(account) as box:
        warehouse.load(box)
        warehouse.load(box, QUIET, refresh=True, accept_shrink=True)
    assert build_marts(warehouse).failures == []
    assert warehouse.rows("SELECT campaign_id FROM analytics_staging.int_changed_campaigns ORDER BY ALL") == [
        (QUIET,),
        (MORE,),
        (GOING,),
    ]
    later = mart_rows(warehouse)
    assert build_marts(warehouse, full_refresh=True).failures == []
    assert later == mart_rows(warehouse)
    quiet, going = row_of(warehouse, "campaigns", QUIET), row_of(warehouse, "campaigns", GOING)
    assert (quiet["campaign_name"], quiet["sent"]) == ("Renamed", 0)
    assert (going["sent"], going["failed"]) == (1, 1)


def test_a_test_that_fails_ends_with_4_and_goes_on_failing(of_demo: Demo, warehouse: Warehouse) -> None:
    copy(of_demo.warehouse.path, warehouse.path)
    change(warehouse.path, "INSERT INTO passona.delivery SELECT * FROM passona.delivery WHERE campaign_id = ?", QUIET)
    for _ in range(2):
        outcome = build_marts(warehouse)
        assert outcome.failures == [
            "ledger_counts_are_table_counts: 1 row",
            "unique_stg_passona__delivery_row_id: 2 rows",
        ]
        assert outcome.exit_code == 4
        assert outcome.skipped > 0


@pytest.mark.duckdb("about a file")
def test_an_empty_account_gives_empty_marts(tmp_path: Path) -> None:
    with Sandbox(Account.empty()) as box:
        ended = subprocess.run(
            [sys.executable, "-m", "passona", "load", "--transform", "--publish", "readers.duckdb", "--json"],
            cwd=tmp_path, env=environment_of(box), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")
    document = json.loads(ended.stdout)
    assert (document["outcome"], document["transform"]["outcome"], document["transform"]["failures"]) == (
        "ok",
        "ok",
        [],
    )
    for file in ("warehouse.duckdb", "readers.duckdb"):
        found = {name: len(rows) for name, rows in mart_rows(Warehouse(tmp_path / file)).items()}
        assert found == dict.fromkeys(MARTS, 0)
    outcomes = Warehouse(tmp_path / "readers.duckdb").rows("SELECT verb, outcome FROM passona.runs ORDER BY started_at")
    assert outcomes == [("load", "ok"), ("transform", "ok")]


@pytest.mark.duckdb("about a file")
def test_without_a_warehouse_the_error_says_to_load_first(passona: Run, tmp_path: Path) -> None:
    ended = passona("transform")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "passona load" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.duckdb("about a file")
def test_a_held_warehouse_ends_with_6(passona: Run, warehouse: Warehouse) -> None:
    with duckdb.connect(str(warehouse.path)):
        ended = passona("transform", "--wait", "0")
    assert ended.returncode == 6
    assert "is held by" in ended.stderr


def test_a_wrong_zone_is_refused(passona: Run) -> None:
    ended = passona("transform", SOURCES__PASSONA__TIMEZONE="Mars/Olympus")
    assert ended.returncode == 2
    assert "timezone" in ended.stderr


@pytest.mark.parametrize("arguments", [["transform"], ["load", "--transform"]])
def test_without_dbt_the_error_says_what_to_install(arguments: list[str], tmp_path: Path) -> None:
    script = f"import sys; sys.modules['dbt'] = None; from passona.cli.main import main; main({arguments})"
    environment = environment_of(None) | {"SOURCES__PASSONA__API_TOKEN": "sandbox"}
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == "passona: dbt is not installed: pip install 'passona-warehouse[warehouse]'\n"
