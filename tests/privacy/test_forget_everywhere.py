"""Whoever is forgotten is gone from every byte that belongs to the warehouse, and stays away, wherever the number stood.

`make check` does it among 2,000 people; `make privacy` among 100,000 (PASSONA_PEOPLE).
"""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest

from passona.config.privacy_settings import PrivacySettings
from passona.erasure.forget import forget
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, TWO, click, ended_campaign, message, open_campaign
from support.csv_imports import import_csv
from support.engines import change
from support.engines import copy as copy_warehouse
from support.forked import Begun, run_passona
from support.people import MODES, delivery, forget_people, recipient, silent
from support.warehouses import Warehouse, environment_of
from traces import People, traces

Run = Callable[..., "subprocess.CompletedProcess[str]"]
PEOPLE = int(os.environ.get("PASSONA_PEOPLE", "2000"))
ZEB, OTHER = "447700900123", "447700900124"
ZEBS = People(frozenset({ZEB.encode()}), frozenset())
# One statement for each kind of column in which people keep numbers, and what is left of the first row and the second.
TABLES: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "a number": ("BIGINT", f"{ZEB}", [(None,), (int(OTHER),)]),
    "a number with decimals": ("DOUBLE", f"{ZEB}", [(None,), (float(OTHER),)]),
    "a decimal": ("DECIMAL(20, 2)", f"{ZEB}", [(None,), (int(OTHER),)]),
    "a list": ("VARCHAR[]", f"['{ZEB}', 'x']", [(["[erased]", "x"],), ([OTHER, "x"],)]),
    "a struct": ("STRUCT(n BIGINT, t VARCHAR)", f"{{'n': {ZEB}, 't': 'y'}}",
                 [({"n": None, "t": "y"},), ({"n": int(OTHER), "t": "y"},)]),
    "JSON": ("JSON", f"""'{{"note":"call {ZEB}"}}'""",
             [('{"note":"call [erased]"}',), (f'{{"note":"call {OTHER}"}}',)]),
    "a map": ("MAP(VARCHAR, VARCHAR)", f"MAP {{'p': '{ZEB}'}}", [({"p": "[erased]"},), ({"p": OTHER},)]),
    "bytes": ("BLOB", f"'{ZEB}'::BLOB", [(b"[erased]",), (OTHER.encode(),)]),
    "a text": ("VARCHAR", "'Zeb: +44 7700 900 123'", [("Zeb: [erased]",), ("Zeb: +44 7700 900 124",)]),
}  # fmt: skip


def other(value: str) -> str:
    return value.replace(ZEB, OTHER).replace("900 123", "900 124")


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A warehouse in which Zeb has a row, and stands in the texts of others: to be copied."""
    warehouse, account = Warehouse(tmp_path_factory.mktemp("loaded") / "warehouse.duckdb"), Account.empty()
    fill(account)
    with Sandbox(account) as box:
        warehouse.load(box)
    return warehouse


@pytest.fixture
def loaded(loaded_once: Warehouse, warehouse: Warehouse, account: Account) -> Warehouse:
    fill(account)
    copy_warehouse(loaded_once.path, warehouse.path)
    return warehouse


def fill(account: Account) -> None:
    zeb = {"Phone_Number": ZEB}
    account.put(
        open_campaign(ONE, name=f"Call {ZEB}"),
        {
            "clicks": [click(1) | zeb, click(2, User_Agent=f"x {ZEB}", Link_Name=f"tel:{ZEB}", New=f"+{ZEB}")],
            "sent": [{"Template_Name": f"Ask {ZEB}", "Template_API_ID": "t", "Message": f"Zeb: {ZEB}", "Brand": "b",
                      "Message_ID": "1", "Recipient_Count": ZEB, "Sent_On": f"at {ZEB}"}],
            "delivery": [delivery(3) | {"Message_Copy": "call Zeb on +44 7700 900123", "Expiry_Date": f"or {ZEB}"}],
            "alt_delivery": [message(4, FieldNames=f"A,{ZEB},C", FieldValues="1,07700 900123,3")],
            "recipient": [recipient(5) | {"Group_Name": f"friends of {ZEB}", "Field_Values": f"{ZEB},b,c"}],
            "unsent": [{"Mobile": "447700900555", "Reason": f"not {ZEB}", "FieldNames": "A", "FieldValues": [ZEB],
                        "Message_ID": "5"}],
        },
    )  # fmt: skip


def rows_of_others(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    return {name: rows for name, rows in warehouse.content().items() if name != "clicks"}


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.parametrize("mode", MODES)
def test_a_number_in_the_texts_of_others_does_not_return(
    loaded: Warehouse, account: Account, box: Sandbox, tmp_path: Path, mode: str
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    warehouse = Warehouse(folder / "warehouse.duckdb")
    kept = MODES[mode] | ({"privacy_fields": ("A", "New", "First Name")} if mode == "pseudonymous" else {})
    warehouse.load(box, **kept)
    forget_people(warehouse, ZEB, **kept)
    assert traces(folder, ZEBS) == {}
    for refresh in (False, True, False):
        assert warehouse.load(box, refresh=refresh, **kept).exit_code == 0
        assert traces(folder, ZEBS) == {}
    assert warehouse.one("SELECT count(*) FROM passona.clicks") == (1,)
    if mode == "clear":
        assert warehouse.one("SELECT name FROM passona.campaigns") == ("Call [erased]",)
        assert warehouse.one("SELECT message_copy FROM passona.delivery") == ("call Zeb on [erased]",)
        assert warehouse.one("SELECT link_name, user_agent, new FROM passona.clicks") == (
            "tel:[erased]", "x [erased]", "[erased]")  # fmt: skip
        assert warehouse.rows("SELECT name, value FROM passona.alt_delivery__fields ORDER BY position") == [
            ("A", "1"), ("[erased]", "[erased]"), ("C", "3")]  # fmt: skip
    before = warehouse.content()
    assert warehouse.load(box, **kept).exit_code == 0
    assert warehouse.content() == before


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.core
def test_an_import_brings_no_number_back(loaded: Warehouse, account: Account, tmp_path: Path) -> None:
    forget_people(loaded, ZEB)
    rows = [click(1, Phone_Number="447700900555", Link_Name=f"tel:{ZEB}", Link_Destination=f"https://e.org/{ZEB}"),
            click(2, Phone_Number=ZEB)]  # fmt: skip
    file = tmp_path / "clicks.csv"
    file.write_text(csv_of(rows))
    import_csv(loaded, file, campaign=TWO, report="clicks")
    file.unlink()
    found = "SELECT phone_number, link_name, link_destination FROM passona.clicks WHERE campaign_id = ?"
    assert loaded.rows(found, TWO) == [("447700900555", "tel:[erased]", "https://e.org/[erased]")]
    assert traces(tmp_path, ZEBS) == {}


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.parametrize("kind", TABLES)
def test_a_number_goes_from_user_columns_of_any_type(loaded: Warehouse, tmp_path: Path, kind: str) -> None:
    sql_type, value, left = TABLES[kind]
    change(loaded.path, f"CREATE TABLE mine (n INTEGER, v {sql_type}, phone BIGINT)")
    change(loaded.path, f"INSERT INTO mine VALUES (1, {value}, 1), (2, {other(value)}, 2)")
    before = rows_of_others(loaded)
    counted = forget(loaded.address, [("argument", ZEB)], PrivacySettings(), 0, silent, dry_run=True)
    assert counted.tables["main.mine"] == 1
    assert rows_of_others(loaded) == before
    forget_people(loaded, ZEB)
    assert loaded.rows("SELECT v FROM mine ORDER BY n") == left
    assert traces(tmp_path, ZEBS) == {}


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.parametrize(
    ("table", "left"),
    [
        (f"CREATE TABLE mine AS SELECT {ZEB} AS phone, 'Zeb' AS name UNION ALL SELECT {OTHER}, 'Ann'", [(int(OTHER), "Ann")]),
        (f"CREATE TABLE mine AS SELECT {ZEB}::DECIMAL(15, 0) AS phone UNION ALL SELECT {OTHER}", [(int(OTHER),)]),
        (f"CREATE TABLE mine AS SELECT ['{ZEB}', '{OTHER}'] AS phone", [(["[erased]", OTHER],)]),
        (f"CREATE TABLE mine AS SELECT '(+44) 7700-900123' AS mobile, 1 AS n UNION ALL SELECT '{OTHER}', 2", [(OTHER, 2)]),
        (f"CREATE TABLE mine (id BIGINT PRIMARY KEY, name VARCHAR); INSERT INTO mine VALUES ({ZEB}, 'Zeb'), ({OTHER}, 'Ann')",
         [(int(OTHER), "Ann")]),
        (f"CREATE TABLE mine (a VARCHAR, b VARCHAR GENERATED ALWAYS AS ('to ' || a)); INSERT INTO mine VALUES ('{ZEB}'), ('Ann')",
         [("Ann", "to Ann"), ("[erased]", "to [erased]")]),
        (f'CREATE TABLE mine ("a b" VARCHAR, "c""d" VARCHAR GENERATED ALWAYS AS (upper("a b"))); INSERT INTO mine VALUES (\'{ZEB}\')',
         [("[erased]", "[ERASED]")]),
        (f"CREATE TABLE mine (before VARCHAR, value VARCHAR, given VARCHAR, _people VARCHAR, texts VARCHAR); INSERT INTO mine VALUES ('{ZEB}', '{ZEB}', '{ZEB}', '{ZEB}', '{ZEB}')",
         [("[erased]",) * 5]),
        (f"CREATE TABLE _people AS SELECT '{ZEB}' AS note; CREATE VIEW mine AS SELECT note FROM _people", [("[erased]",)]),
        (f"CREATE TABLE given AS SELECT '{ZEB}' AS after; CREATE VIEW mine AS SELECT after FROM given", [("[erased]",)]),
        (f"CREATE SCHEMA own; CREATE TABLE own.clicks AS SELECT '{ZEB}' AS digits; CREATE VIEW mine AS FROM own.clicks", [("[erased]",)]),
        (f"ALTER TABLE passona.clicks ADD COLUMN owner BIGINT; UPDATE passona.clicks SET owner = {ZEB}; CREATE VIEW mine AS SELECT owner FROM passona.clicks",
         [(None,)]),
        (f"CREATE TABLE mine (message_id VARCHAR, digest VARCHAR, row_id BIGINT); INSERT INTO mine VALUES ('{ZEB}', 'tel:+{ZEB}', {ZEB})",
         [("[erased]", "tel:[erased]", None)]),
        (f"CREATE TABLE passona._notes AS SELECT 'Zeb: {ZEB}' AS note, {ZEB} AS n; CREATE VIEW mine AS FROM passona._notes",
         [("Zeb: [erased]", None)]),
        (f"CREATE SCHEMA passona_own; CREATE TABLE passona_own._notes AS SELECT '{ZEB}' AS note; CREATE VIEW mine AS FROM passona_own._notes",
         [("[erased]",)]),
        (f"CREATE TABLE mine (v VARCHAR PRIMARY KEY); INSERT INTO mine VALUES ('{ZEB}'), ('0{ZEB[2:]}'), ('[erased]'), ('not {ZEB}')",
         [("[erased]",), ("not [erased]",)]),
        (f"CREATE TABLE mine (n INTEGER, v VARCHAR, PRIMARY KEY (n, v)); INSERT INTO mine VALUES (1, '{ZEB}'), (1, '+{ZEB}'), (2, 'at {ZEB}'), (3, 'at {ZEB}'), (4, 'x')",
         [(2, "at [erased]"), (3, "at [erased]"), (4, "x")]),
        (f"CREATE TABLE mine (v VARCHAR); CREATE UNIQUE INDEX one ON mine (lower(v)); INSERT INTO mine VALUES ('{ZEB}'), ('+{ZEB}'), ('at {ZEB}')",
         [("at [erased]",)]),
        (f"CREATE TABLE mine (v VARCHAR UNIQUE); INSERT INTO mine VALUES ('at {ZEB}'), ('at +{ZEB}'), ('by {ZEB}'), ('by [erased]'), ('to {ZEB}')",
         [("by [erased]",), ("to [erased]",)]),
        (f"CREATE TABLE mine (v VARCHAR CHECK (regexp_full_match(v, '[0-9]+')), n BIGINT CHECK (n IS NOT NULL)); INSERT INTO mine VALUES ('{ZEB}', 1), ('2', {ZEB}), ('3', 3)",
         [("3", 3)]),
        (f"CREATE TABLE mine (v MAP(VARCHAR, INTEGER)); INSERT INTO mine VALUES (MAP {{'{ZEB}': 1, '+{ZEB}': 2}}), (MAP {{'{ZEB}': 1}})",
         [({"[erased]": 1},), (None,)]),
    ],
    ids=["phone BIGINT", "phone DECIMAL", "phones", "mobile", "primary key", "generated", "generated and quoted",
         "names of ours", "a table _people", "a table given", "a table clicks", "a column in a table of ours", "names of our keys", "a table passona._notes",
         "a schema passona_own", "a key of texts", "a key of two columns", "a unique index", "texts that become the same",
         "a check", "a map whose keys become the same"],
)  # fmt: skip
@pytest.mark.core(2)
def test_no_user_table_keeps_a_number_or_blocks_forget(
    loaded: Warehouse, tmp_path: Path, table: str, left: list[tuple[Any, ...]]
) -> None:
    for statement in table.split("; "):
        change(loaded.path, statement)
    forget_people(loaded, ZEB)
    assert loaded.rows("FROM mine ORDER BY ALL") == left
    assert traces(tmp_path, ZEBS) == {}


LINKED = {
    "by the phone": (
        ("CREATE TABLE mine (phone VARCHAR PRIMARY KEY, name VARCHAR)",
         "CREATE TABLE notes (mobile VARCHAR REFERENCES mine (phone), note VARCHAR)",
         f"INSERT INTO mine VALUES ('{ZEB}', 'Zeb'), ('{OTHER}', 'Ann')",
         f"INSERT INTO notes VALUES ('{ZEB}', 'x'), ('{OTHER}', 'not +{ZEB}')"),
        [(OTHER, "Ann")], [(OTHER, "not [erased]")]),
    "by an id": (
        ("CREATE TABLE mine (id INTEGER PRIMARY KEY, phone VARCHAR)",
         "CREATE TABLE notes (person INTEGER REFERENCES mine (id), note VARCHAR)",
         f"INSERT INTO mine VALUES (1, '{ZEB}'), (2, '{OTHER}'), (3, '+{ZEB}')",
         f"INSERT INTO notes VALUES (1, 'call {ZEB}'), (2, 'y')"),
        [(1, None), (2, OTHER), (3, None)], [(1, "call [erased]"), (2, "y")]),
    "by an id, phone a number that must be there": (
        ("CREATE TABLE mine (id INTEGER PRIMARY KEY, phone BIGINT, name VARCHAR NOT NULL)",
         "CREATE TABLE notes (person INTEGER REFERENCES mine (id), recipient VARCHAR NOT NULL)",
         f"INSERT INTO mine VALUES (1, {ZEB}, '{ZEB}'), (2, {OTHER}, 'Ann')",
         f"INSERT INTO notes VALUES (1, '{ZEB}'), (2, 'y')"),
        [(2, int(OTHER), "Ann")], [(2, "y")]),
    "three in a row": (
        ("CREATE TABLE mine (phone VARCHAR PRIMARY KEY)",
         "CREATE TABLE a (phone VARCHAR PRIMARY KEY REFERENCES mine (phone))",
         "CREATE TABLE notes (phone VARCHAR REFERENCES a (phone), n INTEGER)",
         *(f"INSERT INTO {table} VALUES ('{ZEB}'), ('{OTHER}')" for table in ("mine", "a")),
         f"INSERT INTO notes VALUES ('{ZEB}', 1), ('{OTHER}', 2)"),
        [(OTHER,)], [(OTHER, 2)]),
    "by a column of another name": (
        ("CREATE TABLE mine (phone VARCHAR PRIMARY KEY, shown VARCHAR GENERATED ALWAYS AS ('+' || phone))",
         "CREATE TABLE notes (person VARCHAR REFERENCES mine (phone))",
         f"INSERT INTO mine VALUES ('{ZEB}'), ('{OTHER}')", f"INSERT INTO notes VALUES ('{ZEB}'), ('{OTHER}')"),
        [(OTHER, f"+{OTHER}")], [(OTHER,)]),
    "a table to itself": (
        ("CREATE TABLE mine (phone VARCHAR PRIMARY KEY, parent VARCHAR REFERENCES mine (phone))",
         f"INSERT INTO mine VALUES ('{OTHER}', NULL)", f"INSERT INTO mine VALUES ('{ZEB}', '{OTHER}')",
         "CREATE VIEW notes AS SELECT 1"),
        [(OTHER, None)], [(1,)]),
}  # fmt: skip


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.parametrize(("statements", "mine", "notes"), LINKED.values(), ids=[*LINKED])
def test_foreign_keys_between_tables_of_users_do_not_keep_a_number(
    loaded: Warehouse, tmp_path: Path, statements: Sequence[str], mine: list[Any], notes: list[Any]
) -> None:
    for statement in statements:
        change(loaded.path, statement)
    before = forget(loaded.address, [("argument", ZEB)], PrivacySettings(), 0, silent, dry_run=True)
    assert (loaded.rows("FROM mine ORDER BY ALL"), loaded.rows("FROM notes ORDER BY ALL")) != (mine, notes)
    after = forget_people(loaded, ZEB)
    assert (loaded.rows("FROM mine ORDER BY ALL"), loaded.rows("FROM notes ORDER BY ALL")) == (mine, notes)
    assert before.tables["main.mine"] == after.tables["main.mine"]
    assert traces(tmp_path, ZEBS) == {}
    assert forget_people(loaded, ZEB).tables.total() == 0


@pytest.mark.duckdb("looks for bytes in the file")
def test_what_a_killed_publish_left_beside_a_copy_goes_too(loaded: Warehouse, tmp_path: Path) -> None:
    published = tmp_path / "copy.duckdb"
    for place in (published, tmp_path / ".copy.duckdb.4194305.part", tmp_path / ".copy.duckdb.4194305.part.wal"):
        place.write_bytes(loaded.path.read_bytes())
    forget_people(loaded, ZEB, published=[published])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.duckdb", "warehouse.duckdb"]
    assert traces(tmp_path, ZEBS) == {}


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.core
def test_a_number_that_is_a_part_of_another_stays(loaded: Warehouse) -> None:
    rows = f"(0.{ZEB}, 9{ZEB}, '9{ZEB}'), ({ZEB}, {ZEB}, '{ZEB}')"
    change(loaded.path, f"CREATE TABLE mine (v DOUBLE, n HUGEINT, t VARCHAR); INSERT INTO mine VALUES {rows}")
    forget_people(loaded, ZEB)
    assert loaded.rows("FROM mine ORDER BY ALL") == [
        (float(f"0.{ZEB}"), int(f"9{ZEB}"), f"9{ZEB}"), (None, None, "[erased]")]  # fmt: skip


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_token_in_a_users_notes_goes_though_a_column_there_is_called_phone(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    fill(account)
    warehouse.load(box, **MODES["pseudonymous"])
    agent = "SELECT phone_number FROM passona.clicks WHERE user_agent NOT LIKE 'x %'"
    (token,) = warehouse.one(agent)
    change(warehouse.path, f"CREATE TABLE mine AS SELECT 'x' AS phone, 'see {token}!' AS note, ['{token}'] AS several")
    forget_people(warehouse, ZEB, **MODES["pseudonymous"])
    assert warehouse.rows("FROM mine") == [("x", "see [erased]!", ["[erased]"])]


@pytest.mark.duckdb("looks for bytes in the file")
@pytest.mark.parametrize(
    "sql",
    [f"CREATE MACRO zeb() AS '{ZEB}'", f"CREATE TYPE zeb AS ENUM ('{ZEB}')", f"CREATE VIEW zeb AS SELECT '{ZEB}' AS phone",
     f"CREATE TABLE zeb (a INTEGER); COMMENT ON TABLE zeb IS '{ZEB}'", f"CREATE TABLE zeb (a VARCHAR DEFAULT '{ZEB}')",
     f"CREATE SEQUENCE zeb START {ZEB}", 'CREATE SCHEMA "４４７７００９００１２３"'],
)  # fmt: skip
def test_a_number_in_a_user_definition_is_reported_with_an_exit_code(loaded: Warehouse, passona: Run, sql: str) -> None:
    change(loaded.path, sql)
    ended = passona("forget", ZEB)
    assert ended.returncode == 2
    assert "still in its bytes" in ended.stderr


def linked(folder: Path) -> Path:
    """The warehouse moved elsewhere, and a link to it in its place; gives the file."""
    real = folder / "real"
    real.mkdir()
    file = real / "w.duckdb"
    (folder / "warehouse.duckdb").rename(file)
    (folder / "warehouse.duckdb").symlink_to(Path("real") / "w.duckdb")
    return file


@pytest.mark.duckdb("looks for bytes in the file")
def test_behind_a_link_the_file_itself_is_made_anew(
    loaded: Warehouse, passona: Run, box: Sandbox, tmp_path: Path
) -> None:
    file = linked(tmp_path)
    (tmp_path / "copy.duckdb").symlink_to("copies.duckdb")
    assert passona("publish", "copy.duckdb").returncode == 0
    assert (tmp_path / "copies.duckdb").is_file()
    published = {"SOURCES__PASSONA__PUBLISHED": '["copy.duckdb"]'}
    for _ in range(2):
        ended = passona("forget", ZEB, **published)
        assert ended.returncode == 0, ended.stderr
        assert traces(tmp_path, ZEBS) == {}
        assert (tmp_path / "warehouse.duckdb").readlink() == Path("real/w.duckdb")
        assert (tmp_path / "copy.duckdb").readlink() == Path("copies.duckdb")
        assert passona("load", "--refresh", box=box).returncode == 0
    assert {path.name for path in file.parent.iterdir()} == {"w.duckdb"}
    assert {path.name for path in tmp_path.iterdir()} == {"warehouse.duckdb", "real", "copy.duckdb", "copies.duckdb"}


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_published_link_to_itself_is_reported_and_the_others_are_done(
    loaded: Warehouse, passona: Run, tmp_path: Path
) -> None:
    assert passona("publish", "copy.duckdb").returncode == 0
    (tmp_path / "loop.duckdb").symlink_to("loop.duckdb")
    ended = passona("forget", ZEB, SOURCES__PASSONA__PUBLISHED='["loop.duckdb", "copy.duckdb"]')
    assert ended.returncode == 2
    assert "leads to itself" in ended.stderr
    assert "NOT in 1 of the published copies" in ended.stdout
    (tmp_path / "loop.duckdb").unlink()
    assert traces(tmp_path, ZEBS) == {}


@pytest.mark.duckdb("looks for bytes in the file")
def test_retention_behind_a_link_reaches_the_bytes(
    warehouse: Warehouse, account: Account, passona: Run, box: Sandbox, tmp_path: Path
) -> None:
    account.put(ended_campaign(ONE, 100), {"clicks": [click(1) | {"Phone_Number": ZEB}]})
    warehouse.load(box)
    linked(tmp_path)
    assert passona("load", box=box, SOURCES__PASSONA__RETAIN_DAYS="90").returncode == 0
    assert (tmp_path / "warehouse.duckdb").is_symlink()
    assert traces(tmp_path, ZEBS) == {}


@pytest.mark.duckdb("looks for bytes in the file")
def test_a_file_with_another_name_is_told_until_that_is_gone(
    loaded: Warehouse, passona: Run, box: Sandbox, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.duckdb"
    backup.hardlink_to(loaded.path)
    for _ in range(2):
        ended = passona("forget", ZEB)
        assert ended.returncode == 2
        assert "2 names (hard links)" in ended.stderr
        assert loaded.path.samefile(backup)
    backup.unlink()
    assert passona("forget", ZEB).returncode == 0
    assert traces(tmp_path, ZEBS) == {}


@pytest.mark.duckdb("looks for bytes in the file")
def test_retention_tells_of_another_name_too_and_the_load_is_told_as_it_is(
    warehouse: Warehouse, account: Account, passona: Run, box: Sandbox, tmp_path: Path
) -> None:
    account.put(ended_campaign(ONE, 100), {"clicks": [click(1) | {"Phone_Number": ZEB}]})
    warehouse.load(box)
    (tmp_path / "backup.duckdb").hardlink_to(warehouse.path)
    for _ in range(2):
        loaded = passona("load", box=box, SOURCES__PASSONA__RETAIN_DAYS="90")
        assert loaded.returncode == 2
        assert "2 names (hard links)" in loaded.stderr
    (tmp_path / "backup.duckdb").unlink()
    assert passona("load", box=box, SOURCES__PASSONA__RETAIN_DAYS="90").returncode == 0
    assert traces(tmp_path, ZEBS) == {}


def crowd(account: Account) -> None:
    """Many people, and Zeb among them and in all that is said of them."""
    zeb = {"Phone_Number": ZEB}
    middle = PEOPLE // 2
    clicks = [click(n) for n in range(PEOPLE)]
    clicks[middle] |= zeb
    clicks[7] |= {"Link_Destination": f"https://e.org/?p={ZEB}", "Device_Type": [ZEB], "New": f"0{ZEB[2:]}"}
    messages = [delivery(n) for n in range(PEOPLE)]
    messages[middle] |= {"Recipient": "+44 7700 900123"}
    messages[9] |= {"Message_Copy": "call Zeb on +44 (0) 7700-900123", "Expiry_Date": f"? {ZEB}"}
    going_out = [message(n) for n in range(PEOPLE)]
    going_out[3] |= {"FieldNames": "A,B", "FieldValues": f"x,{ZEB}.0"}
    account.put(open_campaign(ONE), {"clicks": clicks, "delivery": messages, "alt_delivery": going_out})
    contacts = [recipient(n) for n in range(PEOPLE)]
    contacts[middle] |= zeb
    account.put(open_campaign(TWO, name=f"For {ZEB}"), {"recipient": contacts})


def csv_of(rows: Sequence[Mapping[str, object]]) -> str:
    keys = list(click())
    return "\r\n".join([",".join(keys), *(",".join(str(row.get(key) or "") for key in keys) for row in rows), ""])


@pytest.mark.duckdb("looks for bytes in the file")
def test_one_of_many_is_gone_from_every_byte(warehouse: Warehouse, account: Account, tmp_path: Path) -> None:
    crowd(account)
    chance = random.Random(19)
    with Sandbox(account) as box:
        environment = environment_of(box, tmp_path) | {"SOURCES__PASSONA__PUBLISHED": '["link.duckdb"]'}

        def run(*words: str) -> None:
            ended = run_passona(words, tmp_path, environment)
            assert ended.returncode == 0, ended.stderr

        (tmp_path / "link.duckdb").symlink_to("copy.duckdb")
        box.faults = [{"kind": "status", "code": 404, "report": "delivery", "page": 2, "times": 99}]
        assert run_passona(["load"], tmp_path, environment).returncode == 4  # leaves a spool
        box.faults = []
        run("load", TWO)
        for kind, (sql_type, value, _) in TABLES.items():
            name = "".join(c for c in kind if c.isalpha())
            change(warehouse.path, f"CREATE TABLE {name} (v {sql_type}); INSERT INTO {name} VALUES ({value})")
        run("load")
        run("publish", "link.duckdb")
        others = {name: warehouse.table(name) for name in ("clicks", "recipient", "delivery")}
        assert traces(tmp_path, ZEBS)
        for _ in range(10):
            Begun(["forget", ZEB], tmp_path, environment).kill(chance.uniform(0.2, 3))
        run("forget", ZEB)
        assert traces(tmp_path, ZEBS) == {}
        for _ in range(3):
            run("load", "--refresh")
            assert traces(tmp_path, ZEBS) == {}
        outside = tmp_path.with_name(f"{tmp_path.name}.csv")
        outside.write_text(csv_of(account.rows(ONE, "clicks")))
        run("import-csv", str(outside), "--campaign", ONE, "--report", "clicks")
        outside.unlink()
        assert traces(tmp_path, ZEBS) == {}
    for name, before in others.items():
        own = [
            row for row in before if not any("[erased]" in str(v) or ZEB in str(v) or "900123" in str(v) for v in row)
        ]
        after = [row for row in warehouse.table(name) if not any("[erased]" in str(v) for v in row)]
        assert after == own, name
    with duckdb.connect(str(tmp_path / "copy.duckdb"), read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM passona.clicks").fetchall() == [(PEOPLE - 1,)]
