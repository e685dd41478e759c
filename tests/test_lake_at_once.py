"""Eight loads at once into a lake, half of them killed, while somebody reads: no row lost or doubled, none half.

Run by `make lake-check`, with the tests of loads, ledger, faults and kills, which are the same for all engines; the
lake is a folder, or a bucket of a local S3 server (`s3_server`).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engines import LAKE, destination_of, reading
from passona.reports import REPORTS
from sandbox import Account, Sandbox, Switches
from test_kills import THREE, fill, kill
from test_load import ONE, TWO, assert_as_served
from warehouses import Warehouse, environment_of

pytestmark = pytest.mark.skipif(not LAKE, reason="make lake-check runs it")
ROUNDS = int(os.environ.get("PASSONA_ROUNDS", "3"))


def begin(box: Sandbox, folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "passona", "load", "--accept-shrink", *arguments], cwd=folder,
        env=environment_of(box) | destination_of(folder), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip


def unlike_their_ledger(path: Path) -> list[object]:
    """Reports of which a reader sees other rows than the ledger says, or rows and fields of two loads."""
    counts = " UNION ALL ".join(
        f"SELECT campaign_id, '{name}' AS report, count(*) AS rows, count(DISTINCT _dlt_load_id) AS loads "
        f"FROM passona.{name} GROUP BY ALL"
        for name in REPORTS
    )
    fields = " UNION ALL ".join(
        f"SELECT row_id FROM passona.{report.fields_table} WHERE row_id NOT IN (SELECT row_id FROM passona.{name})"
        for name, report in REPORTS.items()
        if report.lists
    )
    with reading(path) as connection:
        return (
            connection.execute(
                f"SELECT campaign_id, report, row_count, rows FROM passona.report_ledger LEFT JOIN ({counts}) "
                "USING (campaign_id, report) WHERE coalesce(rows, 0) <> row_count OR loads > 1"
            ).fetchall()
            + connection.execute(fields).fetchall()
        )


@contextmanager
def a_reader(path: Path) -> Iterator[list[object]]:
    """Somebody who reads all the time; what was odd, and at the end how often it was looked."""
    done, found = threading.Event(), []

    def read() -> None:
        looks = 0
        while not done.is_set():
            found.extend(unlike_their_ledger(path))
            looks += 1
        found.append(looks)

    thread = threading.Thread(target=read)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def test_eight_loads_at_once_half_of_them_killed_leave_every_row_right_and_once(
    tmp_path: Path, warehouse: Warehouse, account: Account
) -> None:
    dice = random.Random("eight loads")
    with Sandbox(account, Switches(per_page_limit=50)) as box:
        fill(account, 0)
        assert begin(box, tmp_path).wait() == 0
        for version in range(1, ROUNDS + 1):
            fill(account, version)
            with a_reader(warehouse.path) as found:
                # All of everything, and two for each of four shards.
                shards = [("--shard", f"{n % 4 + 1}/4") if version % 2 else () for n in range(8)]
                loads = [begin(box, tmp_path, *shard) for shard in shards]
                for load in dice.sample(loads, 4):
                    kill(load, dice.uniform(0, 4))
                for load in loads:
                    _, stderr = load.communicate(timeout=200)
                    assert load.returncode in (0, -9), stderr
            *odd, looks = found
            assert odd == []
            assert looks
            assert [load.returncode for load in loads].count(0) >= 4
            if version % 2 == 0:
                assert_as_served(warehouse, account, [ONE, TWO, THREE])
            assert begin(box, tmp_path).wait() == 0
            assert_as_served(warehouse, account, [ONE, TWO, THREE])
    assert warehouse.one("SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL") == (0,)
