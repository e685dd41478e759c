"""Whole loads: a sandbox over HTTP, a DuckDB file, every value compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pytest

from passona.reports.tables import TABLES
from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.engines import change
from support.served import Served, assert_as_served, assert_holds, served_by
from support.warehouses import GUIDE, Warehouse

pytestmark = pytest.mark.both


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.core
def test_the_six_pages_of_the_guide_load_to_exactly_what_they_say(warehouse: Warehouse) -> None:
    with Sandbox(Account(campaigns=0, rows=0)) as box:
        outcome = warehouse.load(box, GUIDE)
    assert outcome.exit_code == 0
    row = warehouse.one
    assert row("SELECT phone_number, link_name, clicked_at, device_type, os_version FROM passona.clicks") == (
        "447123456789", "TestLink", utc(2020, 6, 8, 12, 50, 6), "WebKit", "10",
    )  # fmt: skip
    assert row("SELECT sms_id, sender, recipient, message_copy, status, expiry_date FROM passona.delivery") == (
        "49deafce-fbbd-11e9-93b1-0242ac120009", "Digitonic", "447123456789",
        "Testing link preview: https://psms.io/DbDrMVye", "Success", utc(2020, 6, 27, 19, 26, 30),
    )  # fmt: skip
    assert row("SELECT message_id, mobile, message_sent, message_update, status FROM passona.alt_delivery") == (
        "49deafce-fbbd-11e9-93b1-0242ac120009", "447123456789",
        utc(2020, 6, 25, 19, 26, 4), utc(2020, 6, 25, 19, 26, 6), "Success",
    )  # fmt: skip
    fields = (
        "SELECT position, name, value FROM passona.{0}__fields JOIN passona.{0} USING (campaign_id, row_id) ORDER BY 1"
    )
    assert warehouse.rows(fields.format("alt_delivery")) == [(1, "Firs Name", "John"), (2, "Last Name", "Doe")]
    assert warehouse.rows(fields.format("recipient")) == [(1, "First Name", "John"), (2, "Last Name", "Doe")]
    assert warehouse.rows(fields.format("unsent")) == [(1, "First Name", "John"), (2, "Last Name", "Doe")]
    assert row("SELECT phone_number, group_name, group_description FROM passona.recipient") == (
        "447123456789",
        "Just me",
        None,
    )
    assert row(
        "SELECT campaign_id, message_id, brand, sent_on, recipient_count, template_api_id, template_name, message "
        "FROM passona.sent"
    ) == (
        GUIDE, GUIDE, "Digitonic", utc(2020, 6, 25, 19, 26, 2), 1, "49deafce-fbbd-11e9-93b1-0242ac120009",
        "LinkTest", "Testing link preview: ::TestLink::",
    )  # fmt: skip
    assert row("SELECT message_id, mobile, reason FROM passona.unsent") == (GUIDE, "447123456789", "pending")
    assert warehouse.count("row_issues") == 0


@pytest.fixture(scope="module")
def hostile() -> tuple[Account, Served]:
    """Loaded four times: more than 100,000 rows in all."""
    account = Account(seed=7, campaigns=4, rows=26_000, hostile=True)
    return account, served_by(account, [row["uuid"] for row in account.campaigns()])


@pytest.mark.parametrize(
    "switches",
    [
        Switches(links="bare"),
        Switches(links="rooted", honour_per_page=False),
        Switches(links="absolute", per_page_limit=130),
        Switches(links="foreign", honour_per_page=False),
    ],
    ids=lambda switches: f"{switches.links}-{'honoured' if switches.honour_per_page else 'ignored'}",
)
@pytest.mark.core(1)
def test_every_value_of_hostile_rows_is_as_served(
    warehouse: Warehouse, hostile: tuple[Account, Served], switches: Switches
) -> None:
    account, served = hostile
    with Sandbox(account, switches) as box:
        outcome = warehouse.load(box)
    assert outcome.exit_code == 0, outcome.errors
    assert assert_holds(warehouse, served) > 25_000


@pytest.mark.core
def test_the_same_load_again_changes_nothing(warehouse: Warehouse) -> None:
    account = Account(seed=8, campaigns=4, rows=5_000, hostile=True)
    with Sandbox(account, Switches(per_page_limit=50)) as box:
        assert warehouse.load(box).exit_code == 0
        before = warehouse.content()
        assert warehouse.load(box, refresh=True).exit_code == 0
    assert warehouse.content() == before


def test_a_campaign_added_later_leaves_the_others_as_they_are(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1), click(2)], "alt_delivery": [message(1)]})
    warehouse.load(box)
    before = warehouse.content()
    account.put(open_campaign(TWO), {"clicks": [click(3)], "alt_delivery": [message(2)]})
    warehouse.load(box, TWO)
    after = warehouse.content()
    for name, rows in after.items():
        assert [row for row in rows if TWO not in row] == before[name], name
    assert_as_served(warehouse, account, [ONE, TWO])


@pytest.mark.core
def test_a_report_that_became_empty_has_no_rows_fields_or_issues(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    bad = message(3, FieldNames="A,B,C", MessageSent="nonsense")
    account.put(open_campaign(ONE), {"alt_delivery": [message(1), message(2), bad], "unsent": [], "clicks": [click()]})
    account.put(open_campaign(TWO), {"alt_delivery": [message(1)]})
    warehouse.load(box)
    assert (
        warehouse.count("alt_delivery"),
        warehouse.count("alt_delivery__fields"),
        warehouse.count("row_issues"),
    ) == (4, 6, 3)
    account.put(open_campaign(ONE), {"alt_delivery": [], "clicks": [click()]})
    warehouse.load(box, accept_shrink=True)
    assert_as_served(warehouse, account, [ONE, TWO])
    assert (
        warehouse.count("alt_delivery"),
        warehouse.count("alt_delivery__fields"),
        warehouse.count("row_issues"),
    ) == (1, 2, 0)
    assert warehouse.count("clicks") == 1


@pytest.mark.core
def test_a_report_that_never_had_rows_has_its_typed_tables(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    warehouse.load(box)
    types = {
        "string": "VARCHAR",
        "timestamp[us, tz=UTC]": "TIMESTAMP WITH TIME ZONE",
        "int64": "BIGINT",
        "bool": "BOOLEAN",
    }
    for table in TABLES.values():
        columns = warehouse.rows(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'passona' AND table_name = ? "
            "AND column_name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY ordinal_position",
            table.name,
        )
        ours = [column for column in table.schema if not column.name.startswith("_")]
        assert columns == [(column.name, types[str(column.type)]) for column in ours], table.name


@pytest.mark.core
def test_every_table_and_column_has_a_comment(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Brand_New="x")]})
    warehouse.load(box)
    without = warehouse.rows(
        "SELECT table_name, column_name FROM duckdb_columns() WHERE schema_name = 'passona' "
        "AND table_name NOT LIKE '\\_%' ESCAPE '\\' AND comment IS NULL"
    )
    assert without == []
    assert warehouse.rows(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'passona' "
        "AND table_name NOT LIKE '\\_%' ESCAPE '\\' AND comment IS NULL"
    ) == []  # fmt: skip


@pytest.mark.core
def test_two_equal_clicks_are_two_rows_each_time(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1), click(1), click(2), click(1)]})
    warehouse.load(box)
    before = warehouse.table("clicks")
    assert len({row[1] for row in before}) == 4
    account.put(open_campaign(ONE), {"clicks": [click(2), click(1), click(1), click(1)]})
    warehouse.load(box, refresh=True)
    assert warehouse.table("clicks") == before


@pytest.mark.core
def test_a_status_that_changed_is_replaced_and_other_reports_stay(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"alt_delivery": [message(1, Status="pending"), message(2)], "clicks": [click(1)]})
    warehouse.load(box)
    account.put(open_campaign(ONE), {"alt_delivery": [message(1), message(2)], "clicks": [click(1), click(2)]})
    warehouse.load(box, reports=["alt_delivery"])
    assert warehouse.rows("SELECT DISTINCT status FROM passona.alt_delivery") == [("Success",)]
    assert warehouse.count("clicks") == 1


@pytest.mark.core
def test_new_and_missing_keys_are_reported(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "sent": [{"MessageId": "x"}]})
    account.put(open_campaign(TWO), {"clicks": [click(2, Price=3, Note="n", Tags=["a", 1.5])]})
    outcome = warehouse.load(box)
    assert outcome.exit_code == 0
    assert warehouse.rows("SELECT campaign_id, price, note, tags FROM passona.clicks ORDER BY 1") == [
        (ONE, None, None, None), (TWO, "3", "n", '["a",1.5]'),
    ]  # fmt: skip
    assert warehouse.one("SELECT message_id, brand, recipient_count FROM passona.sent") == ("x", None, None)
    assert {"clicks: new key 'Price'", "sent: missing key 'Brand'"} <= set(outcome.drift)


@pytest.mark.core
def test_a_value_of_another_type_becomes_null_and_an_issue(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    sent = {"MessageId": ONE, "Brand": {"a": 1}, "SentOn": True, "RecipientCount": "many", "TemplateApiId": 12.5,
            "TemplateName": ["x"], "Message": "2020-06-25 20:26:02"}  # fmt: skip
    account.put(open_campaign(ONE), {"sent": [sent, {**sent, "RecipientCount": 7, "Brand": "B"}]})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT recipient_count, brand, sent_on, message FROM passona.sent ORDER BY 1") == [
        (7, "B", None, "2020-06-25 20:26:02"), (None, None, None, "2020-06-25 20:26:02"),
    ]  # fmt: skip
    issues = warehouse.rows(
        "SELECT column_name, raw_value, issue, count(*) FROM passona.row_issues GROUP BY ALL ORDER BY ALL"
    )
    assert issues == [
        ("brand", '{"a":1}', "unexpected_type", 1), ("recipient_count", "many", "unexpected_type", 1),
        ("sent_on", "true", "unexpected_type", 2), ("template_api_id", "12.5", "unexpected_type", 2),
        ("template_name", '["x"]', "unexpected_type", 2),
    ]  # fmt: skip
    columns = warehouse.rows(
        "SELECT column_name FROM information_schema.columns WHERE column_name LIKE '%\\_\\_v\\_%' ESCAPE '\\'"
    )
    assert columns == []


def test_a_new_key_that_is_empty_everywhere_is_a_column_too(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1, Later=None), click(2, Later="")]})
    assert "clicks: new key 'Later'" in warehouse.load(box).drift
    assert warehouse.rows("SELECT later FROM passona.clicks") == [(None,), (None,)]


def test_values_nested_without_end_fail_their_report_alone(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    deep: list[object] = []
    for _ in range(600):
        deep = [deep]
    account.put(open_campaign(ONE), {"clicks": [click(1, User_Agent=deep)], "alt_delivery": [message(1)]})
    outcome = warehouse.load(box)
    assert outcome.exit_code == 4
    assert "nested" in outcome.errors[0]
    assert (warehouse.count("clicks"), warehouse.count("alt_delivery")) == (0, 1)


def test_values_of_megabytes_are_loaded_with_more_memory(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n, User_Agent=chr(97 + n) * 5_000_000) for n in range(14)]})
    assert warehouse.load(box, reports=["clicks"], page_size=2).exit_code == 0
    assert warehouse.one("SELECT count(*), sum(length(user_agent)) FROM passona.clicks") == (14, 70_000_000)


def test_campaigns_that_left_the_list_are_kept(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(
        {"uuid": ONE, "name": "One", "status": 2, "started_sending_at": "2020-06-25 20:26:02", "finished_sending_at": "",
         "included_contact_groups": ["g2", "g1"], "excluded_contact_groups": ["g3"]},
        {"clicks": [click(1)]},
    )  # fmt: skip
    account.put(open_campaign(TWO, name="Two"), {"clicks": [click(2)]})
    warehouse.load(box)
    assert warehouse.one(
        "SELECT name, status, started_sending_at, finished_sending_at, listed FROM passona.campaigns WHERE campaign_id = ?",
        ONE,
    ) == ("One", 2, utc(2020, 6, 25, 19, 26, 2), None, True)
    groups = "SELECT position, contact_group_id, included FROM passona.campaigns__contact_groups WHERE campaign_id = ? ORDER BY ALL"
    assert warehouse.rows(groups, ONE) == [(1, "g2", True), (1, "g3", False), (2, "g1", True)]
    account.remove(TWO)
    account.put(open_campaign(ONE, name="One again", included_contact_groups=["g1"]), {"clicks": [click(1)]})
    assert warehouse.load(box).exit_code == 0
    assert warehouse.rows("SELECT name, listed FROM passona.campaigns ORDER BY name") == [
        ("One again", True),
        ("Two", False),
    ]
    assert warehouse.rows(groups, ONE) == [(1, "g1", True)]
    assert warehouse.count("clicks") == 2


def test_a_campaign_that_the_list_does_not_know_is_loaded_by_its_uuid_alone(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)]})
    box.faults = [{"kind": "status", "code": 403, "report": "campaigns"}]
    outcome = warehouse.load(box, ONE)
    assert outcome.exit_code == 0
    assert warehouse.rows("SELECT campaign_id, name, listed FROM passona.campaigns") == [(ONE, None, False)]
    assert warehouse.count("clicks") == 1


@pytest.mark.core
def test_requests_stay_within_the_bound_and_run_side_by_side(warehouse: Warehouse, account: Account) -> None:
    for n in range(4):
        account.put({"uuid": ONE[:-1] + str(n)}, {"alt_delivery": [message(i) for i in range(300)]})
    with Sandbox(account, Switches(latency=0.02, per_page_limit=50)) as box:
        warehouse.load(box, concurrency=3)
        assert max(record.in_flight for record in box.requests) == 3


@pytest.mark.core
def test_only_get_requests_of_the_contract_are_sent_and_each_carries_the_token(warehouse: Warehouse) -> None:
    account = Account(campaigns=2, rows=500)
    with Sandbox(account) as box:
        warehouse.load(box)
        assert {record.method for record in box.requests} == {"GET"}
        assert {record.kind for record in box.requests} == {"campaigns", "report"}
        assert all(record.authorized for record in box.requests)


@pytest.mark.duckdb("about the file")
def test_the_file_can_be_read_by_older_duckdb_versions(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    warehouse.load(box)
    with duckdb.connect(str(warehouse.path), read_only=True) as connection:
        rows = connection.execute(
            "SELECT tags['storage_version'] FROM duckdb_databases() WHERE database_name = 'warehouse'"
        ).fetchall()
    assert rows[0][0].startswith(("v1.0", "v1.2"))


@pytest.mark.duckdb("about the file")
@pytest.mark.core
def test_nothing_but_the_file_is_left_and_staging_is_empty(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    warehouse.load(box)
    assert [file.name for file in warehouse.path.parent.iterdir()] == [warehouse.path.name]
    tables = warehouse.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = 'passona_staging'")
    assert all(
        warehouse.one(f"SELECT count(*) FROM passona_staging.{name}") == (0,)
        for (name,) in tables
        if name != "_dlt_version"
    )


def test_the_run_is_noted(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1), click(2)]})
    outcome = warehouse.load(box)
    assert warehouse.one("SELECT run_id, verb, outcome, requests, row_count, finished_at >= started_at FROM passona.runs") == (
        outcome.run_id, "load", "ok", len(box.requests), 2, True,
    )  # fmt: skip


@pytest.mark.core
def test_the_ledger_tells_what_the_tables_hold(warehouse: Warehouse) -> None:
    account = Account(campaigns=2, rows=1_000)
    with Sandbox(account, replace(Switches(), per_page_limit=50)) as box:
        warehouse.load(box)
    for campaign_id, report, rows, total, pages in warehouse.rows(
        "SELECT campaign_id, report, row_count, api_total, pages FROM passona.report_ledger"
    ):
        count = account.count(campaign_id, report)
        per_page = 1 if campaign_id == GUIDE else 50
        assert (rows, total, pages) == (count, count, max(1, -(-count // per_page))), (campaign_id, report)
        held = warehouse.one(f"SELECT count(*) FROM passona.{report} WHERE campaign_id = ?", campaign_id)
        assert held == (count,)


def test_what_a_killed_first_load_left_behind_is_replaced(warehouse: Warehouse) -> None:
    """Rows of a new campaign are appended, and a kill may leave some of them, which no ledger entry tells of."""
    account = Account.empty()
    account.put(
        open_campaign(ONE), {"clicks": [click(n) for n in range(3)], "alt_delivery": [message(n) for n in range(3)]}
    )
    with Sandbox(account) as box:
        warehouse.load(box)
        change(warehouse.path, "DELETE FROM passona.report_ledger")
        change(warehouse.path, "DELETE FROM passona.alt_delivery__fields WHERE position = 2")
        warehouse.load(box)
    assert assert_as_served(warehouse, account, [ONE]) == 6


def test_first_loads_and_later_ones_share_two_versions_of_the_schema(warehouse: Warehouse) -> None:
    account = Account.empty()
    with Sandbox(account) as box:
        for uuid in (ONE, TWO, ONE):
            account.put(open_campaign(uuid), {"clicks": [click(1)]})
            warehouse.load(box, uuid)
            warehouse.load(box, uuid, refresh=True)
    assert assert_as_served(warehouse, account, [ONE, TWO]) == 2
    assert warehouse.count("_dlt_version") == 2
