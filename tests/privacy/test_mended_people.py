"""What `forget` and `re-key` used to damage, leave behind or say wrongly."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from passona.config.privacy_settings import PrivacySettings
from passona.erasure.forget import forget
from passona.erasure.rekey import re_key
from passona.errors import StillThere
from passona.masking.tokens import Tokens
from passona.warehouse.database import open_database
from passona_sandbox import Account, Sandbox
from support.campaigns import ONE, click, message, open_campaign
from support.people import GONE, KEY, MODES, NEW_KEY, NUMBER, TOKENS, forget_people, silent
from support.warehouses import Warehouse

Run = Callable[..., "subprocess.CompletedProcess[str]"]
NEW = TOKENS | {"privacy_key": NEW_KEY, "privacy_former_keys": (KEY,)}
OLD_TOKENS, NEW_TOKENS = Tokens((KEY.encode(),)), Tokens((KEY.encode(), NEW_KEY.encode()))


def loaded(warehouse: Warehouse, account: Account, box: Sandbox, **options: object) -> None:
    rows = [message(n, MessageId=f"4471234567-{n}") for n in range(5)]
    account.put(open_campaign(ONE), {"clicks": [click(n) for n in range(5)], "alt_delivery": rows})
    warehouse.load(box, ONE, **options)


def run(path: Path, sql: str) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(sql)


def test_a_number_within_longer_ones_and_within_ids_damages_nobody(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    loaded(warehouse, account, box)
    uuid = "11111111-1111-4111-8111-004471234567"
    run(
        warehouse.path,
        f"CREATE TABLE notes AS SELECT * FROM (VALUES (1, '447123456789'), (2, '{uuid}'), "
        "(3, '4471234567 4471234567,+4471234567, 004471234567 14471234567')) AS t(n, note)",
    )
    run(warehouse.path, "CREATE TABLE calls AS SELECT '447123456789' AS phone UNION ALL SELECT '4471234567'")
    before = warehouse.content()
    found = forget_people(warehouse, "4471234567")
    assert (found.unfound, found.tables["main.calls"]) == ([], 1)
    assert warehouse.rows("FROM calls") == [("447123456789",)]
    assert warehouse.content() == before
    assert [note for _, note in warehouse.rows("FROM notes ORDER BY n")] == [
        "447123456789",
        uuid,
        "[erased] [erased],[erased], [erased] 14471234567",
    ]


def test_a_number_without_its_country_code_is_told_and_changes_nothing(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    loaded(warehouse, account, box)
    run(warehouse.path, f"CREATE TABLE notes AS SELECT '+44 {GONE[2:]}' AS note")
    before = warehouse.content()
    found = forget_people(warehouse, GONE[2:], GONE[:9], "447999999999", "447123400001")
    assert found.unfound == ["argument"] * 3
    assert warehouse.one("FROM notes") == (f"+44 {GONE[2:]}",)
    assert {name: len(before[name]) - len(rows) for name, rows in warehouse.content().items() if rows != before[name]} == {
        "clicks": 1, "alt_delivery": 1, "alt_delivery__fields": 2,
    } | ({"row_issues": 1} if len(before["row_issues"]) else {})  # fmt: skip


def test_columns_named_by_reserved_words_are_erased_and_re_keyed(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    loaded(warehouse, account, box, **TOKENS)
    token = OLD_TOKENS.of_phone(GONE)
    run(
        warehouse.path,
        f"""CREATE TABLE "order" AS SELECT '{token}' AS "from", 'with {token}' AS "end", '{GONE}' AS "group" """,
    )
    re_key(warehouse.path, PrivacySettings(**NEW), 0, silent)
    assert warehouse.one('SELECT "from" FROM "order"') == (NEW_TOKENS.of_phone(GONE),)
    forget_people(warehouse, GONE, **NEW)
    assert warehouse.one('SELECT "group", "end" FROM "order"') == ("[erased]", "with [erased]")


def test_re_key_replaces_every_token_of_a_text(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    loaded(warehouse, account, box, **TOKENS)
    phones = [GONE, "447123400004", GONE, "447123400005"]
    old, new = (" ".join(map(tokens.of_phone, phones)) + " p_none" for tokens in (OLD_TOKENS, NEW_TOKENS))
    run(warehouse.path, f"CREATE TABLE notes AS SELECT '{old}' AS note")
    re_key(warehouse.path, PrivacySettings(**NEW), 0, silent)
    assert warehouse.rows("FROM notes") == [(new,)]
    run(warehouse.path, f"INSERT INTO notes VALUES ('{old}')")
    ids = warehouse.rows("SELECT row_id FROM passona.clicks ORDER BY 1")
    assert re_key(warehouse.path, PrivacySettings(**NEW), 0, silent) == {"main.notes": 3}
    assert warehouse.rows("FROM notes") == [(new,), (new,)]
    assert warehouse.rows("SELECT row_id FROM passona.clicks ORDER BY 1") == ids


def test_copies_that_a_killed_rewriting_left_go_when_the_warehouse_is_opened(
    warehouse: Warehouse, account: Account, box: Sandbox
) -> None:
    loaded(warehouse, account, box)
    database = open_database(warehouse.path, 0, silent)
    try:
        with pytest.raises(StillThere):
            database.rewrite([GONE], 0, silent)
        database.connection.execute("CHECKPOINT")
        made = database.work.own / "rewriting"
        assert made.is_dir(), "the copies are made there"
        for name in ("plain.duckdb", "plain.duckdb.wal", "fresh.duckdb", "fresh.duckdb.wal"):
            (made / name).write_text(GONE)
    finally:
        database.connection.close()  # a kill: nothing is cleared
    database = open_database(warehouse.path, 0, silent)
    try:
        assert not list(database.work.path.rglob("*.duckdb*"))
    finally:
        database.close()


@pytest.mark.parametrize("other", ["minimal", "old key"])
def test_a_copy_of_another_mode_or_key_is_told_and_the_others_are_done(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path, other: str
) -> None:
    old, same = tmp_path / "old.duckdb", tmp_path / "same.duckdb"
    loaded(warehouse, account, box, **TOKENS)
    if other == "old key":
        shutil.copy(warehouse.path, old)
        re_key(warehouse.path, PrivacySettings(**NEW), 0, silent)
    else:
        Warehouse(old).load(box, ONE, **MODES[other])
    shutil.copy(warehouse.path, same)
    before = old.read_bytes()
    found = forget_people(warehouse, GONE, published=[old, same], **(NEW if other == "old key" else TOKENS))
    assert found.files == [warehouse.path, same]
    assert [str(error).partition(":")[0] for error in found.left] == [str(old)]
    assert old.read_bytes() == before
    assert Warehouse(same).count("clicks") == 4


def test_a_copy_without_reports_is_of_any_mode(
    warehouse: Warehouse, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    loaded(warehouse, account, box, **TOKENS)
    marts = tmp_path / "marts.duckdb"
    run(marts, "CREATE SCHEMA analytics; CREATE TABLE analytics.links AS SELECT 'x' AS link_destination")
    found = forget_people(warehouse, GONE, published=[marts], **TOKENS)
    assert (found.left, found.files) == ([], [warehouse.path, marts])


def test_a_dry_run_tells_of_whom_there_is_nothing(warehouse: Warehouse, account: Account, box: Sandbox) -> None:
    loaded(warehouse, account, box)
    texts = [("argument 1", "7123400003"), ("argument 2", f"4471234{NUMBER:05}")]
    assert forget(warehouse.path, texts, PrivacySettings(), 0, silent, dry_run=True).unfound == ["argument 1"]


def test_a_phone_is_found_in_every_spelling(warehouse: Warehouse) -> None:
    mine = ["+44 7123 400003", "07123-400003", "(07123) 400 003", "+44 (0)7123.400.003", "0044 7123/400003"]
    others = ["+44 7123 400004", "07123 4000031", "17123 400003", "7123400003", "2020-07-12 34:00:03", "0712340003"]
    texts = [f"(1, 'call {text}, {text} now')" for text in mine] + [f"(2, '{text}')" for text in others]
    run(warehouse.path, f"CREATE TABLE notes AS SELECT * FROM (VALUES {', '.join(texts)}) AS t(n, note)")
    run(warehouse.path, f"CREATE TABLE calls AS SELECT unnest({[*mine, *others]}) AS mobile")
    found = forget_people(warehouse, "+44 (0)7123 400003")
    assert (found.tables["main.notes"], found.tables["main.calls"]) == (len(mine), len(mine))
    assert warehouse.rows("SELECT DISTINCT note FROM notes WHERE n = 1") == [("call [erased], [erased] now",)]
    assert [note for (note,) in warehouse.rows("SELECT note FROM notes WHERE n = 2 ORDER BY ALL")] == sorted(others)
    assert [mobile for (mobile,) in warehouse.rows("FROM calls ORDER BY ALL")] == sorted(others)


def test_forget_fails_on_missing_copies_but_erases_the_others(
    warehouse: Warehouse, passona: Run, tmp_path: Path
) -> None:
    # A missing copy used to be a line among others, and the command ended with 0.
    run(warehouse.path, f"CREATE TABLE calls AS SELECT '{GONE}' AS mobile UNION ALL SELECT '447123400004'")
    missing, text, same = (tmp_path / name for name in ("missing.duckdb", "text.duckdb", "same.duckdb"))
    text.write_text("no database")
    shutil.copy(warehouse.path, same)
    published = json.dumps([str(missing), str(text), str(same)])
    reported = passona("forget", "--dry-run", GONE, SOURCES__PASSONA__PUBLISHED=published)
    assert (reported.returncode, f"{missing}: nobody was forgotten there" in reported.stderr) == (2, True)
    ended = passona("forget", GONE, SOURCES__PASSONA__PUBLISHED=published)
    assert ended.returncode == 2
    assert ended.stdout.splitlines()[-1].endswith("; NOT in 2 of the published copies")
    assert f"{missing}: nobody was forgotten there, because there is no such file" in ended.stderr
    assert f"{text} cannot be opened as a DuckDB file" in ended.stderr
    assert Warehouse(same).rows("FROM calls") == [("447123400004",)]
