"""People who are forgotten and data that are too old in a lake: no file keeps anything of them, whoever writes at the
same time, and whoever is killed. What is true of all engines is in test_people.py, which `make lake-check` runs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import duckdb
import pytest

from csv_files import HEADER, PHONE, row
from engines import LAKE, lake_of, reading_lake
from forked import _context, kill_passona, run_passona
from passona.address import Lake
from passona.database import Database, open_database
from passona.errors import ConfigurationError
from passona.forgetting import Forgotten, forget
from passona.keeping import Keeping
from passona.lake import LakeWriter
from passona.load import Load, Outcome, Wish
from passona.people import people
from passona.register import privacy_of
from passona.settings import Settings
from passona.store import Store
from sandbox import Account, Sandbox
from test_import_csv import import_csv
from test_kills import kill
from test_lake import files, rows
from test_lake_at_once import unlike_their_ledger
from test_lifecycle import ended
from test_load import ONE, TWO, going
from test_people import GONE, MODES, copy, fill, silent
from traces import People, traces
from warehouses import Lines, Warehouse, environment_of

# Forgets that are killed, and rounds of loads at once.
KILLS = int(os.environ.get("PASSONA_KILLS", "6"))
ROUNDS = int(os.environ.get("PASSONA_ROUNDS", "2"))
lake_check = pytest.mark.skipif(not LAKE, reason="make lake-check runs it")
HIM = People(frozenset({GONE.encode()}), frozenset({b"Person00003"}))


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.chdir(tmp_path)  # where work folders are
    return Lake(str(tmp_path / "lake"))


def begun(lake: Lake) -> Database:
    return open_database(lake, 0, silent)


def load(lake: Lake, token: str, url: str, database: Database | None = None, **options: Any) -> Outcome:
    database = database or begun(lake)
    try:
        wish = Wish(**{name: options.pop(name) for name in ("refresh", "accept_shrink") if name in options})
        settings = Settings(token, base_url=url, retry_pause=0.01, **options)
        return Load(settings, database, wish, Lines()).run()
    finally:
        database.close()


def loaded(lake: Lake, box: Sandbox, **options: Any) -> Outcome:
    return load(lake, box.token, box.base_url, **options)


def forgotten(lake: Lake, *phones: str, dry_run: bool = False, **keeping: Any) -> Forgotten:
    texts = [("argument", phone) for phone in phones or (GONE,)]
    return forget(lake, texts, Keeping(**keeping), 0, silent, dry_run=dry_run)


def erase(database: Database) -> None:
    """What forget does in a lake that is open."""
    database.prepare()
    who = people([("argument", GONE)], privacy_of(database, Keeping()))
    assert isinstance(database.engine, LakeWriter)
    database.begin_run("forgetting", "forget")
    database.engine.forget(who, keep=True)
    database.close()


def left(lake: Lake) -> dict[str, set[str]]:
    return traces(Path(lake.url), HIM)


def listing(lake: Lake) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in Path(lake.url).rglob("*.parquet") if "runs" not in str(path)}


Moment = Callable[[str, bytes], object]


@dataclass(frozen=True)
class Watched(Store):
    """A store that tells before it puts the first object into a folder, or behind that."""

    folder: str = ""
    before: Moment = field(default=lambda _name, _data: None)
    behind: Moment = field(default=lambda _name, _data: None)
    _told: list[str] = field(default_factory=list)

    def put(self, name: str, data: bytes) -> None:
        tell = name.startswith(f"{self.folder}/") and not self._told
        if tell:
            self._told.append(name)
            self.before(name, data)
        super().put(name, data)
        if tell:
            self.behind(name, data)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes]]:
        if name.startswith(f"{self.folder}/") and not self._told:
            self._told.append(name)
            self.before(name, b"")
        with super().writing(name) as file:
            yield file


def watch(database: Database, folder: str, **moments: Moment) -> None:
    assert isinstance(database.engine, LakeWriter)
    contents = database.engine._contents
    contents.store = Watched(**vars(contents.store), folder=folder, **moments)
    for log in contents.logs.values():
        log.store = contents.store


def die(_name: str, _data: bytes) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed(what: Callable[..., None], lake: Lake, *arguments: str) -> None:
    process = _context.Process(target=what, args=(lake, *arguments))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL


@lake_check
def test_old_snapshots_and_those_of_killed_loads_go_at_once_and_the_others_stay(
    lake: Lake, account: Account, box: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    fill(account)
    loaded(lake, box)
    loaded(lake, box, refresh=True)  # all of the first load is old now
    killed(load_of_files_alone, lake, box.token, box.base_url)
    torn = Path(lake.url, "clicks", f"campaign_id={TWO}", "snapshot=torn", "clicks.parquet")
    torn.parent.mkdir(parents=True)
    torn.write_bytes(b"nobody can tell what is in it")
    others = {name: at for name, at in listing(lake).items() if TWO in name and name != str(torn)}
    assert len({Path(name).parent for name in left(lake) if "recipient/" in name}) == 3
    assert forgotten(lake).unfound == []
    assert "runs that are at work or were killed: 1;" in caplog.text
    assert left(lake) == {}
    assert others.items() <= listing(lake).items(), "nothing of TWO is of this person"
    assert not torn.exists()


@lake_check
def test_who_began_to_read_before_is_told_to_begin_anew(lake: Lake, account: Account, box: Sandbox) -> None:
    fill(account)
    loaded(lake, box)
    with reading_lake(Path(lake.url)) as reader:
        assert reader.execute("SELECT count(*) FROM passona.clicks").fetchall() == [(80,)]
        forgotten(lake)
        for table in ("clicks", "sent", "row_issues"):
            with pytest.raises(duckdb.Error, match="read it again"):
                reader.execute(f"SELECT count(*) FROM passona.{table}").fetchall()
        assert reader.execute("SELECT count(*) FROM passona.runs").fetchall() == [(1,)]
    assert rows(lake, "SELECT count(*) FROM passona.clicks") == [(78,)]


@pytest.mark.parametrize("mode", [mode if mode == "clear" else pytest.param(mode, marks=lake_check) for mode in MODES])
def test_a_number_in_other_texts_goes_too_and_a_dry_run_counts_the_same_and_changes_nothing(
    lake: Lake, account: Account, box: Sandbox, mode: str
) -> None:
    texts = {"delivery": [copy(3), copy(4) | {"Message_Copy": "ask +44 7123 400003, 447123400004"}]}
    account.put(going(ONE, name=f"Call {GONE}"), texts)
    loaded(lake, box, **MODES[mode])
    before = listing(lake)
    counted = forgotten(lake, dry_run=True, **MODES[mode])
    assert listing(lake) == before
    found = forgotten(lake, **MODES[mode])
    named = {"passona.campaigns": 1}
    assert found.tables == counted.tables == {"passona.delivery": 2 if mode == "clear" else 1} | named
    assert left(lake) == {}
    if mode == "clear":
        assert rows(lake, "SELECT message_copy FROM passona.delivery") == [("ask [erased], 447123400004",)]
    assert rows(lake, "SELECT name FROM passona.campaigns") == [("Call [erased]",)]


@lake_check
def test_a_number_without_its_country_code_is_told_and_changes_nothing(
    lake: Lake, account: Account, box: Sandbox
) -> None:
    account.put(going(ONE), {"delivery": [copy(3) | {"Message_Copy": f"ask {GONE[2:]}"}]})
    loaded(lake, box)
    before = rows(lake, "FROM passona.delivery")
    found = forgotten(lake, GONE[2:], "447999999999")
    assert (found.unfound, found.tables) == (["argument"] * 2, {})
    assert rows(lake, "FROM passona.delivery") == before


@lake_check
def test_files_that_are_made_anew_are_as_a_load_makes_them(lake: Lake, account: Account, box: Sandbox) -> None:
    import pyarrow.parquet as pq

    fill(account)
    loaded(lake, box)
    before = {path.parts[-4:-2]: pq.read_schema(path) for path in Path(lake.url).rglob("snapshot=2*/*.parquet")}
    forgotten(lake)
    assert {path.parts[-4:-2]: pq.read_schema(path) for path in Path(lake.url).rglob("snapshot=2*/*.parquet")} == before


def test_nobody_is_forgotten_where_nothing_was_ever_loaded(lake: Lake) -> None:
    with pytest.raises(ConfigurationError, match="run passona load first"):
        forgotten(lake)
    assert not Path(lake.url).exists()


def test_a_load_that_began_before_leaves_the_person_out(lake: Lake, account: Account, box: Sandbox) -> None:
    fill(account)
    slow = begun(lake)  # knows of nobody who is forgotten
    loaded(lake, box)
    forgotten(lake)
    assert loaded(lake, box, database=slow).exit_code == 0
    assert left(lake) == {}
    told = "SELECT report, row_count, suppressed, api_total FROM passona.report_ledger WHERE suppressed > 0 AND campaign_id = '{}' ORDER BY 1"
    assert rows(lake, told.format(ONE)) == [
        ("alt_delivery", 39, 1, 40), ("clicks", 78, 2, 80), ("delivery", 39, 1, 40), ("recipient", 39, 1, 40),
    ]  # fmt: skip


@lake_check
def test_a_forget_while_a_load_writes_its_files_makes_it_write_them_anew(
    lake: Lake, account: Account, box: Sandbox
) -> None:
    fill(account)
    loaded(lake, box)
    slow = begun(lake)
    watch(slow, "recipient__fields", before=lambda *_: forgotten(lake))  # which removes what is there of a snapshot
    assert loaded(lake, box, database=slow, refresh=True).exit_code == 0
    assert left(lake) == {}
    assert rows(lake, "SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL") == [(0,)]
    found = rows(lake, "SELECT (SELECT count(*) FROM passona.recipient__fields), (SELECT count(*) FROM passona.clicks)")
    assert found == [(118, 78)]


def load_of_files_alone(lake: Lake, token: str, url: str) -> None:
    os.chdir(Path(lake.url).parent)
    database = begun(lake)
    watch(database, "report_ledger", before=die)
    load(lake, token, url, database, refresh=True)


def overtaken_load(lake: Lake, token: str, url: str, moment: str, end: str) -> None:
    """A load with a whole forget between its last look at the list and its ledger."""
    os.chdir(Path(lake.url).parent)
    database = begun(lake)
    assert isinstance(database.engine, LakeWriter)
    store = database.engine._contents.store

    def meanwhile(name: str, data: bytes) -> None:
        forgetting = begun(lake)
        if moment == "late":  # what the load wrote counts when the forget removes what does not count
            watch(forgetting, "forgotten", before=lambda *_: store.put(name, data))
        erase(forgetting)

    watch(database, "report_ledger", before=meanwhile, **({"behind": die} if end == "killed" else {}))
    load(lake, token, url, database, refresh=True)


@lake_check
@pytest.mark.parametrize("end", ["killed", "whole"])
@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_forget_between_the_last_look_of_a_load_and_its_ledger_leaves_nothing(
    lake: Lake, account: Account, box: Sandbox, moment: str, end: str
) -> None:
    fill(account)
    loaded(lake, box)
    if end == "killed":
        killed(overtaken_load, lake, box.token, box.base_url, moment, end)
        assert bool(left(lake)) == (moment == "late")  # in what counts; the next run looks through it
    else:
        overtaken_load(lake, box.token, box.base_url, moment, end)
        assert left(lake) == {}
    loaded(lake, box)  # early: files went from under the load, so that its reports are due again
    assert left(lake) == {}
    (counts,) = rows(
        lake,
        "SELECT row_count, suppressed, verified_at IS NULL, (SELECT count(*) FROM passona.clicks) "
        "FROM passona.report_ledger WHERE report = 'clicks' AND row_count > 0",
    )
    assert counts == (78, 2, False, 78)


def killed_forget(lake: Lake, folder: str) -> None:
    os.chdir(Path(lake.url).parent)
    database = begun(lake)
    watch(database, folder, before=die)
    erase(database)


@lake_check
@pytest.mark.parametrize("folder", ["report_ledger", "removed"])
def test_a_forget_that_is_killed_is_finished_by_another(
    lake: Lake, account: Account, box: Sandbox, folder: str
) -> None:
    fill(account)
    loaded(lake, box)
    killed(killed_forget, lake, folder)
    assert rows(lake, "SELECT count(*) FROM passona.clicks") == [(78 if folder == "removed" else 80,)]
    assert left(lake) != {}
    forgotten(lake)
    assert left(lake) == {}
    assert rows(lake, "SELECT count(*) FROM passona.clicks") == [(78,)]


@lake_check
@pytest.mark.parametrize("mode", ["columns", "rows"])
def test_what_is_too_old_goes_from_every_file_and_readers_are_told(
    lake: Lake, account: Account, box: Sandbox, mode: str
) -> None:
    fill(account)
    loaded(lake, box)
    loaded(lake, box, refresh=True)
    reports = ("clicks", "delivery", "alt_delivery", "recipient")
    account.put(ended(ONE, 100), {report: list(account.rows(ONE, report)) for report in reports})
    kept = {name: at for name, at in listing(lake).items() if TWO in name}
    with reading_lake(Path(lake.url)) as reader:
        outcome = loaded(lake, box, retain_days=90, retain_mode=mode)
        with pytest.raises(duckdb.Error, match="read it again"):
            reader.execute("SELECT count(*) FROM passona.clicks").fetchall()
    assert left(lake) == {}
    assert kept.items() <= listing(lake).items()
    told = f"SELECT count(*), count(expired_at) FROM passona.report_ledger WHERE campaign_id = '{ONE}'"
    assert rows(lake, told) == [(6, 6)]
    assert rows(lake, "SELECT max(erased) FROM passona.runs") == [(outcome.erased,)]
    assert len(files(lake, "clicks")) == (1 if mode == "columns" else 0)
    assert loaded(lake, box, retain_days=90, retain_mode=mode).erased == 0


@lake_check
def test_a_csv_of_a_campaign_that_is_too_old_is_refused_and_one_of_another_leaves_the_forgotten_out(
    lake: Lake, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    account.put(ended(ONE, 100), {})
    account.put(going(TWO), {})
    loaded(lake, box)
    forgotten(lake)
    file, settings = tmp_path / "recipient.csv", Settings("none", retain_days=90)
    him = int(GONE) - int(PHONE)
    file.write_bytes(HEADER + row(him) + row(him + 1))
    where = Warehouse(Path(lake.url))
    with pytest.raises(ConfigurationError, match=r"more than 90 days ago .* nothing was loaded"):
        import_csv(where, file, settings=settings)
    outcome, _ = import_csv(where, file, campaign=TWO, settings=settings)
    assert outcome.exit_code == 0
    assert left(lake) == {}
    told = "SELECT row_count, suppressed FROM passona.report_ledger WHERE report = 'recipient' AND origin = 'csv'"
    assert rows(lake, told) == [(1, 1)]


@lake_check
def test_forgets_killed_at_random_moments_lose_nothing_and_one_more_ends_them(
    lake: Lake, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    dice, environment = random.Random("forgets"), environment_of(box) | lake_of(Path(lake.url))
    fill(account, 400)
    loaded(lake, box)
    begun_at = time.monotonic()
    assert run_passona(["forget", "447123400000"], tmp_path, environment).returncode == 0
    usual = time.monotonic() - begun_at
    for number in range(1, KILLS + 1):
        phone = f"4471234{number:05}"
        for _ in range(dice.choice([1, 1, 2])):
            kill_passona(["forget", phone], tmp_path, environment, dice.uniform(usual / 3, usual))
            ((left_over,),) = rows(lake, "SELECT count(*) FROM passona.alt_delivery")
            assert left_over in (400 - number, 399 - number)
            assert unlike_their_ledger(Path(lake.url)) == []
        done = run_passona(["forget", phone], tmp_path, environment)
        assert (done.returncode, "1 person forgotten" in done.stdout) == (0, True), done.stderr
        assert traces(tmp_path, person(number)) == {}
        assert rows(lake, "SELECT count(*) FROM passona.alt_delivery") == [(399 - number,)]


@lake_check
def test_people_are_forgotten_while_eight_loads_write_and_some_are_killed(
    lake: Lake, account: Account, box: Sandbox, tmp_path: Path
) -> None:
    dice, environment = random.Random("forget at once"), environment_of(box) | lake_of(Path(lake.url))
    fill(account, 400)
    loaded(lake, box)
    for number in range(1, ROUNDS + 1):
        phone = f"4471234{number:05}"
        loads = [begin_load(tmp_path, environment, "--refresh") for _ in range(8)]
        for each in loads[:4]:
            kill(each, dice.uniform(0, 2))
        done = run_passona(["forget", phone], tmp_path, environment)
        assert done.returncode == 0, done.stderr
        for each in loads[4:]:
            _, stderr = each.communicate(timeout=200)
            assert each.returncode == 0, stderr
        # What a killed load had begun goes with the grace time, or with the next forget.
        assert run_passona(["forget", phone], tmp_path, environment).returncode == 0
        assert traces(tmp_path, person(number)) == {}
        loaded(lake, box)
        assert unlike_their_ledger(Path(lake.url)) == []
        assert rows(lake, "SELECT count(*) FROM passona.alt_delivery") == [(400 - number,)]
        assert rows(lake, "SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL") == [(0,)]


def person(number: int) -> People:
    return People(frozenset({f"4471234{number:05}".encode()}), frozenset({f"Person{number:05}".encode()}))


def begin_load(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "passona", "load", *arguments], cwd=folder, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
