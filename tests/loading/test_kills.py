"""kill -9 at any moment, then one ordinary load: the warehouse is as if nothing had happened.

`make check` kills a few times, `make soak` some hundreds (PASSONA_KILLS).
"""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from passona_sandbox import Account, Sandbox, Switches
from support.campaigns import ONE, THREE, TWO, click, message, open_campaign, unsent
from support.engines import drop, work_of
from support.forked import KILLS, kill_passona, run_passona
from support.ledgers import assert_whole
from support.served import assert_as_served
from support.warehouses import Warehouse, environment_of

pytestmark = pytest.mark.both


def load(box: Sandbox, folder: Path, *arguments: str) -> int:
    """A whole load; its exit code."""
    return run_passona(["load", "--wait", "0", *arguments], folder, environment_of(box, folder)).returncode


def begin(box: Sandbox, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "passona", "load", "--wait", "0", *arguments], cwd=folder,
        env=environment_of(box, folder) | {"TMPDIR": str(folder / "tmp")}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def fill(account: Account, version: int) -> None:
    """Another content in each version: rows more and fewer, other statuses, reports that become empty."""
    rows = 700 + 100 * (version % 3)
    account.put(
        open_campaign(ONE),
        {
            "alt_delivery": [message(n, Status=f"v{version}") for n in range(rows)],
            "clicks": [click(n % 47, Clicked_At=f"2020-10-25 01:{version % 60:02}:00") for n in range(rows)],
            "recipient": [],
        },
    )
    account.put(open_campaign(TWO), {"alt_delivery": [message(n) for n in range(300)], "clicks": [click(version)]})
    account.put(open_campaign(THREE), {"unsent": [unsent(n) for n in range(400)] if version % 2 else []})


@pytest.mark.parametrize("warehouse_is", ["filled", "new"])
def test_after_kills_at_random_moments_one_load_makes_everything_right(tmp_path: Path, warehouse_is: str) -> None:
    """In a filled warehouse a load replaces what is there; into a new one it appends."""
    dice = random.Random(f"kills, {warehouse_is}")
    account = Account.empty()
    (tmp_path / "tmp").mkdir()
    warehouse = Warehouse(tmp_path / "warehouse.duckdb")
    with Sandbox(account, Switches(per_page_limit=50)) as box:
        fill(account, 0)
        begun = time.monotonic()
        assert load(box, tmp_path) == 0
        usual = time.monotonic() - begun
        for number in range(1, KILLS // 2 + 1):
            fill(account, number)
            if warehouse_is == "new":
                drop(warehouse.path)
            for _ in range(dice.choice([1, 1, 2])):
                kill_passona(["load", "--wait", "0"], tmp_path, environment_of(box, tmp_path), dice.uniform(0, usual))
            if dice.random() < 0.3:
                continue
            ended = begin(box, tmp_path, "--accept-shrink")
            _, stderr = ended.communicate(timeout=60)
            assert ended.returncode == 0, (number, stderr)
            assert_as_served(warehouse, account, [ONE, TWO, THREE])
            assert_whole(warehouse)
            assert {path.name for path in tmp_path.iterdir()} - {"warehouse.duckdb"} == {"tmp"}
            assert list((tmp_path / "tmp").iterdir()) == []


def kill(begun: subprocess.Popen[bytes], after: float) -> None:
    """Ends a load after so many seconds, if it has not ended by itself."""
    try:
        begun.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        begun.kill()
        begun.communicate()


def long(n: int, **other: object) -> dict[str, object]:
    """A message of two kilobytes: a few thousand go to disk."""
    return message(n, FieldValues=f"{'John ' * 400}{n},Doe", **other)


@contextmanager
def killed_walk(folder: Path, account: Account, rows: list[dict[str, object]], page: int) -> Iterator[Sandbox]:
    """A walk of these rows at 50 a page, killed while this page is awaited; its server is in order then."""
    (folder / "tmp").mkdir()
    account.put(open_campaign(ONE), {"alt_delivery": rows})
    stop = {"kind": "latency", "seconds": 60, "report": "alt_delivery", "page": page}
    with Sandbox(account, Switches(per_page_limit=50), faults=[stop]) as box:
        killed = begin(box, folder, "--report", "alt_delivery")
        while len(box.requests) < page + 5:
            assert killed.poll() is None
            time.sleep(0.01)
        kill(killed, 0)
        box.faults = []
        box.forget_requests()
        yield box


def pages_asked(box: Sandbox) -> list[int]:
    return sorted(int(record.page or 1) for record in box.requests if record.kind == "report")


def test_a_walk_killed_at_page_900_of_1000_resumes_there(
    tmp_path: Path, account: Account, warehouse: Warehouse
) -> None:
    with killed_walk(tmp_path, account, [message(n) for n in range(50_000)], 901) as box:
        spools = list(tmp_path.rglob("*.arrow"))
        assert [oct(spool.stat().st_mode & 0o777) for spool in spools] == ["0o600"]
        assert oct(spools[0].parent.stat().st_mode & 0o777) == "0o700"
        assert load(box, tmp_path, "--report", "alt_delivery") == 0
        pages = pages_asked(box)
    assert pages[0] == 1
    assert pages[1] > 850
    assert len(pages) < 150
    assert_as_served(warehouse, account, [ONE])
    assert {path.name for path in tmp_path.iterdir()} - {"warehouse.duckdb"} == {"tmp"}


@pytest.mark.parametrize(
    ("change", "arguments"),
    [
        ("all", ()),  # page 1 shows it
        ("moved", ()),  # the last page that was taken shows it
        ("none", ("--refresh",)),  # asked anew because that was wished
    ],
)
def test_a_spool_is_taken_up_only_where_nothing_changed(
    tmp_path: Path, account: Account, warehouse: Warehouse, change: str, arguments: tuple[str, ...]
) -> None:
    with killed_walk(tmp_path, account, [long(n) for n in range(6_000)], 110) as box:
        rows = list(account.rows(ONE, "alt_delivery"))
        if change == "all":
            account.put(open_campaign(ONE), {"alt_delivery": [row | {"Status": "new"} for row in rows]})
        elif change == "moved":
            account.put(open_campaign(ONE), {"alt_delivery": [*rows[:1000], *rows[1001:], long(6_000)]})
        assert load(box, tmp_path, "--report", "alt_delivery", *arguments) == 0
        assert set(pages_asked(box)) == set(range(1, 121))
    assert_as_served(warehouse, account, [ONE])


def test_rows_that_are_committed_are_not_taken_up_again(tmp_path: Path, account: Account, warehouse: Warehouse) -> None:
    # Killed between the commit and the end of the spool: its rows are in, and another load would find them anew.
    spools, kept = work_of(warehouse.path) / "spools", tmp_path / "kept"
    with killed_walk(tmp_path, account, [long(n) for n in range(6_000)], 110) as box:
        shutil.copytree(spools, kept)
        assert load(box, tmp_path, "--report", "alt_delivery") == 0
        spools.mkdir(parents=True)
        for file in kept.iterdir():
            shutil.copy(file, spools)
        changed = [long(n) if n < 50 or n >= 2_000 else long(n, Status="new") for n in range(6_000)]
        account.put(open_campaign(ONE), {"alt_delivery": changed})
        assert load(box, tmp_path, "--report", "alt_delivery") == 0
    assert_as_served(warehouse, account, [ONE])
    assert not spools.exists()
