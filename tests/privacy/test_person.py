"""`passona person`: all that is stored about one person, in every mode, and nobody else's text."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from passona.cli.main import main
from passona.config.privacy_settings import PrivacySettings
from passona.erasure.person import OTHER, Mention, Person, person
from passona.errors import ConfigurationError
from passona.masking.tokens import Tokens
from passona_sandbox import Account, Sandbox
from support.ann_and_zeb import ANN, SECRET, ZEB, delivery, fill
from support.campaigns import ONE, TWO, click, open_campaign
from support.engines import change, destination_of
from support.people import KEY, MODES, forget_people, silent
from support.warehouses import Warehouse

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
TOKENS = Tokens((KEY.encode(),))


def seen(warehouse: Warehouse, text: str, **privacy_settings: Any) -> Person:
    return person(warehouse.address, ("PHONE", text), PrivacySettings(**privacy_settings), 0, silent)


def stored(warehouse: Warehouse, table: str, condition: str) -> list[dict[str, Any]]:
    """Rows of a table as the contract has them, by SQL of their own."""
    columns = [name for (name,) in warehouse.rows(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'passona' AND table_name = ? "
        "AND left(column_name, 1) <> '_' ORDER BY ordinal_position", table,
    )]  # fmt: skip
    rows = warehouse.rows(f"SELECT {', '.join(columns)} FROM passona.{table} WHERE {condition} ORDER BY ALL")
    return [dict(zip(columns, row, strict=True)) for row in rows]


def expected(warehouse: Warehouse, value: str) -> dict[str, list[dict[str, Any]]]:
    parents = {
        "clicks": "phone_number", "delivery": "recipient", "alt_delivery": "mobile", "recipient": "phone_number",
        "unsent": "mobile",
    }  # fmt: skip
    found = {table: stored(warehouse, table, f"{column} = '{value}'") for table, column in parents.items()}
    ids = {table: ", ".join(f"'{row['row_id']}'" for row in rows) for table, rows in found.items()}
    for table in ("alt_delivery", "recipient", "unsent"):
        found[f"{table}__fields"] = stored(warehouse, f"{table}__fields", f"row_id IN ({ids[table]})")
    found["row_issues"] = stored(warehouse, "row_issues", f"row_id IN ({', '.join(ids.values())})")
    return {f"passona.{table}": rows for table, rows in sorted(found.items()) if rows}


def by_content(rows: list[dict[str, Any]]) -> list[str]:
    return sorted(repr({name: str(value) for name, value in row.items()}) for row in rows)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.core(1)
def test_all_rows_of_a_person_in_every_mode_and_nobody_else_s(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str
) -> None:
    fill(account)
    warehouse.load(box, **MODES[mode])
    value = ANN if mode == "clear" else TOKENS.of_phone(ANN)
    found = seen(warehouse, ANN, **MODES[mode])
    wanted = expected(warehouse, value)
    assert {name: len(rows) for name, rows in wanted.items()} == {
        "passona.alt_delivery": 1, "passona.clicks": 1, "passona.delivery": 1, "passona.recipient": 2,
        "passona.recipient__fields": 4, "passona.row_issues": 2, "passona.unsent": 1,
    }  # fmt: skip
    assert {name: by_content(rows) for name, rows in found.tables.items()} == {
        name: by_content(rows) for name, rows in wanted.items()
    }
    assert (found.privacy, found.blocked_since) == (mode, None)
    assert SECRET not in repr(found)
    if mode != "clear":
        assert seen(warehouse, value, **MODES[mode]).tables == found.tables, "a token names the same person"
        assert ANN not in repr(found)


def test_texts_of_others_are_counted_and_never_shown(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    fill(account)
    warehouse.load(box)
    assert seen(warehouse, ANN).mentions == [
        Mention("passona.alt_delivery__fields", "value", 1, [ONE]),
        Mention("passona.clicks", "link_destination", 1, [ONE]),
        Mention("passona.delivery", "message_copy", 1, [ONE]),
        Mention("passona.row_issues", "raw_value", 1, [ONE]),
        Mention("passona.sent", "message", 2, [ONE, TWO]),
    ]


def test_tokens_in_texts_of_others_are_counted_too(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    privacy_settings = MODES["pseudonymous"] | {"privacy_fields": ("Last Name",)}
    fill(account)
    warehouse.load(box, **privacy_settings)
    found = seen(warehouse, ANN, **privacy_settings)
    assert found.mentions == [
        Mention("passona.alt_delivery__fields", "value", 1, [ONE]),
        Mention("passona.sent", "message", 2, [ONE, TWO]),
    ]


@pytest.mark.parametrize(
    "spelling", ["+44 7700 900123", "07700-900123", "447700900123.0", "+44 (0)7700\u2009900123", '="447700900123"']
)
def test_a_person_is_found_however_the_number_is_spelled_in_the_warehouse(
    warehouse: Warehouse, account: Account, box: Sandbox, spelling: str
) -> None:
    fill(account, spelling)
    warehouse.load(box)
    found = seen(warehouse, "+44 7700 900123")
    assert {name: len(rows) for name, rows in found.tables.items()} == {
        "passona.alt_delivery": 1, "passona.clicks": 1, "passona.delivery": 1, "passona.recipient": 2,
        "passona.recipient__fields": 4, "passona.row_issues": 2, "passona.unsent": 1,
    }  # fmt: skip
    assert {row["phone_number"] for row in found.tables["passona.recipient"]} == {spelling}


def test_a_phone_that_came_as_a_number_is_the_person_s_too(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(Phone_Number=int(ANN)), click(Phone_Number=int(ZEB))]})
    warehouse.load(box)
    found = seen(warehouse, ANN)
    assert [row["phone_number"] for row in found.tables["passona.clicks"]] == [None]
    assert [row["raw_value"] for row in found.tables["passona.row_issues"]] == [ANN]
    assert found.mentions == []


@pytest.mark.duckdb("about a file")
def test_tables_of_the_user_are_looked_through_whatever_their_types(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(Phone_Number=ANN)]})
    warehouse.load(box)
    change(
        warehouse.path,
        f"""
        CREATE TABLE calls ("from" VARCHAR, phone BIGINT, Mobile VARCHAR, price DECIMAL(9, 2), tags VARCHAR[]);
        INSERT INTO calls VALUES ('x', {ANN}, '{ZEB}', 1.5, ['a']), ('{SECRET}', {ZEB}, '{ZEB}', 2, ['{ANN}']);
        CREATE SCHEMA crm;
        CREATE TABLE crm.people (id BIGINT, recipient VARCHAR, _note VARCHAR);
        INSERT INTO crm.people VALUES (1, '+44 7700 900123', 'hers'), (2, '{ZEB}', '{SECRET} 07700 900123');
        CREATE TABLE made (number VARCHAR, phone VARCHAR GENERATED ALWAYS AS (upper(number)) VIRTUAL);
        INSERT INTO made VALUES ('{ANN}'), ('{ZEB}');
        CREATE TABLE numbers AS SELECT {ANN} AS n, 447700900123.0::DOUBLE AS d, {{'phone': '{ANN}'}} AS s;
        """,
    )
    found = seen(warehouse, ANN)
    assert {name: rows for name, rows in found.tables.items() if not name.startswith("passona.")} == {
        "crm.people": [{"id": 1, "recipient": "+44 7700 900123", "_note": "hers"}],
        "main.calls": [{"from": "x", "phone": int(ANN), "Mobile": OTHER, "price": "1.50", "tags": "[a]"}],
        "main.made": [{"number": ANN, "phone": ANN}],
    }
    assert found.mentions == [
        Mention("crm.people", "_note", 1, []),
        Mention("main.calls", "tags", 1, []),
        Mention("main.numbers", "n", 1, []),
        Mention("main.numbers", "d", 1, []),
        Mention("main.numbers", "s", 1, []),
    ]


@pytest.mark.duckdb("about a file")
def test_rows_of_the_marts_are_the_person_s_too(demo_warehouse: Path) -> None:
    warehouse = Warehouse(demo_warehouse)
    ((phone,),) = warehouse.rows(
        "SELECT phone FROM analytics.recipient_fields WHERE phone IN (SELECT phone FROM analytics.clicks) "
        "GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1"
    )
    found = seen(warehouse, phone)
    marts = {name: len(rows) for name, rows in found.tables.items() if name.startswith("analytics")}
    assert {"analytics.messages", "analytics.clicks", "analytics.recipient_fields"} <= marts.keys()
    assert marts == {name: warehouse.one(f"SELECT count(*) FROM {name} WHERE phone = ?", phone)[0] for name in marts}
    ((others,),) = warehouse.rows("SELECT count(DISTINCT phone) FROM analytics.messages WHERE phone <> ?", phone)
    assert others > 0
    assert {row["phone"] for row in found.tables["analytics.messages"]} == {phone}


@pytest.mark.parametrize("mode", MODES)
def test_who_is_forgotten_is_told_with_since_when(
    warehouse: Warehouse, account: Account, box: Sandbox, mode: str
) -> None:
    fill(account)
    warehouse.load(box, **MODES[mode])
    forget_people(warehouse, ANN, **MODES[mode])
    found = seen(warehouse, "0044 7700 900123", **MODES[mode])
    assert (found.tables, found.mentions) == ({}, [])
    ((since,),) = warehouse.rows("SELECT DISTINCT forgotten_at FROM passona._forgotten")
    assert found.blocked_since == since
    assert seen(warehouse, ZEB, **MODES[mode]).blocked_since is None


def test_what_is_no_person_of_this_warehouse_is_refused(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="run passona load first"):
        seen(Warehouse(warehouse.path.with_name("other.duckdb")), ANN)
    fill(account)
    warehouse.load(box)
    with pytest.raises(ConfigurationError, match="expected a phone with its country code"):
        seen(warehouse, "07700 900123")
    with pytest.raises(ConfigurationError, match="it is clear, give the phone"):
        seen(warehouse, TOKENS.of_phone(ANN))
    with pytest.raises(ConfigurationError, match="this warehouse is clear"):
        seen(warehouse, ANN, **MODES["minimal"])
    assert seen(warehouse, ANN[2:]) == Person("clear", None, {}, []), "the end of another's number"


@pytest.fixture
def verb(warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """The verb in this process: its exit code, what it prints and what it says."""
    monkeypatch.setenv("DESTINATION__WAREHOUSE__CREDENTIALS", str(warehouse.path))
    for name, value in destination_of(warehouse.path.parent).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str, typed: str | None = None) -> tuple[int, str, str]:
        ended = CliRunner().invoke(main, ["person", *arguments], input=typed)
        return ended.exit_code, ended.stdout, ended.stderr

    return run


@pytest.mark.core
def test_the_json_of_a_person(
    warehouse: Warehouse, account: Account, box: Sandbox, verb: Callable[..., tuple[int, str, str]]
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(Phone_Number=ANN, Link_Name="a\u202eb\x9b", Clicked_At=None)]})
    warehouse.load(box)
    ((row_id,),) = warehouse.rows("SELECT row_id FROM passona.clicks")
    code, printed, said = verb("--json", "-", typed=f"# her number\n{ANN}\n")
    assert (code, said, printed.isascii()) == (0, "", True)
    assert json.loads(printed) == {
        "privacy": "clear",
        "kept_out_since": None,
        "tables": {
            "passona.clicks": [
                {
                    "phone_number": ANN, "link_name": "a\u202eb\x9b", "link_destination": "https://example.org/",
                    "clicked_at": None, "user_agent": "UA", "device_type": None, "os_version": None,
                    "browser_version": "83.0", "campaign_id": ONE, "row_id": row_id,
                }
            ]
        },
        "named_by_others": [],
    }  # fmt: skip


def test_a_terminal_gets_a_small_table_for_each_of_the_warehouse_s(
    warehouse: Warehouse, account: Account, box: Sandbox, verb: Callable[..., tuple[int, str, str]]
) -> None:
    fill(account)
    text = "Hi Ann, \x1b[31m" + "long " * 40 + "\u202e" + "x" * 90
    account.put(open_campaign(ONE), {"delivery": [delivery(ANN, text), delivery(ZEB, f"{SECRET} {ANN}")]})
    warehouse.load(box)
    code, printed, said = verb(ANN)
    assert (code, said) == (0, "")
    assert max(map(len, printed.splitlines())) <= 80
    assert not {"\x1b", "\u202e"} & set(printed)
    assert SECRET not in printed
    assert "passona.delivery: 1 row\n" in printed
    assert "".join(printed.split()).count("x" * 90) == 1
    assert printed.splitlines()[-3:] == [
        "named in 1 row of others: passona.delivery, column message_copy",
        "named in 1 row of others: passona.sent, column message",
        "4 rows in 3 tables",
    ]


@pytest.mark.core
def test_a_number_of_nobody_is_one_line_and_exit_0(
    warehouse: Warehouse, account: Account, box: Sandbox, verb: Callable[..., tuple[int, str, str]]
) -> None:
    fill(account)
    warehouse.load(box)
    assert verb("447700900999") == (0, "no row of this person is stored here; a number needs its country code\n", "")


@pytest.mark.core
def test_no_number_is_in_any_error(
    warehouse: Warehouse, account: Account, box: Sandbox, verb: Callable[..., tuple[int, str, str]]
) -> None:
    fill(account)
    warehouse.load(box)
    for arguments, typed in (
        (["07700900123"], None),
        ([ANN, ZEB], None),
        (["+44", "7700", "900123"], None),
        (["-"], f"{ANN}\n{ZEB}\n"),
        (["-"], ""),
        (["--debug", "x07700900123"], None),
    ):
        code, printed, said = verb(*arguments, typed=typed)
        assert (code, printed) == (2, "")
        assert said
        assert "900123" not in said


@pytest.mark.duckdb("about a file")
def test_a_warehouse_that_is_being_written_is_waited_for(
    warehouse: Warehouse, account: Account, box: Sandbox, verb: Callable[..., tuple[int, str, str]]
) -> None:
    fill(account)
    warehouse.load(box)
    hold = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, warehouse.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as writer:
        assert writer.stdout
        writer.stdout.readline()
        code, printed, said = verb("--wait", "0", ANN)
        writer.communicate(b"")
    assert (code, printed, f"process {writer.pid}" in said, ANN in said) == (6, "", True, False)
    assert verb(ANN)[0] == 0
