"""Where the time of a load goes: 100,000 rows in all six reports, 50 a page and 500 a page, no latency.

    python benchmarks/where.py

The whole process first, then its parts alone, one after another on the same pages: the server and
the bare socket, the HTTP client, pages and rows, dlt with DuckDB. In a load the parts overlap, so
the whole may be less than their sum.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
from bare_client import bodies
from processes import load, sandbox

from passona.config.settings import Settings
from passona.reports.definitions import REPORTS
from passona.source.client import Client
from passona.source.pages import read_page
from passona.source.spool import Spool
from passona.source.walk import Walk
from passona.warehouse._load_package import Package
from passona.warehouse.database import open_database

ROWS = 100_000
PAGE_SIZES = (50, 500)
Target = tuple[str, int]


def main() -> None:
    for per_page in PAGE_SIZES:
        show(per_page)


def show(per_page: int) -> None:
    """Prints a line for each part."""
    options = ("--campaigns", "3", "--rows", str(ROWS), "--per-page-limit", str(per_page))
    with sandbox(*options) as address, tempfile.TemporaryDirectory() as folder:
        warehouse = Path(folder) / "warehouse.duckdb"
        whole = load(address, warehouse)
        targets = list(_targets(warehouse))
        said = whole.document
        rows = sum(report["rows"] for report in said["reports"].values())
        print(f"{rows:,} rows, {per_page} a page: {len(targets):,} pages, {said['requests']:,} requests")
        _say("whole process", whole.seconds)
        _say("server and bare sockets", _timed(lambda: _bare(address, targets, per_page))[0])
        took, answers = _timed(lambda: _client(address, targets, per_page))
        _say("the same through the client", took)
        took, walks = _timed(lambda: _walks(targets, answers, Path(folder)))
        _say("pages, rows to columns, row_id", took)
        took, _ = _timed(lambda: _commit(walks, Path(folder) / "again.duckdb"))
        _say("types, lists, dlt and DuckDB", took)


def _say(what: str, seconds: float) -> None:
    print(f"{what:<34}{seconds:>6.1f} s")


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.monotonic()
    result = work()
    return time.monotonic() - begun, result


def _targets(warehouse: Path) -> Iterator[Target]:
    """Path and number of every page, from the ledger."""
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        found = connection.execute("SELECT campaign_id, report, pages FROM passona.report_ledger").fetchall()
    for campaign, report, pages in found:
        for number in range(1, pages + 1):
            yield f"reporting/{campaign}/{report}", number


def _bare(address: str, targets: list[Target], per_page: int) -> None:
    for _ in bodies(address, [f"{path}?page={number}&per_page={per_page}" for path, number in targets]):
        pass


def _client(address: str, targets: list[Target], per_page: int) -> list[bytes]:
    client = Client(Settings("sandbox", base_url=address))
    with ThreadPoolExecutor(8) as pool:
        bodies = list(pool.map(lambda target: client.get(*target, per_page), targets))
    client.close()
    return bodies


def _walks(targets: list[Target], bodies: list[bytes], folder: Path) -> list[Walk]:
    spools: dict[str, Spool] = {}
    for (path, number), body in zip(targets, bodies, strict=True):
        _, campaign, report = path.split("/")
        spool = spools.setdefault(path, Spool(REPORTS[report], campaign, folder / f"{campaign}.{report}"))
        spool.add(read_page(body, path, number))
    for spool in spools.values():
        spool.finish()
    return [Walk(spool.report, spool.campaign_id, spool, 1) for spool in spools.values()]


def _commit(walks: list[Walk], warehouse: Path) -> None:
    database = open_database(warehouse, 0, lambda _: None)
    package = Package()
    for walk in walks:
        package.add(walk)
    database.prepare()
    database.commit(package, "Europe/London")
    database.close()


if __name__ == "__main__":
    main()
