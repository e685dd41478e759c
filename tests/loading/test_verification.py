"""Unverified data is not passed on: publish, transform, report and verify, after what kills and failures leave behind."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from passona.reports.row_ids import Fingerprint, Ordinals, row_ids, stored_digest
from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, TWO, click, message, open_campaign
from support.engines import change, copy
from support.forked import Begun
from support.marts import build_marts
from support.sandbox_requests import requested_reports
from support.served import assert_as_served
from support.warehouses import Warehouse, environment_of

pytestmark = pytest.mark.both

Run = Callable[..., "subprocess.CompletedProcess[str]"]
# What a load that ends in the middle of a report leaves, by the moment: before its rows, between two tables, behind
# the ledger, in the first load of a campaign.
OF_TWO = f"WHERE campaign_id = '{TWO}' AND report = 'clicks'"
MARKED = f"UPDATE passona.report_ledger SET verified_at = NULL, state = 'failed', error = 'interrupted' {OF_TWO}"
HALVES = {
    "marked": [MARKED],
    "rows deleted": [MARKED, f"DELETE FROM passona.clicks WHERE campaign_id = '{TWO}'"],
    "ledger of an incomplete load": [f"UPDATE passona.report_ledger SET _dlt_load_id = '1' {OF_TWO}"],
    "rows without an entry": [f"DELETE FROM passona.report_ledger {OF_TWO}"],
}
# Of a first load that ends between two tables.
ORPHANS = {
    "fields alone": ["alt_delivery", "report_ledger"],
    "issues alone": ["alt_delivery", "alt_delivery__fields", "report_ledger"],
}


def fill(account: Account, more: int = 0) -> None:
    for uuid, name in ((ONE, "Spring"), (TWO, "Summer")):
        account.put(
            open_campaign(uuid, name=name),
            {
                "alt_delivery": [message(n) for n in range(5 + more)],
                "clicks": [click(n) for n in range(4 + more)],
            },
        )


def halve(warehouse: Warehouse, statements: list[str]) -> None:
    for statement in statements:
        change(warehouse.path, statement)


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """A loaded warehouse, to be copied."""
    warehouse, account = Warehouse(tmp_path_factory.mktemp("loaded") / "warehouse.duckdb"), Account.empty()
    fill(account)
    with Sandbox(account) as box:
        assert warehouse.load(box).exit_code == 0
    return warehouse


@pytest.fixture(scope="module")
def built_once(loaded_once: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The same with its marts, to be copied."""
    warehouse = Warehouse(tmp_path_factory.mktemp("built") / "warehouse.duckdb")
    copy(loaded_once.path, warehouse.path)
    assert build_marts(warehouse).exit_code == 0
    return warehouse


@pytest.fixture
def loaded(loaded_once: Warehouse, warehouse: Warehouse, account: Account) -> Warehouse:
    fill(account)
    copy(loaded_once.path, warehouse.path)
    return warehouse


@pytest.fixture
def built(built_once: Warehouse, warehouse: Warehouse, account: Account) -> Warehouse:
    fill(account)
    copy(built_once.path, warehouse.path)
    return warehouse


@pytest.mark.duckdb("publishes, copies or damages a file")
@pytest.mark.parametrize("options", [(), ("--marts-only",)], ids=["whole", "marts only"])
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_publish_refuses_a_report_that_may_be_half_written(
    built: Warehouse, passona: Run, tmp_path: Path, half: list[str], options: tuple[str, ...]
) -> None:
    copy = tmp_path / "readers.duckdb"
    assert passona("publish", str(copy), *options).returncode == 0
    before = copy.read_bytes()
    halve(built, half)
    refused = passona("publish", str(copy), *options)
    assert refused.returncode == 4
    assert f"campaign {TWO}, clicks: a load was interrupted" in refused.stderr
    assert "the old copy stays, run passona load" in refused.stderr
    assert copy.read_bytes() == before


@pytest.mark.duckdb("publishes, copies or damages a file")
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_after_the_next_load_publish_works_again(
    loaded: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path, half: list[str]
) -> None:
    halve(loaded, half)
    ended = passona("load", "--publish", "readers.duckdb", box=box)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert_as_served(Warehouse(tmp_path / "readers.duckdb"), account, [ONE, TWO])


@pytest.mark.parametrize("gone", ORPHANS.values(), ids=ORPHANS)
def test_rows_of_any_table_that_no_load_vouches_for_are_told_and_replaced(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, gone: list[str]
) -> None:
    account.put(open_campaign(TWO), {"alt_delivery": [message(n, MessageSent="yesterday") for n in range(3)]})
    warehouse.load(box)
    whole = warehouse.content()
    for table in gone:
        where = "AND report = 'alt_delivery'" if table == "report_ledger" else ""
        change(warehouse.path, f"DELETE FROM passona.{table} WHERE campaign_id = '{TWO}' {where}")
    found = passona("verify")
    assert (found.returncode, found.stderr.count("alt_delivery: a load was interrupted")) == (4, 1)
    assert warehouse.load(box).exit_code == 0
    assert warehouse.content() == whole
    assert passona("verify").returncode == 0


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_one_load_repairs_an_unlisted_campaign(
    loaded: Warehouse, account: Account, box: Sandbox, passona: Run, half: list[str]
) -> None:
    halve(loaded, half)
    change(loaded.path, f"UPDATE passona.campaigns SET listed = false WHERE campaign_id = '{TWO}'")
    box.faults = [
        {"kind": "meta", "fields": {"total": 1, "to": 1}, "report": "campaigns"},
        {"kind": "swallow_row", "report": "campaigns", "index": 1},
    ]
    assert [row["uuid"] for row in account.campaigns()] == [ONE, TWO]
    box.forget_requests()
    assert loaded.load(box).exit_code == 0
    assert [key for key in requested_reports(box) if key[0] == TWO] == [(TWO, "clicks")]
    assert_as_served(loaded, account, [ONE, TWO])
    assert passona("verify").returncode == 0
    assert [key for key in loaded_again(loaded, box) if key[0] == TWO] == []


def loaded_again(warehouse: Warehouse, box: Sandbox) -> list[tuple[str, str]]:
    warehouse.load(box)
    return requested_reports(box)


def test_a_half_written_report_of_a_deleted_campaign_stays_an_error(
    loaded: Warehouse, account: Account, box: Sandbox
) -> None:
    halve(loaded, HALVES["marked"])
    account.remove(TWO)
    for _ in range(2):
        outcome = loaded.load(box)
        assert outcome.exit_code == 4
        (error,) = outcome.errors
        assert f"campaign {TWO}, clicks: " in error


@pytest.mark.duckdb("publishes, copies or damages a file")
@pytest.mark.parametrize("outcome", ["running", "interrupted"])
def test_marts_of_a_build_that_was_killed_are_not_published(
    built: Warehouse, passona: Run, tmp_path: Path, outcome: str
) -> None:
    assert passona("publish", "readers.duckdb").returncode == 0
    before = (tmp_path / "readers.duckdb").read_bytes()
    # What a build leaves that is killed between two models.
    change(built.path, f"UPDATE passona.runs SET outcome = '{outcome}' WHERE verb = 'transform'")
    change(built.path, "DELETE FROM analytics.messages")
    for options in ((), ("--marts-only",)):
        refused = passona("publish", "readers.duckdb", *options)
        assert (refused.returncode, refused.stderr) == (
            4,
            "passona: a build of the models was interrupted; the old copy stays, run passona transform\n",
        )
    assert (tmp_path / "readers.duckdb").read_bytes() == before
    assert passona("transform", "--full-refresh").returncode == 0
    assert passona("publish", "readers.duckdb").returncode == 0


@pytest.mark.duckdb("publishes, copies or damages a file")
def test_failed_and_held_reports_are_published_with_their_old_rows(
    loaded: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path
) -> None:
    served = {uuid: account.rows(uuid, "alt_delivery") for uuid in (ONE, TWO)}
    account.put(open_campaign(ONE), {"alt_delivery": served[ONE], "clicks": []})
    box.faults = [{"kind": "status", "code": 403, "report": "clicks", "campaign": TWO}]
    ended = passona("load", "--publish", "readers.duckdb", box=box)
    assert ended.returncode == 4
    copy = Warehouse(tmp_path / "readers.duckdb")
    states = "SELECT campaign_id, state FROM passona.report_ledger WHERE report = 'clicks' ORDER BY 1"
    assert copy.rows(states) == [(ONE, "held"), (TWO, "failed")]
    assert copy.count("clicks") == 8


@pytest.mark.duckdb("publishes, copies or damages a file")
def test_a_report_that_never_came_does_not_keep_the_others_from_readers(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path
) -> None:
    fill(account)
    box.faults = [{"kind": "status", "code": 403, "report": "clicks"}]
    assert passona("load", "--publish", "readers.duckdb", box=box).returncode == 4
    assert Warehouse(tmp_path / "readers.duckdb").count("alt_delivery") == 10


# Those that hold rows: a file has free ones too, which nobody misses.
BLOCKS = "SELECT DISTINCT block_id FROM pragma_storage_info('passona.clicks') WHERE block_id >= 0 ORDER BY 1"
# DuckDB's storage: three headers of 4 KiB, then blocks of 256 KiB.
FILE_HEADERS, BLOCK_BYTES = 3 * 4096, 256 * 1024


@pytest.mark.duckdb("publishes, copies or damages a file")
@pytest.mark.parametrize("where", [0.0, 0.5, 0.9])
def test_a_damaged_file_is_not_published(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path, where: float
) -> None:
    # Texts that do not compress, so that all of the file is full of them.
    texts = row_ids("clicks", ONE, ((str(n),) for n in range(60_000)))
    account.put(open_campaign(ONE), {"clicks": [click(n, Link_Name=text) for n, text in enumerate(texts)]})
    assert warehouse.load(box).exit_code == 0
    assert passona("publish", "readers.duckdb").returncode == 0
    before = (tmp_path / "readers.duckdb").read_bytes()
    blocks = warehouse.rows(BLOCKS)
    (block,) = blocks[int(len(blocks) * where)]
    with warehouse.path.open("r+b") as file:
        file.seek(FILE_HEADERS + block * BLOCK_BYTES)
        file.write(bytes(64 * 1024))
    refused = passona("publish", "readers.duckdb")
    assert refused.returncode in (2, 4), refused.stderr
    assert "damaged" in refused.stderr or "cannot be opened" in refused.stderr
    assert (tmp_path / "readers.duckdb").read_bytes() == before
    found = passona("verify")
    assert found.returncode in (1, 2)
    assert "restore a backup, then run passona verify" in found.stderr


@pytest.mark.duckdb("publishes, copies or damages a file")
@pytest.mark.parametrize("verb", [("status",), ("verify",), ("load",), ("publish", "readers.duckdb")], ids=" ".join)
def test_a_backup_beside_the_log_of_a_later_state_is_told_as_that(
    loaded: Warehouse, box: Sandbox, passona: Run, tmp_path: Path, verb: tuple[str, ...]
) -> None:
    log = tmp_path / "warehouse.duckdb.wal"
    with duckdb.connect() as later:
        later.execute(f"ATTACH '{loaded.path}' AS later")
        later.execute("PRAGMA disable_checkpoint_on_shutdown")
        later.execute("CREATE TABLE later.passona.later AS SELECT 1")
        kept = log.read_bytes()
    loaded.path.unlink()
    log.unlink(missing_ok=True)
    duckdb.connect(str(loaded.path)).close()
    log.write_bytes(kept)
    ended = passona(*verb, box=box)
    assert ended.returncode == 2
    assert "if the file is a backup, remove warehouse.duckdb.wal" in ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.duckdb("publishes, copies or damages a file")
@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_transform_keeps_the_marts_of_a_half_written_campaign(
    built: Warehouse, account: Account, box: Sandbox, passona: Run, half: list[str]
) -> None:
    figures = "SELECT campaign_name, sent, clicks FROM analytics.campaigns ORDER BY 1"
    halve(built, half)
    fill(account, more=2)
    assert built.load(box, ONE).exit_code == 0
    ended = passona("transform")
    assert (ended.returncode, ended.stderr.count(f"campaign {TWO}, clicks: a load was interrupted")) == (0, 1)
    assert built.rows(figures) == [("Spring", 7, 6), ("Summer", 5, 4)]
    ended = passona("transform", "--full-refresh")
    assert (ended.returncode, "a full build leaves it out" in ended.stderr) == (0, True)
    assert built.rows(figures) == [("Spring", 7, 6)]
    assert built.load(box).exit_code == 0
    ended = passona("transform")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert built.rows(figures) == [("Spring", 7, 6), ("Summer", 7, 6)]


@pytest.mark.duckdb("publishes, copies or damages a file")
def test_marts_of_rows_that_are_gone_after_an_interruption_go_too(
    built: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    halve(built, HALVES["rows deleted"])
    assert passona("transform").returncode == 0
    account.put(open_campaign(TWO, name="Summer"), {})
    assert built.load(box, accept_shrink=True).exit_code == 0
    assert passona("transform").returncode == 0
    assert built.rows("SELECT count(*) FROM analytics.clicks WHERE campaign_id = ?", TWO) == [(0,)]


@pytest.mark.duckdb("publishes, copies or damages a file")
def test_the_report_says_that_a_load_was_interrupted(built: Warehouse, passona: Run, tmp_path: Path) -> None:
    halve(built, HALVES["marked"])
    assert passona("report", "report.html").returncode == 0
    assert "A load of 1 campaign was interrupted" in (tmp_path / "report.html").read_text("utf-8")


def test_verify_finds_nothing_in_a_whole_warehouse(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(n // 3) for n in range(100)], "alt_delivery": [message(1)] * 5})
    warehouse.load(box)
    ended = passona("verify", "--json")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout) == {
        "exit_code": 0, "reports": 6, "rows": 105, "interrupted": [], "differences": [],
    }  # fmt: skip
    assert passona("verify").stdout == "6 reports verified, 0 differ; 105 rows\n"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (f"DELETE FROM passona.clicks WHERE campaign_id = '{TWO}' AND phone_number = '447123400001'", "expected 4 rows"),
        (f"UPDATE passona.clicks SET row_id = '{'0' * 32}' WHERE campaign_id = '{TWO}' AND phone_number = '447123400001'",
         "expected the rows whose digest the ledger has"),
        (f"UPDATE passona.row_issues SET _dlt_load_id = '1' WHERE campaign_id = '{TWO}'", "expected rows of one load"),
        (HALVES["marked"][0], "a load was interrupted"),
        (HALVES["rows without an entry"][0], "a load was interrupted"),
    ],
)  # fmt: skip
@pytest.mark.core(1)
def test_verify_lists_what_differs_and_the_next_load_replaces_it(
    warehouse: Warehouse, account: Account, box: Sandbox, passona: Run, damage: str, said: str
) -> None:
    ended = {"started_sending_at": "2020-06-01 10:00:00", "expiry_date": "2020-06-02 10:00:00"}
    clicks = [click(n, Clicked_At="2020-10-25 01:30:00", Phone_Number=f"44712340000{n}") for n in range(4)]
    for uuid in (ONE, TWO):
        account.put({"uuid": uuid, **ended}, {"clicks": clicks})
    warehouse.load(box)
    whole = warehouse.content()
    change(warehouse.path, damage)
    found = passona("verify")
    assert found.returncode == 4
    assert found.stderr.startswith(f"passona: campaign {TWO}, clicks: ")
    assert said in found.stderr
    assert found.stderr.count("\n") == 1
    assert passona("load", box=box).returncode == 0
    assert warehouse.content() == whole
    assert passona("verify").returncode == 0


@pytest.mark.duckdb("publishes, copies or damages a file")
def test_a_restored_backup_is_verified_and_brought_up_to_date(
    loaded: Warehouse, account: Account, box: Sandbox, passona: Run, tmp_path: Path
) -> None:
    backup = shutil.copy(loaded.path, tmp_path / "backup.duckdb")
    fill(account, more=3)
    loaded.load(box)
    shutil.copy(backup, loaded.path)
    assert passona("verify").returncode == 0
    assert passona("load", box=box).returncode == 0
    assert_as_served(loaded, account, [ONE, TWO])


def test_the_digest_of_stored_ids_is_that_of_the_walk() -> None:
    ids = row_ids("clicks", ONE, [(str(n // 3),) for n in range(10)] + [("7",), ("0",)])
    fingerprint = Fingerprint()
    fingerprint.add(ids)
    ordinals = Ordinals(fingerprint.repeated())
    import pyarrow as pa

    stored = ordinals.number(pa.array(ids)).to_pylist()
    assert len(set(stored)) == len(ids)
    assert stored_digest(reversed(stored)) == fingerprint.digest()
    assert stored_digest(stored[1:]) != fingerprint.digest()


def whole(warehouse: Warehouse, versions: dict[int, int]) -> None:
    """Assert that each report is of one version: as many rows of it as that version has, and of no other."""
    for report in ("clicks", "alt_delivery"):
        column = "link_name" if report == "clicks" else "status"
        rows = warehouse.rows(f"SELECT campaign_id, {column}, count(*) FROM passona.{report} GROUP BY 1, 2 ORDER BY 1")
        assert len(rows) == 2
        assert all(count == versions[int(version)] for _, version, count in rows)


@pytest.mark.duckdb("publishes, copies or damages a file")
def test_after_any_kill_readers_get_whole_reports_or_the_old_copy(
    tmp_path: Path, warehouse: Warehouse, account: Account, passona: Run
) -> None:
    """Campaigns grow between two loads; the second is killed at ever other moments of its writing."""
    sizes = {0: 3_000, 1: 4_000, 2: 5_000, 3: 6_000, 4: 7_000}

    def serve(version: int) -> None:
        for uuid in (ONE, TWO):
            rows = range(sizes[version])
            account.put(
                open_campaign(uuid),
                {
                    "clicks": [click(n, Link_Name=str(version)) for n in rows],
                    "alt_delivery": [message(n, Status=str(version)) for n in rows],
                },
            )

    copy = Warehouse(tmp_path / "readers.duckdb")
    log = warehouse.path.with_name("warehouse.duckdb.wal")
    with Sandbox(account, Switches(per_page_limit=500)) as box:
        serve(0)
        assert passona("load", "--publish", "readers.duckdb", box=box).returncode == 0
        for version in (1, 2, 3, 4):
            serve(version)
            load = Begun(["load"], tmp_path, environment_of(box, tmp_path))
            while not load.ended and not (log.exists() and log.stat().st_size > version * 200_000):
                pass
            load.kill()
            published = passona("publish", "readers.duckdb")
            assert published.returncode in (0, 4), published.stderr
            whole(copy, sizes)
            assert passona("verify").returncode in (0, 4)
            assert passona("load", "--publish", "readers.duckdb", box=box).returncode == 0
            assert_as_served(copy, account, [ONE, TWO])
