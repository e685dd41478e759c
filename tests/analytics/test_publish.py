"""Copies for readers: whole, checked, put in place under people who read, and nobody's who should not have them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from passona.analytics._marts_file import PERSONAL, PUBLIC, HalfBuilt
from passona.analytics.publish import NotPublished, Published, publish, publish_warehouse
from passona.analytics.target import target
from passona.analytics.transform import Transformed, project_folder
from passona.cli.load import _publish, _Then
from passona.config.settings import Settings
from passona.errors import ConfigurationError, Exit
from passona.reports.definitions import REPORTS
from passona.warehouse.database import open_database
from passona.warehouse.load import Load, LoadRequest
from passona_sandbox import Account, Sandbox
from support import readers
from support.campaigns import ONE, TWO, click, message, open_campaign, unsent
from support.warehouses import Lines, Warehouse, environment_of

Run = Callable[..., "subprocess.CompletedProcess[str]"]
READERS = 20
# `make soak` publishes more often, and its readers poll as often as two cores allow.
PUBLICATIONS = int(os.environ.get("PASSONA_PUBLICATIONS", "3"))
PAUSE_SECONDS = 1.0 if PUBLICATIONS < 10 else 0.2


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "readers.duckdb"


def put(warehouse: Warehouse, copy: Path, *, marts_only: bool = False) -> Published:
    place = target(copy, warehouse.path, personal=not marts_only)
    return publish_warehouse(warehouse.path, place, 0, print, marts_only=marts_only)


def load_and_publish(box: Sandbox, warehouse: Warehouse, copy: Path) -> None:
    """What `passona load --publish` does, in this process."""
    settings = Settings(box.token, base_url=box.base_url)
    with closing(open_database(warehouse.path, 0, print)) as database:
        outcome = Load(
            [settings], database, LoadRequest(reports=(REPORTS["alt_delivery"],), accept_shrink=True), Lines()
        ).run()
        assert outcome.exit_code == 0
        publish(database.engine.checkpointed(), target(copy, warehouse.path, personal=True), marts_only=False)


def fill(account: Account, version: int) -> str:
    """Another number of rows in each version; what a reader says of it."""
    for place, uuid in enumerate((ONE, TWO)):
        rows = 100 + 37 * (version % 5) + place
        account.put(open_campaign(uuid), {"alt_delivery": [message(n, Status=f"v{version}") for n in range(rows)]})
    return f"v{version},v{version}"


def test_twenty_polling_readers_never_see_half_a_copy(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 0)
    load_and_publish(box, warehouse, copy)
    with polling(copy) as reported:
        latest = {}
        for version in range(1, PUBLICATIONS + 1):
            wanted = fill(account, version)
            load_and_publish(box, warehouse, copy)
            while len(latest) < READERS or set(latest.values()) != {wanted}:
                number, versions, wrong = next(reported)
                assert wrong == "", f"reader {number}"
                assert versions in {f"v{n},v{n}" for n in range(version + 1)}
                latest[number] = versions
    assert sorted(path.name for path in copy.parent.iterdir()) == ["readers.duckdb", "warehouse.duckdb"]


@contextmanager
def polling(copy: Path) -> Iterator[Iterator[list[str]]]:
    """Twenty readers; what each says, as it says it. In the end they have polled all the time."""
    process = subprocess.Popen(
        [sys.executable, readers.__file__, str(copy), str(READERS), str(PAUSE_SECONDS)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    lines = (line.rstrip("\n").split("\t") for line in process.stdout)
    try:
        yield lines
    finally:
        process.stdin.close()
        ends = [line for line in lines if line[1] == "polls"]
        process.wait()
    assert len(ends) == READERS
    assert all(int(polls) >= PUBLICATIONS for _, _, polls in ends)


def test_who_holds_the_old_copy_goes_on_reading_it(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 1)
    load_and_publish(box, warehouse, copy)
    statuses = "SELECT DISTINCT status FROM passona.alt_delivery"
    with duckdb.connect(str(copy), read_only=True) as connection:
        fill(account, 2)
        load_and_publish(box, warehouse, copy)
        assert connection.execute(statuses).fetchall() == [("v1",)]
    assert Warehouse(copy).rows(statuses) == [("v2",)]


@pytest.mark.core
def test_a_copy_is_the_warehouse_to_the_last_row(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    account.put(
        open_campaign(ONE),
        {"clicks": [click(n) for n in range(50)], "unsent": [unsent(1)], "alt_delivery": [message(1)]},
    )
    warehouse.load(box)
    published = put(warehouse, copy)
    assert (published.reports, published.left_out, published.bytes) == (6, None, copy.stat().st_size)
    assert Warehouse(copy).content() == warehouse.content()
    assert copy.read_bytes() == warehouse.path.read_bytes()


def test_the_warehouse_stays_held_while_and_after_it_is_copied(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    # To close any descriptor of a file lets go of all locks on it: a copy by its name did.
    fill(account, 1)
    warehouse.load(box)
    script = f"import duckdb; duckdb.connect({str(warehouse.path)!r})"
    with closing(open_database(warehouse.path, 0, print)) as database:
        publish(database.engine.checkpointed(), target(copy, warehouse.path, personal=True), marts_only=False)
        other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "Could not set lock" in other.stderr


@pytest.mark.core
def test_what_a_killed_writer_left_in_its_log_is_in_the_copy(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 1)
    warehouse.load(box)
    script = (
        f"import duckdb, os; c = duckdb.connect({str(warehouse.path)!r}); "
        "c.execute('CREATE TABLE mine AS SELECT 7 AS seven'); os._exit(1)"
    )
    subprocess.run([sys.executable, "-c", script], check=False)
    assert warehouse.path.with_name("warehouse.duckdb.wal").exists()
    put(warehouse, copy)
    assert Warehouse(copy).rows("FROM mine") == [(7,)]
    assert not copy.with_name("readers.duckdb.wal").exists()


@pytest.mark.core
def test_rows_that_disagree_with_the_ledger_are_not_published(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 1)
    load_and_publish(box, warehouse, copy)
    before = copy.read_bytes()
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("DELETE FROM passona.alt_delivery WHERE campaign_id = ? AND message_id = 'm0'", [TWO])
    for marts_only in (False, True):
        with pytest.raises(NotPublished, match=f"campaign {TWO}, alt_delivery: expected 138 rows .* got 137"):
            put(warehouse, copy, marts_only=marts_only)
    assert copy.read_bytes() == before
    assert sorted(path.name for path in copy.parent.iterdir()) == ["readers.duckdb", "warehouse.duckdb"]


@pytest.mark.core
def test_a_report_that_was_interrupted_is_not_vouched_for_and_not_published(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 1)
    warehouse.load(box, reports=["alt_delivery"])
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("UPDATE passona.report_ledger SET verified_at = NULL WHERE campaign_id = ?", [TWO])
        connection.execute("DELETE FROM passona.alt_delivery WHERE campaign_id = ?", [TWO])
    with pytest.raises(NotPublished, match=f"campaign {TWO}, alt_delivery: a load was interrupted"):
        put(warehouse, copy)


def test_a_partial_load_is_published_but_not_failed_models(
    passona: Run, account: Account, box: Sandbox, copy: Path, warehouse: Warehouse
) -> None:
    account.put(open_campaign(ONE), {"clicks": [click(1)], "alt_delivery": [message(1)]})
    box.faults = [{"kind": "status", "code": 404, "report": "clicks"}]
    ended = passona("load", "--publish", copy.name, "--json", box=box)
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["outcome"], document["publish"]["outcome"]) == (4, "failed", "ok")
    assert document["publish"]["path"] == str(copy)
    assert Warehouse(copy).count("alt_delivery") == 1
    place, then = target(copy, warehouse.path, personal=True), _Then(transform=True, publish_to=copy, marts_only=False)
    before = copy.stat().st_ino
    with closing(open_database(warehouse.path, 0, print)) as database:
        kept = _publish(database, place, then, Transformed(exits={Exit.FAILED}), quiet=True)
        assert (kept.word, copy.stat().st_ino) == ("skipped", before)
        put_there = _publish(database, place, then, Transformed(), quiet=True)
    assert isinstance(put_there, Published)
    assert copy.stat().st_ino != before


@pytest.mark.core
def test_publish_says_in_a_line_what_it_put_where(
    passona: Run, warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 1)
    warehouse.load(box)
    ended = passona("publish", "readers.duckdb")
    assert (ended.returncode, ended.stderr, ended.stdout.count("\n")) == (0, "", 1)
    assert ended.stdout.startswith(f"{copy}: published, ")
    assert "12 reports agree with the ledger" in ended.stdout
    assert "account" not in ended.stdout


@pytest.mark.parametrize(("before", "mode"), [(None, 0o600), (0o640, 0o640), (0o604, 0o604)])
@pytest.mark.core
def test_a_new_copy_is_its_owners_alone_and_an_old_one_hands_on_its_mode(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path, before: int | None, mode: int
) -> None:
    warehouse.load(box)
    warehouse.path.chmod(0o644)
    if before is not None:
        put(warehouse, copy)
        copy.chmod(before)
    put(warehouse, copy)
    assert copy.stat().st_mode & 0o777 == mode


@pytest.mark.core
def test_a_link_to_the_copy_stays_a_link(warehouse: Warehouse, box: Sandbox, copy: Path, tmp_path: Path) -> None:
    warehouse.load(box)
    (tmp_path / "there").mkdir()
    copy.symlink_to(tmp_path / "there" / "it.duckdb")
    put(warehouse, copy)
    assert copy.is_symlink()
    assert Warehouse(tmp_path / "there" / "it.duckdb").count("runs") == 1


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("warehouse.duckdb", "is the warehouse itself"),
        ("link.duckdb", "is the warehouse itself"),
        ("hard.duckdb", "is the warehouse itself"),
        (".", "cannot be the copy|is a folder"),
        ("folder", "is a folder"),
        ("no/such/folder/r.duckdb", "does not exist"),
        ("passona.duckdb", "cannot tell a file called passona"),
        ("Analytics.db", "cannot tell a file called analytics"),
        ("warehouse.duckdb.wal", "choose a name such as"),
        ("letter.txt", "is no DuckDB file"),
        ("pipe", "is no DuckDB file"),
        ("written.duckdb", "somebody has written to the copy"),
    ],
)
@pytest.mark.core(4)
def test_what_cannot_be_a_copy_is_refused_and_left_alone(
    warehouse: Warehouse, box: Sandbox, tmp_path: Path, path: str, said: str
) -> None:
    warehouse.load(box)
    (tmp_path / "link.duckdb").symlink_to(warehouse.path)
    (tmp_path / "hard.duckdb").hardlink_to(warehouse.path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "letter.txt").write_text("dear all, this is no database")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "written.duckdb.wal").write_bytes(b"")
    before = sorted((file.name, file.lstat().st_ino) for file in tmp_path.iterdir())
    with pytest.raises(ConfigurationError, match=said):
        put(warehouse, tmp_path / path)
    assert sorted((file.name, file.lstat().st_ino) for file in tmp_path.iterdir()) == before


def test_a_load_that_could_not_publish_is_refused_before_it_begins(passona: Run, box: Sandbox, tmp_path: Path) -> None:
    for arguments in (["--publish", "warehouse.duckdb"], ["--marts-only"]):
        ended = passona("load", *arguments, box=box)
        assert (ended.returncode, ended.stdout) == (2, "")
    assert not box.requests
    assert list(tmp_path.iterdir()) == []


def test_without_a_warehouse_there_is_nothing_to_publish(warehouse: Warehouse, copy: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no warehouse at .*: run passona load first"):
        put(warehouse, copy)
    duckdb.connect(str(warehouse.path)).execute("CREATE TABLE t AS SELECT 1").close()
    with pytest.raises(ConfigurationError, match="the warehouse holds no report_ledger: run passona load first"):
        put(warehouse, copy)
    assert list(copy.parent.iterdir()) == [warehouse.path]


def test_a_full_disk_is_told_in_one_line_and_the_old_copy_stays(
    warehouse: Warehouse, account: Account, box: Sandbox, copy: Path
) -> None:
    fill(account, 1)
    load_and_publish(box, warehouse, copy)
    before = copy.read_bytes()
    size = len(before) // 2
    ended = subprocess.run(
        [sys.executable, "-m", "passona", "publish", copy.name], cwd=copy.parent, env=environment_of(None),
        capture_output=True, text=True, timeout=60, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == f"passona: File too large: {copy}; make room and run again\n"
    assert copy.read_bytes() == before
    assert sorted(path.name for path in copy.parent.iterdir()) == ["readers.duckdb", "warehouse.duckdb"]


@pytest.mark.core
def test_what_a_killed_publication_left_is_removed_by_the_next(warehouse: Warehouse, box: Sandbox, copy: Path) -> None:
    warehouse.load(box)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for name in (f".{copy.name}.{ended.pid}.part", f".{copy.name}.{ended.pid}.part.wal"):
        (copy.parent / name).write_text("half a copy")
    living = copy.parent / f".{copy.name}.{os.getppid()}.part"
    living.write_text("another publication")
    put(warehouse, copy)
    assert {path.name for path in copy.parent.iterdir()} == {copy.name, warehouse.path.name, living.name}


# Marts alone


def marts_of_the_project() -> dict[str, Any]:
    models = yaml.safe_load((project_folder() / "models/marts/_marts__models.yml").read_text("utf-8"))["models"]
    return {model["name"]: model for model in models}


def test_every_mart_is_known_to_be_with_or_without_persons() -> None:
    assert sorted(marts_of_the_project()) == sorted((*PUBLIC, *PERSONAL)), "a new mart needs its place in marts.py"
    kinds = {
        name: {column.get("config", {}).get("meta", {}).get("personal", "no") for column in model["columns"]}
        for name, model in marts_of_the_project().items()
    }
    # Where a link leads is the campaign's; docs/privacy.md tells of links of one person's own.
    assert {name for name, found in kinds.items() if found - {"no", "link"}} == set(PERSONAL)


@pytest.mark.core
def test_marts_alone_hold_all_figures_and_their_comments_and_nobody(demo_warehouse: Path, copy: Path) -> None:
    published = put(Warehouse(demo_warehouse), copy, marts_only=True)
    assert published.left_out == tuple(sorted(PERSONAL))
    assert copy.stat().st_mode & 0o777 == 0o666 & ~umask()
    everything = "SELECT schema_name, table_name, comment FROM duckdb_tables() ORDER BY ALL"
    comments = (
        "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() "
        "WHERE schema_name = 'analytics' AND table_name IN $names ORDER BY ALL"
    )
    with (
        duckdb.connect(str(demo_warehouse), read_only=True) as source,
        duckdb.connect(str(copy), read_only=True) as made,
    ):
        assert [(schema, name) for schema, name, _ in made.execute(everything).fetchall()] == [
            ("analytics", name) for name in sorted(PUBLIC)
        ]
        assert made.execute(comments, {"names": list(PUBLIC)}).fetchall() == (
            source.execute(comments, {"names": list(PUBLIC)}).fetchall()
        )
        for name in PUBLIC:
            rows = f"FROM analytics.{name} ORDER BY ALL"
            assert made.execute(rows).fetchall() == source.execute(rows).fetchall()
        phones = {phone for (phone,) in source.execute("SELECT DISTINCT phone FROM analytics.messages").fetchall()}
        texts = {
            str(value) for name in PUBLIC for row in made.execute(f"FROM analytics.{name}").fetchall() for value in row
        }
    assert phones
    assert not phones & texts
    with duckdb.connect(config={"storage_compatibility_version": "v1.2.0"}) as connection:
        connection.execute(f"ATTACH '{copy}' AS made (READ_ONLY)")
        ((tags,),) = connection.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'made'").fetchall()
    assert tags["storage_version"].startswith("v1.2.0")


def umask() -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("Umask"))
    return int(line.split()[1], 8)


@pytest.mark.core
def test_marts_that_are_missing_or_half_built_are_not_published(
    warehouse: Warehouse, box: Sandbox, demo_warehouse: Path, copy: Path
) -> None:
    warehouse.load(box)
    with pytest.raises(ConfigurationError, match="run passona transform first"):
        put(warehouse, copy, marts_only=True)
    warehouse.path.write_bytes(demo_warehouse.read_bytes())
    with duckdb.connect(str(warehouse.path)) as connection:
        connection.execute("UPDATE analytics.links SET clicks = clicks + 1 WHERE link_name IS NOT NULL")
    with pytest.raises(HalfBuilt, match=r"analytics\.links and analytics\.campaigns tell different clicks"):
        put(warehouse, copy, marts_only=True)
    assert [path.name for path in copy.parent.iterdir()] == ["warehouse.duckdb"]
