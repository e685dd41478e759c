"""`passona forget --account`: a person is erased and kept out for one brand, and stays as it was for the other."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import dlt
import pytest

from passona import passona_source
from passona.analytics.publish import publish_warehouse
from passona.analytics.target import target
from passona.config.privacy_settings import PrivacySettings
from passona.config.settings import Settings
from passona.erasure.forget import Forgotten, forget, rewrite_all
from passona.erasure.lift import Lifted, lift
from passona.erasure.person import Person, person
from passona.errors import ConfigurationError
from passona.masking.policy import CLEAR
from passona.masking.tokens import Tokens
from passona.warehouse.database import open_database
from passona.warehouse.verification import verify
from passona_sandbox import Sandbox
from support.brands import ANN, BRANDS, CUSTOMERS, account_of, content_of, load_brands, sandboxes
from support.campaigns import ONE, TWO
from support.csv_imports import exported_csv, import_csv
from support.engines import change, drop
from support.engines import copy as copy_warehouse
from support.ledgers import ledger_states
from support.marts import build_marts, mart_rows
from support.people import KEY, MODES, forget_people, silent
from support.sandbox_requests import requested_reports
from support.warehouses import Warehouse
from traces import People, spelled, traces

pytestmark = pytest.mark.both
Run = Callable[..., "subprocess.CompletedProcess[str]"]
ANNS = People(frozenset({ANN.encode()}), frozenset())


@pytest.fixture(scope="module")
def boxes() -> Iterator[dict[str, Sandbox]]:
    with sandboxes() as boxes:
        yield boxes


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory, boxes: dict[str, Sandbox]) -> Iterator[Warehouse]:
    warehouse = Warehouse(tmp_path_factory.mktemp("loaded") / "warehouse.duckdb")
    load_brands(warehouse, boxes)
    yield warehouse
    drop(warehouse.path)


@pytest.fixture
def loaded(loaded_once: Warehouse, warehouse: Warehouse) -> Warehouse:
    """Both brands, in a warehouse of the test's own."""
    copy_warehouse(loaded_once.path, warehouse.path)
    return warehouse


def forgotten(
    warehouse: Warehouse, brand: str | None, *phones: str, published: Sequence[Path] = (), dry_run: bool = False,
    **privacy_settings: Any,
) -> Forgotten:  # fmt: skip
    texts = [(f"argument {number}", phone) for number, phone in enumerate(phones, 1)]
    known = PrivacySettings(published=tuple(map(str, published)), **privacy_settings)
    found = forget(warehouse.address, texts, known, 0, silent, account=brand, dry_run=dry_run)
    if not dry_run:
        rewrite_all(warehouse.address, texts, known, 0, silent, into=found, account=brand)
    return found


def lifted(warehouse: Warehouse, brand: str | None, *phones: str, dry_run: bool = False, **options: Any) -> Lifted:
    texts = [(f"argument {number}", phone) for number, phone in enumerate(phones, 1)]
    return lift(warehouse.address, texts, PrivacySettings(**options), 0, silent, account=brand, dry_run=dry_run)


def seen(warehouse: Warehouse, brand: str | None, **privacy_settings: Any) -> Person:
    return person(warehouse.address, ("PHONE", ANN), PrivacySettings(**privacy_settings), 0, silent, account=brand)


def entries(warehouse: Warehouse) -> list[str | None]:
    return [account for (account,) in warehouse.rows("SELECT account FROM passona._forgotten ORDER BY ALL")]


def names_ann(content: dict[str, list[tuple[Any, ...]]]) -> set[str]:
    """The tables with a text that has her number."""
    return {name for name, rows in content.items() for row in rows for cell in row if cell and spelled(str(cell), ANN)}


def without_ids(content: dict[str, list[tuple[Any, ...]]], names: set[str]) -> dict[str, list[list[Any]]]:
    """Rows of these tables; a row whose text was erased has another id after the next load."""
    is_id = re.compile("[0-9a-f]{32}").fullmatch
    return {
        name: sorted([[c for c in row if not (c and is_id(c))] for row in content[name]], key=repr) for name in names
    }


@pytest.mark.core
def test_a_person_is_erased_for_one_brand_alone(loaded: Warehouse) -> None:
    before = {brand: content_of(loaded, brand) for brand in BRANDS}
    counted = forgotten(loaded, "brand_a", ANN, dry_run=True)
    assert {brand: content_of(loaded, brand) for brand in BRANDS} == before
    found = forgotten(loaded, "brand_a", ANN)
    assert counted.tables == found.tables
    assert (found.people, found.unfound, found.elsewhere, found.left) == (1, [], [], [])
    after = content_of(loaded, "brand_a")
    assert names_ann(after) == set()
    assert content_of(loaded, "brand_b") == before["brand_b"]
    lost = {f"passona.{name}": len(rows) - len(after[name]) for name, rows in before["brand_a"].items()}
    assert {name: rows for name, rows in lost.items() if rows > 0} == {
        "passona.alt_delivery": 1, "passona.clicks": 1, "passona.delivery": 1, "passona.recipient": 1,
        "passona.recipient__fields": 1, "passona.unsent": 1, "passona.unsent__fields": 1,
        "passona.alt_delivery__fields": 1,
    }  # fmt: skip
    assert loaded.one("SELECT name FROM passona.campaigns WHERE campaign_id = ?", ONE) == ("Alphaword of [erased]",)
    assert loaded.one("SELECT message FROM passona.sent WHERE campaign_id = ?", ONE) == ("Alphaword: call [erased]",)
    assert entries(loaded) == ["brand_a"] * len(entries(loaded)) != []
    assert loaded.rows("SELECT account, outcome FROM passona.runs WHERE verb = 'forget'") == [("brand_a", "ok")]
    assert verify(loaded.address, 0, silent).lines == []


@pytest.mark.parametrize("mode", MODES)
def test_later_loads_and_imports_keep_the_person_out_of_that_brand_alone(
    warehouse: Warehouse, boxes: dict[str, Sandbox], tmp_path: Path, mode: str
) -> None:
    load_brands(warehouse, boxes, **MODES[mode])
    before = content_of(warehouse, "brand_b")
    value = ANN if mode == "clear" else Tokens((KEY.encode(),)).of_phone(ANN)
    forgotten(warehouse, "brand_a", ANN, **MODES[mode])
    without = content_of(warehouse, "brand_a")
    load_brands(warehouse, boxes, refresh=True, **MODES[mode])
    has_ann = "SELECT campaign_id FROM passona.recipient WHERE phone_number = ?"
    assert warehouse.rows(has_ann, value) == [(TWO,)]
    names = {*without} - {"runs", "report_ledger"}
    assert {name: content_of(warehouse, "brand_b")[name] for name in names} == {name: before[name] for name in names}
    if mode == "clear":  # the tokens and shapes of erased texts are others
        assert without_ids(content_of(warehouse, "brand_a"), names) == without_ids(without, names)
    after = content_of(warehouse, "brand_a")
    assert {name: len(after[name]) for name in names} == {name: len(without[name]) for name in names}
    suppressed = "SELECT campaign_id, suppressed FROM passona.report_ledger WHERE report = 'recipient' ORDER BY 1"
    assert warehouse.rows(suppressed) == [(ONE, 1), (TWO, 0)]
    for brand, uuid in BRANDS.items():
        file = tmp_path / f"{brand}.csv"
        file.write_bytes(exported_csv(account_of(brand), "recipient", uuid))
        settings = Settings("none", account=brand, **MODES[mode])
        import_csv(warehouse, file, campaign=uuid, report="recipient", settings=settings)
    assert warehouse.rows(has_ann, value) == [(TWO,)]


@pytest.mark.duckdb("runs the source on a file")
@pytest.mark.parametrize(("brand", "stays"), [("default", []), ("brand_b", [(ONE,)])])
def test_the_dlt_source_heeds_the_entries_of_its_own_account(
    warehouse: Warehouse, boxes: dict[str, Sandbox], brand: str, stays: list[tuple[str]]
) -> None:
    load_brands(warehouse, {"default": boxes["brand_a"], "brand_b": boxes["brand_b"]})
    forgotten(warehouse, brand, ANN)
    folder, destination = str(warehouse.path.with_name("dlt")), dlt.destinations.duckdb(str(warehouse.path))
    pipeline = dlt.pipeline("sms", pipelines_dir=folder, destination=destination, dataset_name="passona")
    box = boxes["brand_a"]
    pipeline.run(passona_source(api_token=box.token, base_url=box.base_url, campaigns=[ONE], refresh=True))
    has_ann = "SELECT campaign_id FROM passona.recipient WHERE phone_number = ? AND campaign_id = ?"
    assert warehouse.rows(has_ann, ANN, ONE) == stays


@pytest.mark.core
def test_no_byte_of_the_file_has_a_person_whom_no_other_brand_has(loaded: Warehouse, tmp_path: Path) -> None:
    customer = CUSTOMERS["brand_a"]
    found = forgotten(loaded, "brand_a", customer, ANN)
    assert found.unfound == []
    assert names_ann(content_of(loaded, "brand_a")) == set()
    assert loaded.rows("SELECT phone_number FROM passona.recipient ORDER BY 1") == [(ANN,), (CUSTOMERS["brand_b"],)]
    if isinstance(loaded.address, Path):
        assert found.unsearched == {loaded.path: 1}
        assert found.searched > 0
        assert traces(tmp_path, People(frozenset({customer.encode()}), frozenset())) == {}


@pytest.mark.duckdb("users' tables are searched in files")
def test_tables_of_users_are_named_and_stay(loaded: Warehouse, passona: Run, tmp_path: Path) -> None:
    change(
        loaded.path,
        f"CREATE TABLE mine (phone BIGINT PRIMARY KEY, campaign_id VARCHAR); INSERT INTO mine VALUES ({CUSTOMERS['brand_a']}, '{ONE}'); "
        "CREATE TABLE notes (phone BIGINT REFERENCES mine (phone), note VARCHAR); CREATE TABLE other AS SELECT 1 AS n; "
        f"ALTER TABLE passona.sent ADD COLUMN remark VARCHAR; UPDATE passona.sent SET remark = '{CUSTOMERS['brand_a']}'",
    )
    ended = passona("forget", "--account", "brand_a", CUSTOMERS["brand_a"])
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        "passona: main.mine is not a table of passona-warehouse and names these people too: erase them there yourself",
        f"passona: {loaded.path}: its bytes were not searched for 1 number, which other accounts or tables of your own still have",
    ]  # fmt: skip
    assert ended.stdout.splitlines()[-1] == "1 person forgotten in account brand_a; 1 file rewritten"
    assert loaded.rows("FROM mine") == [(int(CUSTOMERS["brand_a"]), ONE)]
    remarks = "SELECT campaign_id, remark FROM passona.sent ORDER BY 1"
    assert loaded.rows(remarks) == [(ONE, "[erased]"), (TWO, CUSTOMERS["brand_a"])]


def test_a_brand_that_lacks_the_person_says_so(loaded: Warehouse, passona: Run) -> None:
    before = {brand: content_of(loaded, brand) for brand in BRANDS}
    ended = passona("forget", "--dry-run", "--account", "brand_a", CUSTOMERS["brand_b"], CUSTOMERS["brand_a"])
    assert ended.returncode == 0
    assert ended.stderr == (
        "passona: argument 1: nobody of this number was found in account brand_a; numbers need their country code\n"
    )
    assert ended.stdout.endswith("2 people; nothing was changed\n")
    assert {brand: content_of(loaded, brand) for brand in BRANDS} == before


@pytest.mark.parametrize("verb", [["forget"], ["forget", "--dry-run"], ["forget", "--lift"], ["person"]])
def test_an_unknown_account_is_refused(loaded: Warehouse, passona: Run, verb: list[str]) -> None:
    before = loaded.content(), loaded.table("runs")
    ended = passona(*verb, "--account", "brand_c", ANN)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert (
        ended.stderr
        == "passona: --account brand_c: the warehouse has no such account; its accounts: brand_a, brand_b\n"
    )
    assert (loaded.content(), loaded.table("runs")) == before


def test_marts_lose_the_person_for_one_brand(loaded: Warehouse) -> None:
    assert build_marts(loaded).exit_code == 0
    before = mart_rows(loaded)
    forgotten(loaded, "brand_a", ANN)
    directly = {mart: loaded.rows(f"SELECT campaign_id, count(*) FROM analytics.{mart} GROUP BY 1") for mart in ("clicks", "messages")}  # fmt: skip
    assert {mart: sorted(rows) for mart, rows in directly.items()} == {
        "clicks": [(ONE, 1), (TWO, 2)], "messages": [(ONE, 2), (TWO, 4)],
    }  # fmt: skip
    assert build_marts(loaded).exit_code == 0
    for mart, rows in mart_rows(loaded).items():
        assert [row for row in rows if TWO in row] == [row for row in before[mart] if TWO in row], mart
        assert not [row for row in rows if ONE in row and any(spelled(str(cell), ANN) for cell in row)], mart


@pytest.mark.duckdb("publishes copies of the file")
def test_copies_of_this_account_and_of_all_lose_the_person(loaded: Warehouse, tmp_path: Path) -> None:
    assert build_marts(loaded).exit_code == 0
    copies = {name: tmp_path / f"{name}.duckdb" for name in ("all", "brand_a", "brand_b", "marts_a", "marts_b")}
    for name, path in copies.items():
        brand, marts_only = None if name == "all" else name.replace("marts", "brand"), name.startswith("marts")
        to = target(path, loaded.path, personal=not marts_only)
        publish_warehouse(loaded.path, to, 0, silent, marts_only=marts_only, privacy=CLEAR, account=brand)
    before = {name: path.read_bytes() for name, path in copies.items()}
    other = {name: content_of(Warehouse(copies[name]), "brand_b") for name in ("all", "brand_b")}
    links = Warehouse(copies["marts_b"]).rows("FROM analytics.links ORDER BY ALL")
    found = forgotten(loaded, "brand_a", ANN, published=[*copies.values()])
    assert (found.left, found.files) == ([], [loaded.path, *copies.values()])
    assert found.unsearched == {loaded.path: 1, copies["all"]: 1, copies["brand_b"]: 1, copies["marts_b"]: 1}
    assert {name: content_of(Warehouse(copies[name]), "brand_b") for name in other} == other
    assert Warehouse(copies["marts_b"]).rows("FROM analytics.links ORDER BY ALL") == links
    for name in ("all", "brand_a"):
        assert names_ann(content_of(Warehouse(copies[name]), "brand_a")) == set()
        assert verify(copies[name], 0, silent).lines == []
    for name in ("brand_a", "marts_a"):
        (tmp_path / f"only_{name}").mkdir()
        copies[name].rename(tmp_path / f"only_{name}/copy.duckdb")
        assert traces(tmp_path / f"only_{name}", ANNS) == {}
    assert before.keys() == copies.keys()


@pytest.mark.duckdb("publishes copies of the file")
def test_a_copy_of_the_account_loses_its_people_though_a_campaign_has_moved(loaded: Warehouse, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    copy = tmp_path / "out/brand_a.duckdb"
    to = target(copy, loaded.path, personal=True)
    publish_warehouse(loaded.path, to, 0, silent, marts_only=False, account="brand_a")
    change(loaded.path, "UPDATE passona.campaigns SET account = 'brand_b'")
    forgotten(loaded, "brand_a", ANN, published=[copy])
    assert traces(copy.parent, ANNS) == {}
    assert len(loaded.rows("SELECT 1 FROM passona.recipient WHERE phone_number = ?", ANN)) == 2


@pytest.mark.duckdb("publishes copies of the file")
def test_a_copy_from_before_accounts_is_erased_too(loaded: Warehouse, tmp_path: Path) -> None:
    forgotten(loaded, None, "447700900999")
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(loaded.path.read_bytes())
    change(
        copy, "ALTER TABLE passona.campaigns DROP COLUMN account; ALTER TABLE passona._forgotten DROP COLUMN account"
    )
    found = forgotten(loaded, "brand_a", ANN, published=[copy])
    assert found.left == []
    rows = "SELECT campaign_id FROM passona.recipient WHERE phone_number = ?"
    assert Warehouse(copy).rows(rows, ANN) == [(TWO,)]
    assert "brand_a" in entries(Warehouse(copy))
    assert lifted(loaded, "brand_a", ANN, published=(str(copy),)).left == []
    assert "brand_a" not in entries(Warehouse(copy))


def test_an_older_list_of_forgotten_people_is_of_all_accounts(loaded: Warehouse, boxes: dict[str, Sandbox]) -> None:
    forget_people(loaded, ANN)
    change(loaded.path, "ALTER TABLE passona._forgotten DROP COLUMN account")
    load_brands(loaded, boxes, refresh=True)
    assert {*entries(loaded)} == {None}
    assert loaded.rows("SELECT 1 FROM passona.recipient WHERE phone_number = ?", ANN) == []


def test_a_person_of_both_brands_is_forgotten_by_one_and_then_by_the_other(
    loaded: Warehouse, boxes: dict[str, Sandbox], tmp_path: Path
) -> None:
    for brand in BRANDS:
        assert forgotten(loaded, brand, ANN).unfound == []
    assert {*entries(loaded)} == {*BRANDS}
    load_brands(loaded, boxes, refresh=True)
    assert loaded.rows("SELECT 1 FROM passona.recipient WHERE phone_number = ?", ANN) == []
    if isinstance(loaded.address, Path):
        assert traces(tmp_path, ANNS) == {}


def test_lifting_brings_back_what_one_brand_lost(loaded: Warehouse, boxes: dict[str, Sandbox]) -> None:
    names = {*content_of(loaded, "brand_a")} - {"runs", "report_ledger"}
    before = {brand: {name: content_of(loaded, brand)[name] for name in names} for brand in BRANDS}
    for brand in BRANDS:
        forgotten(loaded, brand, ANN)
    assert lifted(loaded, "brand_a", ANN, dry_run=True) == (found := lifted(loaded, "brand_a", ANN))
    assert (found.people, found.unknown, {uuid for uuid, _ in found.due}) == (1, [], {ONE})
    assert {*entries(loaded)} == {"brand_b"}
    states = ledger_states(loaded)
    assert {state for (uuid, _), state in states.items() if uuid == TWO} == {"settled"}
    boxes["brand_a"].forget_requests()
    load_brands(loaded, boxes)
    assert requested_reports(boxes["brand_a"]) == found.due
    after = {name: content_of(loaded, "brand_a")[name] for name in names}
    assert after == before["brand_a"]
    assert loaded.rows("SELECT campaign_id FROM passona.recipient WHERE phone_number = ?", ANN) == [(ONE,)]
    assert lifted(loaded, "brand_a", ANN).unknown == ["argument 1"]
    assert lifted(loaded, None, ANN).people == 1, "without --account, every entry of hers is lifted"
    assert entries(loaded) == []


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]])
def test_who_is_forgotten_for_all_is_not_let_in_for_one(loaded: Warehouse, passona: Run, dry_run: list[str]) -> None:
    forgotten(loaded, "brand_a", ANN)
    forgotten(loaded, None, ANN)
    before = entries(loaded)
    ended = passona("forget", "--lift", *dry_run, "--account", "brand_a", CUSTOMERS["brand_a"], ANN)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "passona: argument 2: forgotten for all accounts, so not let in for brand_a alone; passona forget --lift "
        "without --account lets the person in for all\n"
    )
    assert entries(loaded) == before


def test_a_person_asks_one_brand_for_access(loaded: Warehouse, passona: Run) -> None:
    change(loaded.path, f"CREATE TABLE passona.mine AS SELECT '{ANN}' AS phone, '{ONE}' AS campaign_id")
    everywhere = seen(loaded, None)
    for brand, uuid in BRANDS.items():
        found = seen(loaded, brand)
        assert found.tables == {
            table: [row for row in rows if row["campaign_id"] == uuid]
            for table, rows in everywhere.tables.items()
            if table != "passona.mine"
        }
        assert {campaign for mention in found.mentions for campaign in mention.campaigns} == {uuid}
    forgotten(loaded, "brand_a", ANN)
    assert seen(loaded, "brand_a").tables == {}
    assert seen(loaded, "brand_b").tables != {}
    since = {brand: seen(loaded, brand).blocked_since is not None for brand in (*BRANDS, None)}
    assert since == {"brand_a": True, "brand_b": False, None: False}
    document = json.loads(passona("person", "--json", "--account", "brand_b", ANN).stdout)
    assert (document["account"], {*document["tables"]}) == ("brand_b", {*seen(loaded, "brand_b").tables})


def test_a_warehouse_that_is_open_has_its_mode_by_account(loaded: Warehouse) -> None:
    from passona.warehouse.policy_table import privacy_of, read_privacy

    forgotten(loaded, "brand_a", ANN)
    database = open_database(loaded.address, 0, silent)
    try:
        found = {brand: privacy_of(database, PrivacySettings(), brand).forgotten for brand in (*BRANDS, None)}
        assert {brand: bool(known) for brand, known in found.items()} == {
            "brand_a": True,
            "brand_b": False,
            None: False,
        }
        assert read_privacy(database.connection, PrivacySettings(), "brand_a").forgotten == found["brand_a"]
    finally:
        database.close()


def test_an_entry_for_all_covers_every_account(loaded: Warehouse) -> None:
    forgotten(loaded, None, ANN)
    before = entries(loaded)
    forgotten(loaded, "brand_b", ANN)
    assert entries(loaded) == before == [None] * len(before)
    with pytest.raises(ConfigurationError, match="forgotten for all accounts"):
        lifted(loaded, "brand_b", ANN)
