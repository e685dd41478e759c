"""The lake in a bucket: loaded over the S3 protocol from a local server, which `make spark-check` brings along."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import duckdb
import pyarrow.parquet as pq
import pytest

import s3_server
from passona.reports import REPORTS
from passona.store import Store
from sandbox import Account, Sandbox

pytestmark = pytest.mark.skipif(not s3_server.program(), reason="no S3 server is installed")
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def address() -> Iterator[str]:
    with s3_server.server() as address:
        yield address


@pytest.fixture
def bucket(address: str) -> dict[str, str]:
    """The environment by which commands find a lake in the bucket."""
    return s3_server.place(address)


@contextmanager
def reading(address: str) -> Iterator[duckdb.DuckDBPyConnection]:
    files = s3_server.open_files(address)
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(files.cat_file("s3://lake/passona/views/duckdb.sql").decode())
        yield connection


def test_a_lake_in_a_bucket_holds_what_is_served_once_and_tells_its_status(
    address: str, bucket: dict[str, str], passona: Run, begun: Callable[..., subprocess.Popen[str]]
) -> None:
    account = Account(seed=3, campaigns=4, rows=1_500, hostile=True)
    with Sandbox(account) as box:
        loads = [begun("load", box=box, **bucket) for _ in range(3)]
        loads[0].kill()
        assert [(load.communicate(timeout=100)[1], load.returncode) for load in loads[1:]] == [("", 0)] * 2
        ended = passona("load", "--refresh", box=box, **bucket)
        assert (ended.returncode, ended.stderr) == (0, "")
    with reading(address) as connection:
        for report in REPORTS:
            served = sum(len(list(account.rows(campaign["uuid"], report))) for campaign in account.campaigns())
            found = connection.execute(f"SELECT count(*), count(DISTINCT row_id) FROM passona.{report}").fetchall()
            assert found == [(served, served)], report
        odd = "SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL"
        assert connection.execute(odd).fetchall() == [(0,)]
    ended = passona("status", "--max-age", "1h", **bucket)
    assert ended.returncode == 0, ended.stderr
    assert s3_server.SECRET not in ended.stdout


def test_people_are_forgotten_in_a_bucket_and_its_versions_are_told(
    address: str, bucket: dict[str, str], passona: Run
) -> None:
    account = Account(seed=3, campaigns=4, rows=1_500, hostile=True)
    with Sandbox(account) as box:
        assert passona("load", box=box, **bucket).returncode == 0
        assert passona("load", "--refresh", box=box, **bucket).returncode == 0
        with reading(address) as connection:
            count = "SELECT recipient, count(*) FROM passona.delivery GROUP BY 1 HAVING length(recipient) = 12 ORDER BY 1 LIMIT 1"
            ((phone, number),) = connection.execute(count).fetchall()
            ended = passona("forget", "--dry-run", phone, **bucket)
            assert (ended.returncode, ended.stderr) == (0, "")
            s3_server.open_files(address).make_bucket_versioned("lake")
            ended = passona("forget", phone, **bucket)
            assert (ended.returncode, "the bucket keeps versions" in ended.stderr) == (0, True), ended.stderr
            assert phone not in ended.stdout + ended.stderr
            with pytest.raises(duckdb.Error, match="read it again"):
                connection.execute("SELECT count(*) FROM passona.delivery").fetchall()
        with reading(address) as connection:
            assert number > 0
            gone = f"SELECT count(*) FROM passona.delivery WHERE recipient = '{phone}'"
            assert connection.execute(gone).fetchall() == [(0,)]
        assert passona("load", "--refresh", box=box, **bucket).returncode == 0
    files = s3_server.open_files(address)
    cells = [
        str(value)
        for path in files.find("s3://lake/passona")
        if path.endswith(".parquet")
        for column in pq.read_table(path, filesystem=files, partitioning=None).columns
        for value in column.to_pylist()
    ]
    assert len(cells) > 10_000
    assert [cell for cell in cells if phone in cell] == []


def test_what_is_there_is_not_made_again_and_what_cannot_be_made_is_told(address: str) -> None:
    """Amazon's answer names the condition that did not hold, other servers' do not; s3fs knows the first alone."""
    store = Store(s3_server.open_files(address), f"{s3_server.BUCKET}/made", local=False)
    assert (store.create("once", b"first"), store.create("once", b"second")) == (True, False)
    assert store.read(["once"]) == {"once": b"first"}
    with pytest.raises(OSError, match="bucket"):
        Store(store.files, "no-bucket", local=False).create("/once", b"")


def test_a_store_that_is_not_there_is_told_in_one_line(bucket: dict[str, str], passona: Run, box: Sandbox) -> None:
    ended = passona(
        "load", box=box, **bucket | {"DESTINATION__WAREHOUSE__CREDENTIALS__ENDPOINT_URL": "http://127.0.0.1:1"}
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert "s3://lake/passona cannot be read" in ended.stderr
