"""Marts of a warehouse with several accounts: each row names its campaign's account, each hour is of its clocks."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from passona.analytics.html_report import write_report
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, THREE, TWO, click, ended_campaign
from support.engines import change, copy
from support.marts import MARTS, build_marts, mart_rows
from support.warehouses import Warehouse

pytestmark = pytest.mark.both

ZONES = {"default": "Europe/London", "brand_a": "Asia/Kolkata", "brand_b": "Europe/London"}


def reports(sent: str) -> dict[str, list[dict[str, object]]]:
    """A row of every report, of a phone that is the same in every campaign."""
    phone = "447123400007"
    return {
        "clicks": [click(7, Clicked_At="2024-06-01 11:50:00")],
        "delivery": [{"SMS_ID": "m7", "Sender": "S", "Recipient": phone, "Message_Copy": "Hello", "Status": "Success",
                      "Expiry_Date": None}],
        "alt_delivery": [{"MessageId": "m7", "Mobile": phone, "FieldNames": "", "FieldValues": "",
                          "MessageSent": sent, "MessageUpdate": sent, "Status": "Success"}],
        "recipient": [{"Phone_Number": phone, "Group_Name": "A", "Group_Description": None, "Field_Names": "Town",
                       "Field_Values": "Leith"}],
        "unsent": [{"MessageId": THREE, "Mobile": "447123400008", "FieldNames": "", "FieldValues": "",
                    "Reason": "expired"}],
    }  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """Campaigns of two accounts, ONE of brand_a, and one that no list has shown, with their marts."""
    account, warehouse = Account.empty(), Warehouse(tmp_path_factory.mktemp("accounts") / "warehouse.duckdb")
    for uuid in (ONE, TWO, THREE):
        account.put(ended_campaign(uuid, 100), reports("2024-06-01 11:05:00"))
    with Sandbox(account) as box:
        assert warehouse.load(box).exit_code == 0
    move(warehouse, ONE, "brand_a")
    change(warehouse.path, "DELETE FROM passona.campaigns WHERE campaign_id = ?", THREE)
    assert build_marts(warehouse, ZONES).failures == []
    return warehouse


@pytest.fixture
def own(built: Warehouse, warehouse: Warehouse) -> Warehouse:
    """A copy of it, for one test."""
    copy(built.path, warehouse.path)
    return warehouse


def move(warehouse: Warehouse, uuid: str, account: str) -> None:
    change(warehouse.path, "UPDATE passona.campaigns SET account = ? WHERE campaign_id = ?", account, uuid)


def accounts(warehouse: Warehouse, mart: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(f"SELECT DISTINCT campaign_id, account FROM analytics.{mart} ORDER BY ALL")


def hours(warehouse: Warehouse, uuid: str) -> list[tuple[Any, ...]]:
    return warehouse.rows(
        "SELECT hour_at, local_hour::VARCHAR, hours_since_sending, messages_sent, clicks FROM analytics.campaign_hours "
        "WHERE campaign_id = ? ORDER BY ALL", uuid,
    )  # fmt: skip


def changed(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return warehouse.rows("SELECT campaign_id, account FROM analytics_staging.int_changed_campaigns ORDER BY ALL")


@pytest.mark.core
@pytest.mark.parametrize("mart", MARTS)
def test_every_mart_names_the_account_and_default_where_no_list_showed_the_campaign(
    built: Warehouse, mart: str
) -> None:
    assert accounts(built, mart) == [(ONE, "brand_a"), (TWO, "default"), (THREE, "default")]


# 10:05 and 10:50 UTC: one hour in London, two in Kolkata, whose clocks are five and a half hours ahead of UTC.
LONDON = [(datetime(2024, 6, 1, 10, tzinfo=UTC), "2024-06-01 11:00:00", 0, 1, 1)]
KOLKATA = [
    (datetime(2024, 6, 1, 9, 30, tzinfo=UTC), "2024-06-01 15:00:00", 0, 1, 0),
    (datetime(2024, 6, 1, 10, 30, tzinfo=UTC), "2024-06-01 16:00:00", 1, 0, 1),
]


@pytest.mark.core
def test_hours_are_those_of_the_accounts_clocks(built: Warehouse) -> None:
    assert [hours(built, uuid) for uuid in (ONE, TWO, THREE)] == [KOLKATA, LONDON, LONDON]


@pytest.mark.core
@pytest.mark.parametrize(("account", "headings"), [(None, ["brand_a", "default"]), ("brand_a", [])])
def test_the_report_has_a_section_for_each_account(
    built: Warehouse, account: str | None, headings: list[str], tmp_path: Path
) -> None:
    write_report(built.address, tmp_path / "out.html", None, 0, print, account=account)
    assert re.findall(r'<h2 id="account-\d">(\w+)</h2>', (tmp_path / "out.html").read_text("utf-8")) == headings


@pytest.mark.core
def test_a_campaign_that_moves_is_built_again_and_no_other(own: Warehouse) -> None:
    assert build_marts(own, ZONES).failures == []
    assert changed(own) == []
    move(own, ONE, "brand_b")
    assert build_marts(own, ZONES).failures == []
    assert changed(own) == [(ONE, "brand_b")]
    assert {mart: accounts(own, mart)[0] for mart in MARTS} == dict.fromkeys(MARTS, (ONE, "brand_b"))
    assert hours(own, ONE) == LONDON
    later = mart_rows(own)
    assert build_marts(own, ZONES, full_refresh=True).failures == []
    assert later == mart_rows(own)


def test_a_zone_that_changes_builds_everything_again(own: Warehouse) -> None:
    assert build_marts(own, {"default": "Asia/Kolkata"}).failures == []
    assert changed(own) == [(ONE, "brand_a"), (TWO, "default"), (THREE, "default")]
    assert [hours(own, uuid) for uuid in (ONE, TWO, THREE)] == [KOLKATA, KOLKATA, KOLKATA]
    assert build_marts(own, {"default": "Asia/Kolkata", "brand_a": "Asia/Kolkata"}).failures == []
    assert changed(own) == [], "an account in the zone of the others changes nothing"
    assert build_marts(own, {"default": "Asia/Kolkata", "brand_a": "Europe/London"}).failures == []
    assert [hours(own, uuid) for uuid in (ONE, TWO, THREE)] == [LONDON, KOLKATA, KOLKATA]


def test_without_a_default_account_the_first_zone_counts(own: Warehouse) -> None:
    assert build_marts(own, {"brand_b": "Asia/Kolkata", "brand_a": "Europe/London"}).failures == []
    assert [hours(own, uuid) for uuid in (ONE, TWO, THREE)] == [LONDON, KOLKATA, KOLKATA]


@pytest.mark.parametrize("full_refresh", [False, True])
def test_rows_that_cannot_be_built_again_move_too(own: Warehouse, full_refresh: bool) -> None:
    expired = "UPDATE passona.report_ledger SET expired_at = now() WHERE campaign_id = ?"
    change(own.path, expired, ONE)
    before = {mart: own.one(f"SELECT count(*) FROM analytics.{mart} WHERE campaign_id = ?", ONE) for mart in MARTS}
    move(own, ONE, "brand_b")
    assert build_marts(own, ZONES, full_refresh=full_refresh).failures == []
    assert changed(own) == ([(TWO, "default"), (THREE, "default")] if full_refresh else [])
    assert {mart: accounts(own, mart)[0] for mart in MARTS} == dict.fromkeys(MARTS, (ONE, "brand_b"))
    after = {mart: own.one(f"SELECT count(*) FROM analytics.{mart} WHERE campaign_id = ?", ONE) for mart in MARTS}
    assert after == before
    assert hours(own, ONE) == KOLKATA, "its hours stay those of the clocks of then"


def test_a_half_written_campaign_moves_and_is_built_once_it_is_whole(own: Warehouse) -> None:
    unverified = "UPDATE passona.report_ledger SET verified_at = ? WHERE campaign_id = ? AND report = 'clicks'"
    change(own.path, unverified, None, ONE)
    move(own, ONE, "brand_b")
    assert build_marts(own, ZONES).failures == []
    assert changed(own) == []
    assert {mart: accounts(own, mart)[0] for mart in MARTS} == dict.fromkeys(MARTS, (ONE, "brand_b"))
    change(own.path, unverified, datetime.now(UTC), ONE)
    assert build_marts(own, ZONES).failures == []
    assert changed(own) == [(ONE, "brand_b")]
    assert hours(own, ONE) == LONDON


def test_marts_of_a_version_without_accounts_get_the_column(own: Warehouse) -> None:
    for mart in MARTS:
        change(own.path, f"ALTER TABLE analytics.{mart} DROP COLUMN account")
    change(own.path, "UPDATE analytics_staging.int_built_project SET project_version = 'another'")
    change(own.path, "UPDATE passona.report_ledger SET expired_at = now() WHERE campaign_id IN (?, ?)", ONE, THREE)
    assert build_marts(own, ZONES).failures == []
    for mart in MARTS:
        assert accounts(own, mart) == [(ONE, "brand_a"), (TWO, "default"), (THREE, "default")]
