"""The lake in a bucket: loaded over the S3 protocol from a local server, which `make spark-check` brings along."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from passona.reports import REPORTS
from sandbox import Account, Sandbox

pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")

KEY, SECRET = "loader", "not-a-secret"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """A bucket on a server of its own; the environment by which commands find a lake in it."""
    import boto3

    server = moto.ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
    ).create_bucket(Bucket="lake")
    credentials = "DESTINATION__WAREHOUSE__CREDENTIALS"
    yield {
        "DESTINATION__WAREHOUSE__DESTINATION_TYPE": "filesystem",
        "DESTINATION__WAREHOUSE__BUCKET_URL": "s3://lake/passona",
        f"{credentials}__ENDPOINT_URL": url,
        f"{credentials}__AWS_ACCESS_KEY_ID": KEY,
        f"{credentials}__AWS_SECRET_ACCESS_KEY": SECRET,
        f"{credentials}__REGION_NAME": "us-east-1",
    }
    server.stop()


def files_of(bucket: dict[str, str]) -> Any:
    import s3fs

    return s3fs.S3FileSystem(
        key=KEY, secret=SECRET, client_kwargs={"endpoint_url": bucket["DESTINATION__WAREHOUSE__CREDENTIALS__ENDPOINT_URL"]},
        use_listings_cache=False, skip_instance_cache=True,
    )  # fmt: skip


@contextmanager
def reading(bucket: dict[str, str]) -> Iterator[duckdb.DuckDBPyConnection]:
    files = files_of(bucket)
    with duckdb.connect() as connection:
        connection.register_filesystem(files)
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(files.cat_file("s3://lake/passona/views/duckdb.sql").decode())
        yield connection


def test_a_lake_in_a_bucket_holds_what_is_served_once_and_tells_its_status(
    bucket: dict[str, str], passona: Run, begun: Callable[..., subprocess.Popen[str]]
) -> None:
    account = Account(seed=3, campaigns=4, rows=1_500, hostile=True)
    with Sandbox(account) as box:
        loads = [begun("load", box=box, **bucket) for _ in range(3)]
        loads[0].kill()
        assert [(load.communicate(timeout=100)[1], load.returncode) for load in loads[1:]] == [("", 0)] * 2
        ended = passona("load", "--refresh", box=box, **bucket)
        assert (ended.returncode, ended.stderr) == (0, "")
    with reading(bucket) as connection:
        for report in REPORTS:
            served = sum(len(list(account.rows(campaign["uuid"], report))) for campaign in account.campaigns())
            found = connection.execute(f"SELECT count(*), count(DISTINCT row_id) FROM passona.{report}").fetchall()
            assert found == [(served, served)], report
        odd = "SELECT count(*) FROM passona.report_ledger WHERE verified_at IS NULL"
        assert connection.execute(odd).fetchall() == [(0,)]
    ended = passona("status", "--max-age", "1h", **bucket)
    assert ended.returncode == 0, ended.stderr
    assert SECRET not in ended.stdout


def test_people_are_forgotten_in_a_bucket_and_its_versions_are_told(bucket: dict[str, str], passona: Run) -> None:
    account = Account(seed=3, campaigns=4, rows=1_500, hostile=True)
    with Sandbox(account) as box:
        assert passona("load", box=box, **bucket).returncode == 0
        assert passona("load", "--refresh", box=box, **bucket).returncode == 0
        with reading(bucket) as connection:
            count = "SELECT recipient, count(*) FROM passona.delivery GROUP BY 1 HAVING length(recipient) = 12 ORDER BY 1 LIMIT 1"
            ((phone, number),) = connection.execute(count).fetchall()
            ended = passona("forget", "--dry-run", phone, **bucket)
            assert (ended.returncode, ended.stderr) == (0, "")
            files_of(bucket).make_bucket_versioned("lake")
            ended = passona("forget", phone, **bucket)
            assert (ended.returncode, "the bucket keeps versions" in ended.stderr) == (0, True), ended.stderr
            assert phone not in ended.stdout + ended.stderr
            with pytest.raises(duckdb.Error, match="read it again"):
                connection.execute("SELECT count(*) FROM passona.delivery").fetchall()
        with reading(bucket) as connection:
            assert number > 0
            gone = f"SELECT count(*) FROM passona.delivery WHERE recipient = '{phone}'"
            assert connection.execute(gone).fetchall() == [(0,)]
        assert passona("load", "--refresh", box=box, **bucket).returncode == 0
    files = files_of(bucket)
    cells = [
        str(value)
        for path in files.find("s3://lake/passona")
        if path.endswith(".parquet")
        for column in pq.read_table(path, filesystem=files, partitioning=None).columns
        for value in column.to_pylist()
    ]
    assert len(cells) > 10_000
    assert [cell for cell in cells if phone in cell] == []


def test_a_store_that_is_not_there_is_told_in_one_line(bucket: dict[str, str], passona: Run, box: Sandbox) -> None:
    ended = passona(
        "load", box=box, **bucket | {"DESTINATION__WAREHOUSE__CREDENTIALS__ENDPOINT_URL": "http://127.0.0.1:1"}
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1), ended.stderr
    assert "s3://lake/passona cannot be read" in ended.stderr
