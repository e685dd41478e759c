"""Modes, forgetting, new keys and retention in whole loads; what is left of people is looked for in every file."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from passona.config.privacy_settings import PrivacySettings
from passona.config.settings import Settings
from passona.erasure.forget import forget
from passona.erasure.rekey import re_key
from passona.errors import ConfigurationError, StillThere
from passona.masking.policy import Privacy
from passona.masking.tokens import Tokens
from passona.reports.definitions import CLICKS, RECIPIENT
from passona.source.pages import Page
from passona.source.spool import Spool
from passona.source.walk import Walk
from passona.warehouse._load_package import Package
from passona.warehouse.database import open_database
from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, TWO, click, ended_campaign, message, open_campaign
from support.engines import change
from support.people import GONE, KEY, MODES, NEW_KEY, NUMBER, TOKENS, fill, forget_people, recipient, silent
from support.sandbox_requests import requested_reports
from support.warehouses import GUIDE, Warehouse
from traces import People, people_of, traces

pytestmark = pytest.mark.both


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.core(1)
def test_what_a_mode_does_not_keep_is_in_no_byte_of_any_file(tmp_path: Path, mode: str) -> None:
    account = Account(rows=600, hostile=True, seed=3)
    people = people_of(account)
    folder = tmp_path / "run"
    folder.mkdir()
    warehouse = Warehouse(folder / "warehouse.duckdb")
    with Sandbox(account) as box:
        uuids = [str(row["uuid"]) for row in account.campaigns()]
        assert warehouse.load(box, uuids[0], GUIDE, **MODES[mode]).exit_code == 0
    found = traces(folder, people)
    if mode == "clear":  # the search finds what is there
        seen = set().union(*found.values())
        assert len(seen & {phone.decode() for phone in people.phones}) > 50
        assert "psms.io/" in seen
    else:
        assert found == {}


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_spool_on_disk_holds_tokens_alone(account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passona.source.spool.MEMORY_BYTES", 1)
    folder = tmp_path / "run"
    folder.mkdir()
    fill(account, 2_500)
    people = People(frozenset(f"4471234{n:05}".encode() for n in range(2_500)), frozenset({b"Person0"}))
    fault = {"kind": "status", "code": 404, "report": "delivery", "page": 5}
    for mode in ("clear", "minimal"):
        warehouse = Warehouse(folder / f"{mode}.duckdb")
        with Sandbox(account, faults=[fault | {"code": 500}]) as box:
            warehouse.load(box, ONE, reports=["delivery"], **MODES[mode])
        spools = list(folder.rglob("*.arrow"))
        assert len(spools) == 1, "a walk that failed leaves its spool"
        assert bool(traces(folder, people)) == (mode == "clear")
        shutil.rmtree(folder / f"{mode}.duckdb.work")
        warehouse.path.unlink()


@pytest.mark.core
def test_a_load_in_another_mode_or_with_another_key_is_refused(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    warehouse.load(box, ONE, **TOKENS)
    box.forget_requests()
    for other, said in (
        ({}, "this warehouse is pseudonymous, the configuration says clear"),
        (MODES["minimal"], "this warehouse is pseudonymous, the configuration says minimal"),
        (TOKENS | {"privacy_key": NEW_KEY}, "run passona re-key"),
        (TOKENS | {"privacy_former_keys": (NEW_KEY,)}, "run passona re-key"),
    ):
        with pytest.raises(ConfigurationError, match=said):
            warehouse.load(box, ONE, **other)
    assert box.requests == []


@pytest.mark.core
def test_rows_that_nobody_reduced_are_stopped_at_the_door(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    warehouse.load(box, ONE, **TOKENS)
    spool = Spool(CLICKS, ONE, tmp_path / "spool")
    spool.add(Page(1, [click()], 1, 1, 50, None))
    spool.finish()
    package = Package()
    package.add(Walk(CLICKS, ONE, spool, "Europe/London"), "default")
    database = open_database(warehouse.address, 0, silent)
    try:
        with pytest.raises(ConfigurationError, match="rows in clear mode cannot go into a warehouse that is pseudony"):
            database.write_package(package)
    finally:
        database.close()
    assert traces(tmp_path, People(frozenset({b"447123400000"}), frozenset())) == {}


def test_a_warehouse_of_the_time_before_there_were_modes_is_clear(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click()]})
    warehouse.load(box, ONE)
    change(warehouse.path, "DROP TABLE passona._privacy; DROP TABLE passona._forgotten")
    with pytest.raises(ConfigurationError, match="this warehouse is clear"):
        warehouse.load(box, ONE, **TOKENS)


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_forgotten_person_stays_away_and_others_are_untouched(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    fill(account)
    warehouse.load(box)
    copies = [shutil.copy(warehouse.path, tmp_path / "published.duckdb")]
    before = warehouse.content()
    found = forget_people(warehouse, "+44 7123 400003", published=copies)
    assert found.files == [warehouse.address, *copies]
    each = {
        "clicks": 2,
        "delivery": 1,
        "alt_delivery": 1,
        "alt_delivery__fields": 0,
        "recipient": 1,
        "recipient__fields": 2,
        "row_issues": 2,
    }
    times = 1 + len(copies)
    assert {name: found.tables[f"passona.{name}"] for name in each} == {n: times * rows for n, rows in each.items()}
    mine = People(frozenset({GONE.encode()}), frozenset({b"Person00003"}))
    assert traces(tmp_path, mine) == {}
    after = warehouse.content()
    assert all(row in before[name] for name, rows in after.items() for row in rows)
    assert {name: len(before[name]) - len(rows) for name, rows in after.items() if rows != before[name]} == {
        name: rows for name, rows in each.items() if rows
    }
    assert [Warehouse(copied).content() for copied in copies] == [after] * len(copies)
    # Written once, because the tables hold another content than before; then nothing more.
    assert [sum(report.loaded for report in warehouse.load(box).reports.values()) for _ in range(2)] == [4, 0]
    assert warehouse.content() == after
    assert warehouse.rows(
        "SELECT report, row_count, suppressed, api_total FROM passona.report_ledger WHERE campaign_id = ? AND api_total > 0 ORDER BY 1", ONE
    ) == [("alt_delivery", 39, 1, 40), ("clicks", 78, 2, 80), ("delivery", 39, 1, 40), ("recipient", 39, 1, 40)]  # fmt: skip
    assert traces(tmp_path, mine) == {}


def test_a_token_names_a_person_too(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    fill(account)
    warehouse.load(box, **TOKENS)
    ((token,),) = warehouse.rows(
        "SELECT phone_number FROM passona.recipient WHERE campaign_id = ? ORDER BY 1 LIMIT 1", TWO
    )
    found = forget_people(warehouse, token, **TOKENS)
    assert found.tables["passona.recipient"] == 2
    warehouse.load(box, refresh=True, **TOKENS)
    assert warehouse.one("SELECT count(*) FROM passona.recipient WHERE phone_number = ?", token) == (0,)


@pytest.mark.duckdb("looks for bytes in the file")
def test_forget_reaches_other_texts_and_user_tables(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    account.put(
        open_campaign(ONE),
        {
            "clicks": [click(1, Link_Destination=f"https://e.org/{GONE}")],
            "alt_delivery": [message(1, FieldValues=f"{GONE},a,b")],
        },
    )
    warehouse.load(box)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            f"CREATE TABLE mine AS SELECT 1 AS n, 'call {GONE}' AS note UNION ALL SELECT 2, '447123400004'"
        )
        connection.execute("CREATE TABLE calls AS SELECT '+44 7123 400003' AS mobile UNION ALL SELECT '447123400004'")
    before = warehouse.content(), warehouse.rows("FROM mine"), warehouse.rows("FROM calls")
    counted = forget(warehouse.address, [("argument", GONE)], PrivacySettings(), 0, silent, dry_run=True)
    assert (warehouse.content(), warehouse.rows("FROM mine"), warehouse.rows("FROM calls")) == before
    found = forget_people(warehouse, GONE)
    assert (
        found.tables
        == counted.tables
        == {"passona.clicks": 1, "passona.row_issues": 1, "main.mine": 1, "main.calls": 1}
    )
    assert warehouse.one("SELECT link_destination FROM passona.clicks") == ("https://e.org/[erased]",)
    assert warehouse.rows("FROM mine ORDER BY n") == [(1, "call [erased]"), (2, "447123400004")]
    assert warehouse.rows("FROM calls") == [("447123400004",)]


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_rewritten_file_is_as_the_old_one_and_what_is_still_in_it_is_found(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(NUMBER)]})
    warehouse.load(box, ONE)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("CREATE VIEW seen AS SELECT count(*) AS n FROM warehouse.passona.clicks")
    warehouse.path.chmod(0o640)
    comments = (
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal ORDER BY ALL"
    )
    before = warehouse.rows(comments), warehouse.table("_dlt_loads"), warehouse.content()
    database = open_database(warehouse.address, 0, silent)
    try:
        with pytest.raises(StillThere, match="1 of 2 numbers"):
            database.rewrite(["447999999999", GONE], 0, silent)
        database.rewrite(["447999999999"], 0, silent)
    finally:
        database.close()
    assert (warehouse.rows(comments), warehouse.table("_dlt_loads"), warehouse.content()) == before
    assert warehouse.one("FROM seen") == (1,)
    assert warehouse.path.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in warehouse.path.parent.iterdir()] == ["warehouse.duckdb"]


def test_rows_on_two_pages_are_found_where_somebody_is_left_out(warehouse: Warehouse, account: Account) -> None:
    # A row came before page 2 was made: the last of page 1 is the first of page 2, and one is missing at the end.
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(150)]})
    with Sandbox(account, Switches(per_page_limit=50)) as box:
        warehouse.load(box, ONE)
        forget_people(warehouse, GONE)
        box.faults = [
            {"kind": "insert", "report": "clicks", "page": 2, "times": 1, "row": click(900)},
            {"kind": "delete", "report": "clicks", "page": 3, "times": 1, "index": 149},
        ]
        assert warehouse.load(box, ONE).exit_code == 0
    served = {str(row["Phone_Number"]) for row in account.rows(ONE, "clicks")} - {GONE}
    assert {phone for (phone,) in warehouse.rows("SELECT phone_number FROM passona.clicks")} == served


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_new_key_gives_the_tokens_that_the_next_loads_make(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    fill(account)
    warehouse.load(box, **TOKENS)
    forget_people(warehouse, GONE, **TOKENS)
    old = warehouse.rows("SELECT DISTINCT phone_number FROM passona.clicks")
    changed = TOKENS | {"privacy_key": NEW_KEY, "privacy_former_keys": (KEY,)}
    re_key(warehouse.address, PrivacySettings(**changed), 0, silent)
    people = People(frozenset(), frozenset(token[11:].encode() for (token,) in old))
    assert traces(tmp_path, people) == {}
    joined = "SELECT count(*) FROM passona.recipient__fields JOIN passona.recipient USING (campaign_id, row_id)"
    assert warehouse.one(joined) == (118,)
    columns = "SELECT c.phone_number, c.link_destination, d.message_copy FROM passona.clicks c JOIN passona.delivery d ON recipient = phone_number ORDER BY ALL"
    before = warehouse.rows(columns)
    assert warehouse.load(box, refresh=True, **changed).exit_code == 0
    assert warehouse.rows(columns) == before
    assert re_key(warehouse.address, PrivacySettings(**changed), 0, silent) == {}
    with pytest.raises(ConfigurationError, match="expected the keys of this warehouse's tokens"):
        re_key(warehouse.address, PrivacySettings(privacy="pseudonymous", privacy_key="x" * 32), 0, silent)


@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_expired_rows_go_and_are_never_requested_again(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str
) -> None:
    fill(account)
    old = ended_campaign(ONE, 100)
    account.put(
        old, {report: list(account.rows(ONE, report)) for report in ("clicks", "delivery", "alt_delivery", "recipient")}
    )
    assert warehouse.load(box).exit_code == 0
    others = warehouse.rows("FROM passona.recipient WHERE campaign_id = ? ORDER BY ALL", TWO)
    box.forget_requests()
    privacy_settings = {"retain_days": 90, "retain_mode": mode}
    outcome = warehouse.load(box, refresh=True, **privacy_settings)
    assert {uuid for uuid, _ in requested_reports(box)} == {TWO}
    assert outcome.erased > 0
    assert warehouse.one("SELECT max(erased) FROM passona.runs") == (outcome.erased,)
    left = "count(phone_number), count(link_destination), count(user_agent), count(DISTINCT row_id)"
    rows = 80 if mode == "columns" else 0
    assert warehouse.one(f"SELECT count(*), {left} FROM passona.clicks") == (rows, 0, 0, 0, rows)
    assert warehouse.one("SELECT count(message_copy), count(recipient), count(sms_id) FROM passona.delivery") == (
        0,
        0,
        0,
    )
    assert warehouse.one("SELECT count(value) FROM passona.recipient__fields WHERE campaign_id = ?", ONE) == (0,)
    assert warehouse.one(
        "SELECT count(*) FROM passona.recipient__fields JOIN passona.recipient USING (row_id) WHERE recipient.campaign_id = ?", ONE
    ) == (80 if mode == "columns" else 0,)  # fmt: skip
    assert warehouse.one("SELECT count(raw_value) FROM passona.row_issues WHERE campaign_id = ?", ONE) == (0,)
    assert warehouse.rows(
        "SELECT * EXCLUDE (_dlt_load_id) FROM passona.recipient WHERE campaign_id = ? ORDER BY ALL", TWO
    ) == [row[:-1] for row in others]
    assert warehouse.rows(
        "SELECT row_count, api_total, state FROM passona.report_ledger WHERE campaign_id = ? AND report = 'clicks'", ONE
    ) == [(rows, 80, "settled")]


def test_what_is_still_asked_for_cannot_be_given_up() -> None:
    with pytest.raises(ConfigurationError, match=r"retain_days: 30 is not more than 30"):
        Settings("token", retain_days=30)
    assert Settings("token", retain_days=31).retain_days == 31


def test_a_csv_is_reduced_and_its_forgotten_left_out_as_the_api_s_rows_are(tmp_path: Path) -> None:
    tokens = Tokens((KEY.encode(),))
    row = {key: str(value) for key, value in recipient(NUMBER).items() if value} | {
        "Group_Description": "",
        "Note": "x",
    }
    columns = {key: pa.array([text, text.replace("00003", "00004")]) for key, text in row.items()}
    privacy = Privacy("pseudonymous", tokens, frozenset({"Town"}), frozenset({tokens.of_phone(GONE)}))
    csv, api = (Spool(RECIPIENT, ONE, tmp_path / name, privacy=privacy) for name in ("csv", "api"))
    csv.take_columns(columns)
    api.add(
        Page(
            1,
            [
                dict(zip(row, cells, strict=True))
                for cells in zip(*(c.to_pylist() for c in columns.values()), strict=True)
            ],
            2,
            1,
            50,
            None,
        )
    )
    for spool in (csv, api):
        spool.finish()
    assert (csv.suppressed, api.suppressed) == (1, 1)
    assert [batch.to_pylist() for batch in csv.batches()] == [batch.to_pylist() for batch in api.batches()]
    (kept,) = next(csv.batches()).to_pylist()
    assert (kept["Phone_Number"], kept["Field_Values"], kept["_rest"]) == (
        tokens.of_phone("447123400004"),
        ",Leith",
        None,
    )
