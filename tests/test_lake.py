"""A lake in a folder: written by several loads at once, killed, tidied, read by the views. `make lake-check` runs all
tests of loads, ledger, faults and kills on one."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from engines import lake_of, reading_lake
from passona.address import Lake, warehouse_address
from passona.cli import main
from passona.database import open_database
from passona.errors import ConfigurationError
from passona.lake_log import Log, new_id
from passona.load import Load, Outcome, Wish
from passona.reports import REPORTS
from passona.settings import Settings
from passona.status import status
from passona.store import Store
from sandbox import Account, Sandbox
from test_load import ONE, TWO, click, going, message
from warehouses import Lines

NOW = timedelta(0)


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    monkeypatch.chdir(tmp_path)  # where work folders are
    return Lake(str(tmp_path / "lake"))


def load(lake: Lake, box: Sandbox, *uuids: str, **wishes: bool) -> Outcome:
    database = open_database(lake, 0, print)
    try:
        settings = Settings(box.token, base_url=box.base_url, retry_pause=0.01)
        return Load(settings, database, Wish(uuids, **wishes), Lines()).run()
    finally:
        database.close()


def rows(lake: Lake, sql: str) -> list[tuple[object, ...]]:
    with reading_lake(Path(lake.url)) as connection:
        return connection.execute(sql).fetchall()


def files(lake: Lake, table: str) -> list[Path]:
    return sorted(path for path in (Path(lake.url) / table).rglob("*.parquet") if path.stem != "none")


def test_the_views_show_what_counts_and_go_on_showing_it(lake: Lake, account: Account, box: Sandbox) -> None:
    account.put(going(ONE), {"alt_delivery": [message(1), message(2)], "clicks": [click(1)]})
    load(lake, box)
    with reading_lake(Path(lake.url)) as before:
        account.put(going(ONE), {"alt_delivery": [message(3)], "clicks": [click(1)]})
        load(lake, box, accept_shrink=True)
        count = "SELECT message_id, count(*) FROM passona.alt_delivery JOIN passona.alt_delivery__fields USING (row_id) GROUP BY 1 ORDER BY 1"
        assert before.execute(count).fetchall() == [("m1", 2), ("m2", 2)]
    assert rows(lake, count) == [("m3", 2)]
    assert len(files(lake, "alt_delivery")) == 2
    assert len(files(lake, "clicks")) == 1, "what did not change is not written again"


def test_one_campaign_is_read_from_its_own_files(lake: Lake, account: Account, box: Sandbox) -> None:
    account.put(going(ONE), {"clicks": [click(1)]})
    account.put(going(TWO), {"clicks": [click(2)]})
    load(lake, box)
    (file,) = [path for path in files(lake, "clicks") if f"campaign_id={TWO}" in str(path)]
    file.write_bytes(b"torn")
    assert rows(lake, f"SELECT phone_number FROM passona.clicks WHERE campaign_id = '{ONE}'") == [("447123400001",)]


def test_files_have_the_types_of_the_contract(lake: Lake, account: Account, box: Sandbox) -> None:
    account.put(going(ONE), {"clicks": [click(1)]})
    load(lake, box)
    found = pq.ParquetFile(files(lake, "clicks")[0]).schema_arrow
    assert str(found.field("clicked_at").type) == "timestamp[us, tz=UTC]"
    assert found.names == ["row_id", *(column.name for column in REPORTS["clicks"].columns)]


def test_what_is_replaced_and_what_no_ledger_names_goes_after_the_grace_time(
    lake: Lake, account: Account, box: Sandbox
) -> None:
    account.put(going(ONE), {"clicks": [click(1)]})
    load(lake, box)
    left = Path(lake.url, "clicks", f"campaign_id={TWO}", "snapshot=of-a-killed-load", "clicks.parquet")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    load(lake, box, refresh=True)
    assert len(files(lake, "clicks")) == 3
    load(Lake(lake.url, grace=NOW), box)
    assert len(files(lake, "clicks")) == 1
    assert rows(lake, "SELECT count(*) FROM passona.clicks") == [(1,)]


def test_many_small_objects_of_a_log_are_put_together(
    lake: Lake, account: Account, box: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passona.lake_log._MOST_OBJECTS", 3)
    account.put(going(ONE), {"clicks": [click(1)]})
    for number in range(3):
        account.put(going(ONE), {"clicks": [click(n) for n in range(number + 1)]})
        load(lake, box)
    load(Lake(lake.url, grace=NOW), box)
    assert len(list(Path(lake.url, "runs").iterdir())) < 2 * 4
    assert rows(lake, "SELECT count(*), count(DISTINCT run_id) FROM passona.runs WHERE outcome = 'ok'") == [(4, 4)]
    assert rows(lake, "SELECT count(*), count(DISTINCT row_id) FROM passona.clicks") == [(3, 3)]


def test_of_two_loads_of_a_campaign_the_later_ledger_counts_and_a_failure_never_brings_old_rows_back(
    lake: Lake, account: Account, box: Sandbox
) -> None:
    account.put(going(ONE), {"clicks": [click(1)]})
    load(lake, box)
    slow = open_database(lake, 0, print)  # has read the ledger, and is overtaken
    account.put(going(ONE), {"clicks": [click(1), click(2)]})
    load(lake, box)
    box.faults = [{"kind": "status", "code": 403, "report": "clicks"}]
    settings = Settings(box.token, base_url=box.base_url, retry_pause=0.01)
    assert Load(settings, slow, Wish(), Lines()).run().exit_code == 4
    slow.close()
    assert rows(lake, "SELECT count(*) FROM passona.clicks") == [(2,)]
    assert rows(lake, "SELECT state FROM passona.report_ledger WHERE report = 'clicks'") == [("open",)]


def test_a_clock_that_is_set_back_does_not_bring_old_rows_back() -> None:
    afar = new_id().replace("20", "21", 1)  # a century ahead
    ids = [afar, new_id(afar)]
    ids.append(new_id(ids[-1]))
    assert ids == sorted(ids)
    assert len(set(ids)) == 3


def test_status_tells_of_a_lake_and_of_none(lake: Lake, account: Account, box: Sandbox) -> None:
    with pytest.raises(ConfigurationError, match="run passona load first"):
        status(lake, timedelta(days=1), 0, print)
    account.put(going(ONE), {"clicks": [click(1)]})
    load(lake, box)
    found = status(lake, timedelta(days=1), 0, print)
    assert (found.reports["clicks"].open, found.reports["clicks"].rows, found.overdue) == (1, 1, [])
    assert [run.outcome for run in found.runs] == ["ok"]


@pytest.mark.parametrize(
    "arguments",
    [("publish", "copy.duckdb"), ("transform",), ("report", "out.html"), ("re-key",)],
)
def test_what_a_lake_cannot_do_is_refused_in_one_line(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    for name, value in lake_of(Path(lake.url)).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SOURCES__PASSONA__PRIVACY_KEY", "k" * 32)
    ended = CliRunner().invoke(main, arguments)
    assert (ended.exit_code, len(ended.output.splitlines())) == (2, 1), ended.output
    assert lake.url in ended.output


def test_another_privacy_is_refused(lake: Lake, account: Account, box: Sandbox) -> None:
    load(lake, box)
    database = open_database(lake, 0, print)
    settings = Settings(box.token, base_url=box.base_url, privacy="pseudonymous", privacy_key="k" * 32)
    with pytest.raises(ConfigurationError, match="this warehouse is clear"):
        Load(settings, database, Wish(), Lines()).run()
    database.close()


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "DESTINATION__WAREHOUSE__BUCKET_URL"),
        ({"DESTINATION__WAREHOUSE__BUCKET_URL": "/lake/*"}, "none of"),
        ({"DESTINATION__WAREHOUSE__BUCKET_URL": "/lake", "DESTINATION__WAREHOUSE__GRACE_HOURS": "0"}, "grace_hours"),
    ],
)
def test_an_address_that_cannot_work_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("DESTINATION__WAREHOUSE__DESTINATION_TYPE", "filesystem")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=expected):
        warehouse_address()


def test_what_a_killed_process_wrote_half_goes_and_what_is_being_written_stays(lake: Lake) -> None:
    store, left = lake.store(), Path(lake.url, "clicks", ".left.part")
    with store.writing("clicks/new.parquet") as file:
        file.write(b"rows")
        left.write_bytes(b"half")
        store.remove_dead_parts()
        assert not left.exists()
    assert store.read(["clicks/new.parquet"]) == {"clicks/new.parquet": b"rows"}


@dataclass(frozen=True)
class Overtaken(Store):
    """A store in which something happens behind each list of a folder."""

    meanwhile: Callable[[], None] = lambda: None

    def names(self, folder: str) -> list[str]:
        found = super().names(folder)
        self.meanwhile()
        return found


def test_who_reads_a_log_whose_objects_are_put_together_meanwhile_reads_on(lake: Lake) -> None:
    writer = Log(lake.store(), "runs")
    for number in range(3):
        writer.add(pa.table({"run_id": [str(number)]}))

    def tidy() -> None:
        assert writer.rows is not None
        writer.put_together(writer.rows, most=1)
        writer.store.remove(writer.useless(datetime.max.replace(tzinfo=UTC)))

    found = Log(Overtaken(**vars(writer.store), meanwhile=tidy), "runs").read()
    assert found is not None
    assert sorted(found.column("run_id").to_pylist()) == ["0", "1", "2"]


def test_rows_that_are_said_again_and_again_are_put_together(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passona.lake_log._FEW_ROWS", 5)
    log = Log(lake.store(), "runs")
    found = [log.add(pa.table({"run_id": ["a", "b"]})) for _ in range(5)][-1]
    log.put_together(found)
    log.put_together(found)
    assert len(list(Path(lake.url, "runs").iterdir())) == 6
    assert len(Log(lake.store(), "runs").read() or ()) == 12


def test_what_takes_the_place_of_a_row_is_later_than_it_and_earlier_than_all_that_follows(lake: Lake) -> None:
    log = Log(lake.store(), "runs")
    first = log.add(pa.table({"run_id": ["a"]}))
    later = log.add(pa.table({"run_id": ["a"]}))
    again = log.replace(first)
    twice = log.replace(again)
    ids = [rows.column("_dlt_load_id")[0].as_py() for rows in (first, again, twice, later)]
    assert ids == sorted(set(ids))
    assert len(ids[2]) == len(ids[1])


def test_work_folders_are_each_process_s_own_and_those_that_nobody_takes_up_go(tmp_path: Path, lake: Lake) -> None:
    held = [open_database(lake, 0, print) for _ in range(3)]
    works = {database.work for database in held}
    assert len(works) == 3
    stale = held[2].work.with_name(held[2].work.name.replace(".3.", ".7."))
    (stale / "spools").mkdir(parents=True)
    os.utime(stale, (0, 0))
    held.pop().close()
    held.append(open_database(lake, 0, print))
    assert {database.work for database in held} == works
    assert not stale.exists()
    for database in held:
        database.close()
    assert list(tmp_path.glob("*.work")) == []
