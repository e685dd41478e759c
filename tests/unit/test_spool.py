"""Where a walk waits: in memory, then in a file of its owner alone, which a later walk can take up."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passona.reports.definitions import CLICKS, UNSENT
from passona.reports.row_ids import listed
from passona.source import spool as spool_module
from passona.source.pages import Page
from passona.source.rows import ROW_ID, vendor_schema
from passona.source.spool import BATCH_PAGES, BATCH_ROWS, LONGEST_AGE, Spool

PER_PAGE = 1_000  # two pages are a batch


def row(number: int, **more: Any) -> dict[str, Any]:
    return dict.fromkeys(CLICKS.sorted_keys) | {"Phone_Number": str(number)} | more


def pages(last: int, per_page: int = PER_PAGE, total: int | None = None, start: int = 0, **more: Any) -> list[Page]:
    total = last * per_page if total is None else total
    return [
        Page(
            number,
            [row(start + at, **more) for at in range((number - 1) * per_page, number * per_page)],
            total,
            last,
            per_page,
            number + 1 if number < last else None,
        )
        for number in range(1, last + 1)
    ]


def filled(path: Path, walk: list[Page], finish: bool = True) -> Spool:
    spool = Spool(CLICKS, "c", path)
    for page in walk:
        spool.add(page)
    if finish:
        spool.finish()
    return spool


def phones(spool: Spool) -> list[str]:
    return [phone for batch in spool.batches() for phone in listed(batch.column("Phone_Number"))]


def expected(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spools" / "c.clicks.arrow"


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spool that goes to its file with its first batch."""
    monkeypatch.setattr(spool_module, "MEMORY_BYTES", 1)


@pytest.fixture
def killed(path: Path, little_memory: None) -> Iterator[Path]:
    """What a walk of six pages leaves that was killed behind page five: a file with pages 1 to 4."""
    filled(path, pages(6)[:5], finish=False).release()
    yield path
    assert not path.with_suffix(".old").exists()


def test_a_small_walk_stays_in_memory_and_leaves_no_file(path: Path) -> None:
    spool = filled(path, pages(3))
    assert phones(spool) == expected(3_000)
    assert (len(spool), spool.last_page, spool.total, spool.path.exists()) == (3_000, 3, 3_000, False)
    assert not path.exists()


def test_a_walk_that_outgrows_the_memory_goes_on_in_a_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory = filled(path, pages(4, 4 * BATCH_ROWS))
    monkeypatch.setattr(spool_module, "MEMORY_BYTES", in_memory.memory * 2 // 3)
    spool = filled(path, pages(4, 4 * BATCH_ROWS))
    assert path.exists()
    assert spool.memory == 0
    assert phones(spool) == phones(in_memory)
    assert phones(spool) == phones(spool)  # read again and again
    assert spool.fingerprint.digest() == in_memory.fingerprint.digest()


def test_its_file_and_folder_are_for_their_owner_alone(path: Path, little_memory: None) -> None:
    spool = filled(path, pages(2))
    assert spool.path.exists()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_could_read_is_not_written_into(path: Path, little_memory: None) -> None:
    path.parent.mkdir()
    path.write_bytes(b"old")
    path.chmod(0o644)
    spool = Spool(CLICKS, "c", path)
    walk = pages(2)
    assert not spool.resume(walk[0])
    for page in walk:
        spool.add(page)
    spool.finish()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_dropped_spool_leaves_no_file(path: Path, little_memory: None) -> None:
    spool = filled(path, pages(2))
    spool.drop()
    assert not path.exists()


def test_rows_come_out_as_they_went_in_whatever_they_are(path: Path, little_memory: None) -> None:
    odd = [row(0), row(1, New="é", Link_Name=5), row(0), {"Phone_Number": ""}, row(2, User_Agent='a\x00b\n,"')]
    spool = filled(path, [Page(1, odd, 5, 1, 5, None)])
    (batch,) = spool.batches()
    assert batch.schema.equals(vendor_schema(CLICKS))
    assert batch.column("Phone_Number").to_pylist() == ["0", "1", "0", None, "2"]
    assert batch.column("_rest").to_pylist()[1] == '{"New":"é","Link_Name":"5"}'
    assert batch.column("User_Agent").to_pylist()[4] == 'a\x00b\n,"'


def test_an_empty_walk_has_no_rows(path: Path) -> None:
    spool = filled(path, [Page(1, [], 0, 1, 50, None)])
    assert (len(spool), spool.last_page, phones(spool)) == (0, 1, [])


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 130), st.integers(1, 40))
def test_the_digest_and_the_rows_do_not_depend_on_the_size_of_pages(last: int, per_page: int) -> None:
    path = Path("never written")
    spool = filled(path, pages(last, per_page))
    assert phones(spool) == expected(last * per_page)
    whole = filled(path, pages(1, last * per_page))
    assert spool.fingerprint.digest() == whole.fingerprint.digest()


def test_many_small_pages_are_few_batches(path: Path) -> None:
    assert len(list(filled(path, pages(3 * BATCH_PAGES, 1)).batches())) == 3
    assert len(list(filled(path, pages(4, BATCH_ROWS // 2)).batches())) == 2


def test_a_later_walk_resumes_behind_the_last_whole_batch(killed: Path) -> None:
    walk = pages(6)
    spool = Spool(CLICKS, "c", killed)
    assert spool.resume(walk[0])
    assert (spool.last_page, len(spool)) == (4, 4_000)
    for page in walk[spool.last_page :]:
        spool.add(page)
    spool.finish()
    unbroken = filled(killed.with_name("other"), walk)
    assert phones(spool) == phones(unbroken) == expected(6_000)
    assert spool.fingerprint.digest() == unbroken.fingerprint.digest()
    assert (spool.last_page, spool.total, spool.first) == (unbroken.last_page, unbroken.total, unbroken.first)


def test_a_walk_may_be_killed_and_taken_up_twice(killed: Path) -> None:
    first = Spool(CLICKS, "c", killed)
    assert first.resume(pages(6)[0])
    first.release()
    second = Spool(CLICKS, "c", killed)
    assert second.resume(pages(6)[0])
    assert (second.last_page, phones_so_far(second)) == (4, expected(4_000))


def phones_so_far(spool: Spool) -> list[str]:
    """The rows of a spool that is not finished."""
    spool.finish()
    return phones(spool)


def test_a_walk_that_was_taken_up_is_as_old_as_the_one_that_was_killed(path: Path, little_memory: None) -> None:
    began = datetime.now(UTC) - LONGEST_AGE + timedelta(minutes=1)
    old = Spool(CLICKS, "c", path)
    old.at = began
    for page in pages(6)[:4]:
        old.add(page)
    old.release()
    spool = Spool(CLICKS, "c", path)
    assert spool.resume(pages(6)[0])
    assert spool.at == began
    spool.release()
    again = Spool(CLICKS, "c", path)
    assert again.resume(pages(6)[0])
    assert again.at == began


def test_without_a_file_there_is_nothing_to_take_up(path: Path) -> None:
    spool = Spool(CLICKS, "c", path)
    assert not spool.resume(pages(2)[0])
    assert (spool.last_page, len(spool)) == (0, 0)


@pytest.mark.parametrize(
    "page",
    [
        pages(6, total=5_999)[0],  # another total
        pages(7)[0],
        pages(6, start=1)[0],  # other rows on page 1
        pages(6, Link_Name="x")[0],
        pages(12, PER_PAGE // 2)[0],  # another page size: the pages in the file are not those of this walk
    ],
    ids=["total", "longer", "moved", "changed", "page size"],
)
def test_a_file_of_another_state_of_the_report_is_dropped(killed: Path, page: Page) -> None:
    spool = Spool(CLICKS, "c", killed)
    assert not spool.resume(page)
    assert (spool.last_page, len(spool)) == (0, 0)
    assert not killed.exists()


@pytest.mark.parametrize(("report", "campaign"), [(CLICKS, "other"), (UNSENT, "c")])
def test_a_file_of_another_campaign_or_report_is_dropped(killed: Path, report: Any, campaign: str) -> None:
    assert not Spool(report, campaign, killed).resume(pages(6)[0])
    assert not killed.exists()


@pytest.mark.parametrize("left", [0.0, 0.01, 0.3, 0.45, 0.55, 0.7, 0.99])
def test_of_a_torn_file_the_whole_batches_count(killed: Path, left: float) -> None:
    content = killed.read_bytes()
    killed.write_bytes(content[: int(len(content) * left)])
    spool = Spool(CLICKS, "c", killed)
    walk = pages(6)
    assert spool.resume(walk[0]) is (left > 0.5)
    assert spool.last_page == (2 if left > 0.5 else 0)
    for page in walk[spool.last_page :]:
        spool.add(page)
    spool.finish()
    assert phones(spool) == expected(6_000)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 5_000, b"<html>", b"ARROW1\x00\x00", b"\xff\xff\xff\xff\x10\x00\x00\x00"]
)
def test_a_file_that_is_no_spool_is_dropped(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    assert not Spool(CLICKS, "c", path).resume(pages(2)[0])
    assert not path.exists()


def test_a_file_with_other_columns_is_dropped(killed: Path) -> None:
    # It used to end the run: a later version of this program may know other keys.
    with killed.open("rb") as file, pa.ipc.open_stream(file) as reader:
        schema = reader.schema
        batch = reader.read_next_batch()
    fewer = [name for name in schema.names if name != "OS_Version"]
    narrow = batch.select(fewer)
    with (
        pa.OSFile(str(killed), "wb") as sink,
        pa.ipc.new_stream(sink, narrow.schema.with_metadata(schema.metadata)) as writer,
    ):
        writer.write_batch(narrow, custom_metadata={b"last_page": b"2"})
    spool = Spool(CLICKS, "c", killed)
    walk = pages(6)
    taken = spool.resume(walk[0])
    for page in walk[spool.last_page :]:
        spool.add(page)
    spool.finish()
    assert not taken
    assert {tuple(found.schema.names) for found in spool.batches()} == {tuple(vendor_schema(CLICKS).names)}


def test_it_tells_how_rows_drifted_from_the_guide(path: Path) -> None:
    walk = [
        Page(1, [row(0), row(1, Country="GB", City=None)], 3, 2, 2, 2),
        Page(2, [{"Phone_Number": "2"}], 3, 2, 2, None),
    ]
    spool = filled(path, walk)
    assert "Country" in spool.new_keys
    assert spool.missing_keys == set(CLICKS.sorted_keys) - {"Phone_Number"}


def test_a_known_key_with_an_odd_value_is_no_new_key(path: Path) -> None:
    assert filled(path, [Page(1, [row(0, Link_Name=5)], 1, 1, 1, None)]).new_keys == set()


def test_new_keys_outlive_a_kill(path: Path, little_memory: None) -> None:
    walk = pages(6, Country="GB")
    filled(path, walk[:4], finish=False).release()
    spool = Spool(CLICKS, "c", path)
    assert spool.resume(walk[0])
    assert spool.new_keys == {"Country"}


def test_its_ids_are_the_rows_ids(path: Path) -> None:
    spool = filled(path, pages(3, 1))
    ids = [row_id for batch in spool.batches() for row_id in batch.column(ROW_ID).to_pylist()]
    assert len(set(ids)) == 3


def test_rows_taken_up_from_a_killed_walk_are_as_old_as_that_walk(killed: Path) -> None:
    before = datetime.now(UTC)
    spool = Spool(CLICKS, "c", killed)
    assert spool.resume(pages(6)[0])
    assert spool.at < before


def test_a_file_of_the_day_before_yesterday_is_dropped(killed: Path) -> None:
    spool = Spool(CLICKS, "c", killed)
    spool.at += timedelta(days=1, seconds=1)
    assert not spool.resume(pages(6)[0])
    assert not killed.exists()


@pytest.mark.parametrize(("shift", "goes_on"), [(0, True), (1, False)])
def test_rows_that_moved_are_noticed_on_the_last_page_taken(killed: Path, shift: int, goes_on: bool) -> None:
    spool = Spool(CLICKS, "c", killed)
    assert spool.resume(pages(6)[0])
    assert spool.goes_on(pages(6, start=shift)[3]) is goes_on


def test_a_whole_walk_of_a_short_last_page_goes_on(path: Path, little_memory: None) -> None:
    walk = [*pages(2), replace(pages(3)[2], rows=[row(9)], total=2 * PER_PAGE + 1)]
    walk = [replace(page, total=2 * PER_PAGE + 1, last_page=3) for page in walk]
    filled(path, walk, finish=False).release()
    filled(path, walk).release()
    spool = Spool(CLICKS, "c", path)
    assert spool.resume(walk[0])
    assert spool.last_page == 3
    assert spool.goes_on(walk[2])
    assert not spool.goes_on(replace(walk[2], rows=[row(8)]))


def test_a_file_from_before_what_is_wanted_is_dropped(killed: Path) -> None:
    assert not Spool(CLICKS, "c", killed).resume(pages(6)[0], after=datetime.now(UTC))
    assert not killed.exists()


def test_a_file_from_after_what_is_held_is_taken_up(killed: Path) -> None:
    assert Spool(CLICKS, "c", killed).resume(pages(6)[0], after=datetime.now(UTC) - timedelta(hours=1))


def test_it_tells_whether_values_are_of_another_type(path: Path) -> None:
    assert filled(path, [Page(1, [row(0, Link_Name=5)], 1, 1, 1, None)]).odd
    assert not filled(path, [Page(1, [row(0, New=5)], 1, 1, 1, None)]).odd
