"""A copy of a clear warehouse in another mode: what a load in that mode stores, and nobody in any byte of it."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from passona.analytics._table_copy import KNOWN_IN_MARTS
from passona.analytics.publish import NotPublished, Published, publish_warehouse
from passona.analytics.target import target
from passona.config.dbt_project import project_folder
from passona.config.privacy_settings import PrivacySettings
from passona.errors import ConfigurationError
from passona.masking.tokens import Tokens
from passona.reports.definitions import REPORTS
from passona.warehouse.policy_table import privacy_of_copy
from passona.warehouse.verification import verify
from passona_sandbox import Account, Sandbox
from spelling_docs import PHONE, spellings
from support.campaigns import ONE, TWO, click, ended_campaign, message, open_campaign, unsent
from support.engines import change
from support.people import GONE, KEY, MODES, NEW_KEY, NUMBER, delivery, fill, forget_people, recipient, silent
from support.stored import stored
from support.warehouses import GUIDE, Warehouse
from traces import People, people_of, spelled, traces

pytestmark = pytest.mark.duckdb("publishes a file")
Run = Callable[..., "subprocess.CompletedProcess[str]"]
REDUCED = [mode for mode in MODES if mode != "clear"]
PERSON = Tokens((KEY.encode(),)).of_phone(PHONE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "analysts.duckdb"


def put(warehouse: Warehouse, place: Path, mode: str = "pseudonymous", **privacy_settings: Any) -> Published:
    kept = privacy_of_copy(PrivacySettings(**{"privacy_key": KEY} | privacy_settings), mode)
    to = target(place, warehouse.path, personal=True)
    return publish_warehouse(warehouse.path, to, 0, silent, marts_only=False, privacy=kept)


def odd(account: Account) -> None:
    """Every way in which a row may be other than the guide says, and a phone in every column of a person's row."""
    texts = [spelling.text for spelling in spellings()]
    account.put(
        open_campaign(ONE, name="Summer", status=12_345_678_901),
        {
            "clicks": [
                click(n, Link_Name=f"to {text}", User_Agent=f"Mozilla/5.0 {text}", Link_Destination=f"https://e.org/?{text}")
                for n, text in enumerate(texts)
            ]
            + [
                click(1, Phone_Number=4.5, Clicked_At=f"at {PHONE}", Note=f"of {PHONE}", Town="Leith"),
                click(1, Phone_Number="4.47701E+11", Clicked_At="2020-10-25 01:30:00", Device_Type=f"M {PHONE}"),
                click(1), click(1),
            ],
            "delivery": [{**delivery(n), "Status": text, "Message_Copy": f"Hi {text} 😀€é"} for n, text in enumerate(texts)],
            "alt_delivery": [
                message(1, FieldNames="A,B", FieldValues=f"{PHONE},x,y"),
                message(1, FieldNames=["A"], FieldValues="x,y"),
                message(1, FieldNames="A", FieldValues={"x": 1}),
                message(1, FieldNames=f"Call {PHONE},Town", FieldValues="x,Leith", MessageSent="25/06/2020"),
                message(1, FieldNames="Town", FieldValues=None),
            ],
            "recipient": [{**recipient(n), "Phone_Number": text, "Group_Name": text} for n, text in enumerate(texts)],
            "sent": [
                {"MessageId": ONE, "Brand": "S", "SentOn": "2020-06-25 20:26:04", "RecipientCount": count,
                 "TemplateApiId": "t", "TemplateName": "T", "Message": "Dear ::FirstName::"}
                for count in (7, 447700900123, "12a")
            ],
            "unsent": [{**unsent(n), "Reason": f"no {text}"} for n, text in enumerate(texts)],
        },
    )  # fmt: skip


def as_stored(path: Path) -> dict[tuple[str, str], Counter[Any]]:
    """Rows with their fields and issues, whatever their ids are."""
    ids = Warehouse(path).rows("SELECT DISTINCT campaign_id FROM passona.report_ledger")
    return {(uuid, report): stored(path, uuid, report) for (uuid,) in ids for report in REPORTS}


def others(path: Path) -> dict[str, Any]:
    """The tables that tell of no person's row, and the columns of all."""
    warehouse = Warehouse(path)
    ledger = "campaign_id, report, state, pages, row_count, api_total, digest IS NULL, origin, suppressed, expired_at"
    return {
        "campaigns": warehouse.table("campaigns"),
        "groups": warehouse.table("campaigns__contact_groups"),
        "issues": warehouse.rows("SELECT * EXCLUDE _dlt_load_id FROM passona.row_issues WHERE row_id IS NULL ORDER BY ALL"),
        "ledger": warehouse.rows(f"SELECT {ledger} FROM passona.report_ledger ORDER BY ALL"),
        "columns": warehouse.rows(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
            "WHERE schema_name = 'passona' AND table_name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY ALL"
        ),
        "comments": warehouse.rows(
            "SELECT table_name, comment FROM duckdb_tables() "
            "WHERE schema_name = 'passona' AND table_name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY ALL"
        ),
    }  # fmt: skip


@pytest.mark.parametrize(("mode", "fields"), [("pseudonymous", ()), ("pseudonymous", ("Town",)), ("minimal", ())])
def test_a_copy_is_what_a_load_in_its_mode_stores(
    tmp_path: Path, place: Path, mode: str, fields: tuple[str, ...]
) -> None:
    account = Account(rows=300, hostile=True, seed=3)
    odd(account)
    hostile = str(account.campaigns()[0]["uuid"])
    clear, loaded = (Warehouse(tmp_path / f"{name}.duckdb") for name in ("clear", "loaded"))
    kept = {"privacy_fields": fields} if fields else {}
    with Sandbox(account) as box:
        assert clear.load(box, hostile, GUIDE, ONE).exit_code == 0
        assert loaded.load(box, hostile, GUIDE, ONE, **MODES[mode], **kept).exit_code == 0
    published = put(clear, place, mode, **kept)
    assert (published.privacy, published.left_out) == (mode, ())
    reported, expected = as_stored(place), as_stored(loaded.path)
    for key, rows in expected.items():
        assert reported[key] == rows, key
    assert others(place) == others(loaded.path)
    new = "SELECT phone_number, note, town FROM passona.clicks ORDER BY ALL"
    assert Warehouse(place).rows(new) == loaded.rows(new)
    assert [town for *_, town in loaded.rows(new) if town] == ["Leith" for _ in fields]
    key_id = Tokens((KEY.encode(),)).key_id
    assert Warehouse(place).rows("FROM passona._privacy") == [(mode, key_id, None)]
    assert Warehouse(place).rows("FROM passona._forgotten") == []
    ((ids, distinct, shared),) = duckdb.connect(str(clear.path), read_only=True).execute(
        f"ATTACH '{place}' AS made (READ_ONLY); SELECT count(*), count(DISTINCT made.row_id), count(warehouse.row_id) "
        "FROM made.passona.recipient AS made LEFT JOIN clear.passona.recipient AS warehouse USING (row_id)"
    ).fetchall()  # fmt: skip
    assert (ids, shared) == (distinct, 0)
    assert verify(place, 0, silent).lines == []


@pytest.mark.parametrize("mode", REDUCED)
def test_nobody_is_in_any_byte_of_a_copy(tmp_path: Path, place: Path, mode: str) -> None:
    account = Account(rows=600, hostile=True, seed=3)
    odd(account)
    people = people_of(account)
    clear = Warehouse(tmp_path / "clear.duckdb")
    with Sandbox(account) as box:
        assert clear.load(box, str(account.campaigns()[0]["uuid"]), GUIDE, ONE).exit_code == 0
    put(clear, place, mode)
    marks = People(people.phones | {PHONE.encode()}, people.marks | {b"e.org/?", b"Person0"})
    assert traces(place.parent, marks) == {}
    assert [path.name for path in place.parent.iterdir()] == [place.name]
    assert place.stat().st_mode & 0o777 == 0o600
    shown = [text for text in texts(place) if spelled(text, PHONE)]
    assert shown == []


def texts(path: Path) -> list[str]:
    """Every text of every table but ids, every name, comment and query."""
    with duckdb.connect(str(path), read_only=True) as connection:
        columns = connection.execute(
            "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal AND data_type = 'VARCHAR' "
            "AND column_name NOT LIKE '%\\_id' ESCAPE '\\'"
        ).fetchall()
        found = [
            text
            for schema, table, column in columns
            for (text,) in connection.execute(f'SELECT DISTINCT "{column}" FROM {schema}."{table}"').fetchall()
        ]
        catalog = (
            "SELECT concat_ws(' | ', table_name, column_name, comment) FROM duckdb_columns() WHERE NOT internal "
            "UNION ALL SELECT concat_ws(' | ', comment, sql) FROM duckdb_views() WHERE NOT internal"
        )
        return [text for text in (*found, *(text for (text,) in connection.execute(catalog).fetchall())) if text]


def test_what_the_mode_itself_would_leave_of_people_becomes_tokens_too(
    warehouse: Warehouse, account: Account, box: Sandbox, place: Path
) -> None:
    person = {"Phone_Number": PHONE}
    account.put(
        open_campaign(ONE, name=f"Call {PHONE}", sender=PHONE),
        {
            "recipient": [recipient(1) | person | {"Group_Name": "a 07700 --- 900123 b", "Field_Values": f"x,{PHONE[2:]}"}],
            "delivery": [delivery(1) | {"Sender": PHONE}],
        },
    )  # fmt: skip
    warehouse.load(box)
    put(warehouse, place)
    made = Warehouse(place)
    assert made.one("SELECT name, sender FROM passona.campaigns") == (f"Call {PERSON}", PERSON)
    assert made.one("SELECT sender FROM passona.delivery") == (PERSON,)
    assert made.one("SELECT phone_number, group_name FROM passona.recipient") == (PERSON, f"a {PERSON} b")
    assert traces(place.parent, People(frozenset({PHONE.encode()}), frozenset())) == {}


@pytest.mark.parametrize("mode", REDUCED)
def test_marts_are_in_the_copy_with_the_same_figures_and_joins_hold(
    demo_warehouse: Path, place: Path, mode: str
) -> None:
    put(Warehouse(demo_warehouse), place, mode)
    was, made = Warehouse(demo_warehouse), Warehouse(place)
    relations = (
        "SELECT schema_name, table_name, 'table', comment FROM duckdb_tables() WHERE schema_name LIKE 'analytics%' "
        "UNION ALL SELECT schema_name, view_name, 'view', comment FROM duckdb_views() WHERE schema_name LIKE 'analytics%' ORDER BY ALL"
    )
    assert made.rows(relations) == was.rows(relations)
    columns = "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE schema_name LIKE 'analytics%' ORDER BY ALL"
    assert made.rows(columns) == was.rows(columns)
    for schema, name, *_ in was.rows(relations):
        if name != "int_user_agents" or mode == "pseudonymous":
            count = f"SELECT count(*) FROM {schema}.{name}"
            assert made.one(count) == was.one(count), name
    for query in (
        "FROM analytics.campaigns ORDER BY ALL",
        "FROM analytics.campaign_hours ORDER BY ALL",
        "FROM analytics.campaign_statuses ORDER BY ALL",
        "FROM analytics.devices ORDER BY ALL",
        "FROM analytics.unsent_reasons ORDER BY ALL",
        "SELECT * EXCLUDE link_destination FROM analytics.links ORDER BY ALL",
        "SELECT campaign_id, click_class, count(DISTINCT phone) FROM analytics.clicks GROUP BY ALL ORDER BY ALL",
        "SELECT link_name, count(DISTINCT link_destination) FROM analytics.clicks GROUP BY ALL ORDER BY ALL",
        "SELECT count(*) FROM analytics.clicks JOIN analytics.messages USING (campaign_id, message_key, phone)",
        "SELECT count(*) FROM analytics.messages JOIN analytics_staging.stg_passona__delivery ON message_key = row_id",
        "SELECT count(*) FROM analytics.clicks JOIN passona.row_issues ON click_id = row_id",
        "SELECT count(*), count(DISTINCT phone) FROM analytics.recipient_fields JOIN analytics.messages USING (phone)",
        "SELECT count(*) FROM passona.recipient__fields JOIN passona.recipient USING (campaign_id, row_id)",
        "SELECT segments, encoding, count(*) FROM analytics.messages GROUP BY ALL ORDER BY ALL",
    ):
        assert made.rows(query) == was.rows(query), query
    assert made.one("SELECT count(msisdn) FROM analytics.messages") == (0,)
    assert made.one("SELECT count(*) FROM analytics_staging.int_user_agents") == made.one(
        "SELECT count(DISTINCT user_agent) FROM analytics_staging.int_user_agents"
    )
    phones = {phone.encode() for (phone,) in was.rows("SELECT DISTINCT phone_number FROM passona.recipient") if phone}
    assert traces(place.parent, People(frozenset(phones), frozenset())) == {}


def test_a_personal_column_of_a_mart_is_known_by_its_name() -> None:
    models = [
        model
        for file in ("marts/_marts", "intermediate/_intermediate")
        for model in yaml.safe_load((project_folder() / f"models/{file}__models.yml").read_text("utf-8"))["models"]
    ]
    personal = {
        column["name"]
        for model in models
        if model["name"] != "int_message_spine"  # a view
        for column in model["columns"]
        if column.get("config", {}).get("meta", {}).get("personal", "id") != "id"
    }
    assert personal <= KNOWN_IN_MARTS


def test_what_users_made_is_not_copied_and_told_in_a_line(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(NUMBER)]})
    warehouse.load(box)
    change(
        warehouse.path,
        f"CREATE TABLE mine AS SELECT '{GONE}' AS note; CREATE VIEW seen AS FROM passona.clicks; "
        f"ALTER TABLE passona.clicks ADD COLUMN remark VARCHAR; UPDATE passona.clicks SET remark = '{GONE}'; "
        "CREATE TABLE passona.theirs AS SELECT 1 AS n",
    )
    ended = passona("publish", "--privacy", "minimal", "a.duckdb", SOURCES__PASSONA__PRIVACY_KEY=KEY)
    assert (ended.returncode, ended.stderr) == (0, "")
    first, second = ended.stdout.splitlines()
    assert first.startswith(f"{tmp_path / 'a.duckdb'}: published, minimal, ")
    assert second == "left out, because you made it: main.mine, main.seen, passona.clicks.remark, passona.theirs"
    made = Warehouse(tmp_path / "a.duckdb")
    assert made.rows("SELECT table_name FROM duckdb_tables() WHERE table_name IN ('mine', 'theirs')") == []
    assert "remark" not in [name for name, *_ in made.rows("DESCRIBE passona.clicks")]
    shutil.copytree(tmp_path, alone := tmp_path.with_name("alone"), ignore=shutil.ignore_patterns("warehouse.*"))
    assert traces(alone, People(frozenset({GONE.encode()}), frozenset())) == {}


def test_people_are_forgotten_in_a_copy_too(warehouse: Warehouse, account: Account, box: Sandbox, place: Path) -> None:
    fill(account)
    warehouse.load(box)
    put(warehouse, place)
    before = Warehouse(place).content()
    token = Tokens((KEY.encode(),)).of_phone(GONE)
    found = forget_people(warehouse, "+44 7123 400003", published=[place], privacy_key=KEY)
    assert (found.left, found.files) == ([], [warehouse.address, place])
    after = Warehouse(place).content()
    lost = {name: len(before[name]) - len(rows) for name, rows in after.items() if rows != before[name]}
    assert lost == {
        "clicks": 2,
        "delivery": 1,
        "alt_delivery": 1,
        "recipient": 2 - NUMBER % 2,
        "recipient__fields": 2,
        "row_issues": 2,
    }
    assert Warehouse(place).rows("SELECT entry FROM passona._forgotten") == [(token,)]
    change(place, "DELETE FROM passona._forgotten")
    assert [text for text in texts(place) if token in text] == []
    put(warehouse, place)
    assert Warehouse(place).content() == after


def test_a_copy_by_another_key_is_named_and_left(
    warehouse: Warehouse, account: Account, box: Sandbox, place: Path
) -> None:
    fill(account, 4)
    warehouse.load(box)
    put(warehouse, place)
    for privacy_settings in ({}, {"privacy_key": NEW_KEY}):
        found = forget_people(warehouse, GONE, published=[place], **privacy_settings)
        (error,) = found.left
        assert error.exit_code == 2
        assert f"{place}: nobody was forgotten there, because it is of another mode or key" in str(error)


def test_what_cannot_be_is_refused(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, place: Path
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    warehouse.load(box)
    for arguments, said in (
        ([], "sources.passona.privacy_key: pseudonymous mode needs a key"),
        (["--marts-only"], "--marts-only has no rows of persons: leave --privacy out"),
    ):
        ended = passona("publish", "--privacy", "pseudonymous", *arguments, str(place))
        assert (ended.returncode, ended.stdout) == (2, "")
        assert said in ended.stderr
    short = passona("publish", "--privacy", "minimal", str(place), SOURCES__PASSONA__PRIVACY_KEY="short")
    assert (short.returncode, "fewer than 32" in short.stderr) == (2, True)
    assert list(place.parent.iterdir()) == []
    warehouse.path.unlink()
    warehouse.load(box, **MODES["pseudonymous"])
    with pytest.raises(ConfigurationError, match="--privacy minimal: the warehouse is pseudonymous already"):
        put(warehouse, place, "minimal")
    change(warehouse.path, "UPDATE passona._privacy SET mode = 'clear'; DROP TABLE passona._objects")
    with pytest.raises(ConfigurationError, match="is of an earlier version; run passona load"):
        put(warehouse, place)
    assert list(place.parent.iterdir()) == []


def test_the_old_copy_stays_where_a_new_one_cannot_be_vouched_for(
    warehouse: Warehouse, account: Account, box: Sandbox, place: Path
) -> None:
    fill(account, 4)
    warehouse.load(box)
    put(warehouse, place)
    before = place.read_bytes()
    change(warehouse.path, "COMMENT ON TABLE passona.clicks IS 'as 44 --- 71234 --- 00003 said'")
    with pytest.raises(
        NotPublished, match=r"1 of the texts of the copy \(comments on tables among them\) would tell phones of people"
    ):
        put(warehouse, place)
    change(
        warehouse.path,
        "COMMENT ON TABLE passona.clicks IS NULL; DELETE FROM passona.clicks WHERE phone_number IS NOT NULL",
    )
    with pytest.raises(NotPublished, match="clicks: expected 8 rows as the ledger says, got 0"):
        put(warehouse, place)
    assert place.read_bytes() == before
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_expired_campaigns_stay_as_they_are(warehouse: Warehouse, account: Account, box: Sandbox, place: Path) -> None:
    fill(account, 4)
    account.put(
        ended_campaign(ONE, 100), {report: list(account.rows(ONE, report)) for report in ("clicks", "recipient")}
    )
    warehouse.load(box)
    warehouse.load(box, retain_days=90)
    put(warehouse, place)
    made = Warehouse(place)
    assert made.one("SELECT count(*), count(phone_number), count(DISTINCT row_id) FROM passona.clicks") == (8, 0, 8)
    fields = "SELECT count(*), count(value) FROM passona.recipient__fields WHERE campaign_id = ?"
    assert [made.one(fields, uuid) for uuid in (ONE, TWO)] == [(8, 0), (4, 4)]
