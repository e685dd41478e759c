"""Every spelling of docs/spellings.md in whole loads, imports and erasures: the list is tests/support/data/spellings.toml."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from passona.config.privacy_settings import PrivacySettings
from passona.config.settings import Settings
from passona.errors import StillThere
from passona.masking.phone_search import found_in
from passona.masking.tokens import Tokens
from passona.warehouse.database import open_database
from passona_sandbox import Account, Sandbox
from spelling_docs import PAGE, PHONE, page, spellings
from support.campaigns import ONE, click, message, open_campaign
from support.csv_imports import exported_csv, import_csv
from support.engines import change
from support.people import KEY, MODES, forget_people, silent
from support.warehouses import Warehouse
from traces import spelled, stored_values

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
LISTED = spellings()
OTHER = "447700900124"
LATER = datetime(2098, 1, 1, tzinfo=UTC)
KNOWN = sum(spelling.value for spelling in LISTED)
TOKENS = Tokens((KEY.encode(),))


def recipient(phone: str, number: int) -> dict[str, object]:
    return {
        "Phone_Number": phone, "Group_Name": f"n{number}", "Group_Description": None, "Field_Names": None,
        "Field_Values": None,
    }  # fmt: skip


def fill(account: Account) -> None:
    """Each spelling as somebody's phone, and two rows of another person."""
    rows = [recipient(spelling.text, number) for number, spelling in enumerate(LISTED)]
    account.put(open_campaign(ONE), {"recipient": [*rows, recipient(OTHER, 900), recipient(f"+{OTHER}", 901)]})


def values(warehouse: Warehouse) -> Iterator[str]:
    """Every text of every table, names of columns too."""
    for rows in warehouse.content().values():
        yield from (str(value) for row in rows for value in row if value is not None)
    yield from (name for (name,) in warehouse.rows("SELECT column_name FROM information_schema.columns"))


def groups(warehouse: Warehouse) -> set[str]:
    return {name for (name,) in warehouse.rows("SELECT group_name FROM passona.recipient")}


def left() -> set[str]:
    """Groups of those whom the spellings that are not known leave, and of the other person."""
    return {f"n{number}" for number, spelling in enumerate(LISTED) if not spelling.value} | {"n900", "n901"}


def test_the_page_is_what_the_program_does() -> None:
    assert PAGE.read_text("utf-8") == page(), "make spellings writes it anew"


def test_who_is_forgotten_goes_and_stays_out_in_every_spelling(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    fill(account)
    warehouse.load(box)
    assert len(groups(warehouse)) == len(LISTED) + 2
    found = forget_people(warehouse, "+44 7700 900123")
    assert (found.unfound, found.tables["passona.recipient"]) == ([], KNOWN)
    assert groups(warehouse) == left()
    warehouse.load(box, refresh=True)
    assert groups(warehouse) == left()
    assert warehouse.one("SELECT suppressed FROM passona.report_ledger WHERE report = 'recipient'") == (KNOWN,)
    file = tmp_path / "recipient.csv"
    file.write_bytes(exported_csv(account, "recipient"))
    outcome, said = import_csv(warehouse, file, made_at=LATER, accept_shrink=True)
    assert outcome.errors == [], said
    assert groups(warehouse) == left()
    assert warehouse.one("SELECT suppressed FROM passona.report_ledger WHERE report = 'recipient'") == (KNOWN,)


@pytest.mark.duckdb("reads the bytes of the file")
def test_a_number_goes_from_tables_and_texts_that_people_made(warehouse: Warehouse, box: Sandbox) -> None:
    warehouse.load(box)
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute(
            "CREATE TABLE calls (n INTEGER, mobile VARCHAR); CREATE TABLE notes (n INTEGER, note VARCHAR)"
        )
        for number, spelling in enumerate(LISTED):
            connection.execute("INSERT INTO calls VALUES (?, ?)", [number, spelling.text])
            note = f"{spelling.text}, then {OTHER} and {spelling.text}"
            connection.execute("INSERT INTO notes VALUES (?, ?)", [number, note])
    found = forget_people(warehouse, PHONE)
    assert found.tables == {"main.calls": KNOWN, "main.notes": sum(spelling.words for spelling in LISTED)}
    assert {n for (n,) in warehouse.rows("SELECT n FROM calls")} == {
        number for number, spelling in enumerate(LISTED) if not spelling.value
    }
    for number, note in warehouse.rows("FROM notes"):
        spelling = LISTED[number]
        assert f"then {OTHER} and" in note
        if spelling.words:
            assert not spelled(note, PHONE)
            assert note.count("[erased]") == 2
        else:
            assert note == f"{spelling.text}, then {OTHER} and {spelling.text}"


@pytest.mark.parametrize("mode", ["pseudonymous", "minimal"])
def test_every_spelling_has_the_same_token_by_api_and_by_mail(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path, mode: str
) -> None:
    fill(account)
    warehouse.load(box, **MODES[mode])
    of_all = warehouse.rows("SELECT phone_number, count(*) FROM passona.recipient GROUP BY 1")
    assert (TOKENS.of_phone(PHONE), KNOWN) in of_all
    assert (TOKENS.of_phone(OTHER), 2) in of_all
    assert len(of_all) == 2 + 1 + sum(not each.value and not each.null for each in LISTED)  # one for NULL
    file = tmp_path / "recipient.csv"
    file.write_bytes(exported_csv(account, "recipient"))
    import_csv(warehouse, file, made_at=LATER, settings=Settings("none", **MODES[mode]))
    again = warehouse.rows("SELECT phone_number, count(*) FROM passona.recipient GROUP BY 1")
    assert sorted(again, key=str) == sorted(of_all, key=str)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.core(1)
def test_where_digits_were_lost_no_phone_is_stored(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str
) -> None:
    lost = ["4.47701E+11", "4,47701E+11", "########", "#N/A"]
    account.put(open_campaign(ONE), {"clicks": [click(Phone_Number=text) for text in lost] + [click(7)]})
    warehouse.load(box, **MODES[mode])
    assert warehouse.one("SELECT count(*), count(phone_number) FROM passona.clicks") == (5, 1)
    issues = warehouse.rows("SELECT column_name, issue, raw_value FROM passona.row_issues")
    assert {issue[:2] for issue in issues} == {("phone_number", "invalid_phone")}
    raw = sorted(issue[2] for issue in issues)
    assert raw == (sorted(lost) if mode == "clear" else sorted(["9.99999E+99", "9,99999E+99", "########", "#N/A"]))


def everywhere(account: Account) -> None:
    """Each spelling in every column that is nobody's phone."""
    among = [f"to {spelling.text} now" for spelling in LISTED if spelling.token]
    names = [text.replace(",", ";").replace("&", "") for text in among]
    account.put(
        open_campaign(ONE),
        {
            "clicks": [click(n, Link_Name=text, User_Agent=f"Mozilla/5.0 {text}", Device_Type=text, OS_Version=text)
                       for n, text in enumerate(among)]
            + [click(n, Link_Destination=f"https://{spelling.text}.example.org/a", Browser_Version=spelling.text)
               for n, spelling in enumerate(LISTED) if spelling.token],
            "delivery": [{"SMS_ID": f"m{n}", "Sender": "S", "Recipient": OTHER, "Message_Copy": text, "Status": text,
                          "Expiry_Date": spelling.text} for n, (text, spelling) in enumerate(zip(among, LISTED, strict=False))],
            "alt_delivery": [message(n, FieldNames=text, FieldValues=text) for n, text in enumerate(names)],
            "recipient": [recipient(OTHER, n) | {"Group_Name": text, "Group_Description": text} for n, text in enumerate(among)],
            "unsent": [{"MessageId": "m", "Mobile": OTHER, "FieldNames": "A,B", "FieldValues": text, "Reason": text}
                       for text in among],
        },
    )  # fmt: skip


@pytest.mark.duckdb("reads the bytes of the file")
@pytest.mark.parametrize("mode", ["pseudonymous", "minimal"])
def test_no_spelling_is_left_in_any_text_of_a_warehouse_of_tokens(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str
) -> None:
    everywhere(account)
    warehouse.load(box)
    assert sum(spelled(text, PHONE) for text in values(warehouse)) > 8 * 50, "the search finds what is there"
    other = Warehouse(warehouse.path.with_name("other.duckdb"))
    fields = {"privacy_fields": ("A",)} if mode == "pseudonymous" else {}
    assert other.load(box, **MODES[mode] | fields).exit_code == 0
    everything = b"\n".join(stored_values(other.path, warehouse.path.with_name("copy"))).decode()
    assert [text for text in everything.splitlines() if spelled(text, PHONE)] == []
    assert found_in(other.path.read_bytes(), [PHONE]) == set()


@pytest.mark.parametrize("mode", MODES)
def test_a_key_that_is_a_phone_is_neither_logged_nor_the_name_of_a_column(
    mode: str, account: Account, box: Sandbox, passona: Run, tmp_path: Path
) -> None:
    keys = [spelling.text for spelling in LISTED if spelling.token]
    account.put(open_campaign(ONE, **{PHONE: "x"}), {"clicks": [click(1, **dict.fromkeys(keys, "yes"))]})
    settings: dict[str, Any] = {f"SOURCES__PASSONA__{name.upper()}": value for name, value in MODES[mode].items()}
    ended = passona("load", box=box, **settings)
    assert ended.returncode == 0
    assert not spelled(ended.stderr + ended.stdout, PHONE)
    assert "clicks: new key 'number_" in ended.stderr
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    assert [text for text in values(warehouse) if spelled(text, PHONE)] == []
    file = tmp_path / "recipient.csv"
    file.write_bytes(
        f"{PHONE},+44 7700 900123,Phone_Number,Group_Name,Field_Names,Field_Values\n1,2,{OTHER},G,,\n".encode()
    )
    ended = passona("import-csv", str(file), "--campaign", ONE, **settings)
    assert ended.returncode == 0, ended.stderr
    assert not spelled(ended.stderr + ended.stdout, PHONE)
    assert [text for text in values(warehouse) if spelled(text, PHONE)] == []
    if mode == "clear":
        # Its column depends on the key alone, and what was sent under it is kept.
        assert warehouse.one("SELECT count(*) FROM passona.clicks WHERE COLUMNS('number_.*') = 'yes'") == (1,)


@pytest.mark.duckdb("reads the bytes of the file")
def test_a_number_in_a_name_or_a_comment_is_still_there(warehouse: Warehouse, box: Sandbox) -> None:
    warehouse.load(box)
    for spelling in LISTED:
        if spelling.words:
            text = spelling.text.replace("'", "''")
            change(warehouse.path, f"CREATE OR REPLACE TABLE mine (n INTEGER); COMMENT ON TABLE mine IS 'call {text}'")
            database = open_database(warehouse.address, 0, silent)
            try:
                with pytest.raises(StillThere, match="1 of 2 numbers are still"):
                    database.rewrite([OTHER, PHONE], 0, silent)
            finally:
                database.close()
    for spelling in LISTED:
        seen = bool(found_in(b"\x00\x9934" + spelling.text.encode() + b"99", [PHONE]))
        assert seen <= spelled(spelling.text, PHONE)


@pytest.mark.duckdb("reads the bytes of the file")
def test_a_spelling_in_a_place_that_is_not_searched_is_seen_in_the_bytes(warehouse: Warehouse, box: Sandbox) -> None:
    warehouse.load(box)
    change(warehouse.path, "CREATE TABLE mine AS SELECT '+44 7700-900 123' AS digest")  # a column of ids
    database = open_database(warehouse.address, 0, silent)
    try:
        with pytest.raises(StillThere, match="1 of 1 numbers are still"):
            database.rewrite([PHONE], 0, silent)
    finally:
        database.close()
    forget_people(warehouse, PHONE, **vars(PrivacySettings()) | {"published": ()})
