"""Pages to Arrow, one thread, no network and no database: what the program does with them, and what the floor does.

    python benchmarks/decoding.py --rows 100000 [--runs 3]

All six reports of a campaign, 50 rows a page, report after report. Ours: `read_page`, columns of text with
their row_id (`Spool`), typed tables with their lists (`tables`). The floor's: `orjson.loads` and
`pa.Table.from_pylist`. Prints one line of JSON: the rows, and the median seconds of both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import orjson
import pyarrow as pa
from page_server import ROOT, Library

from passona.config.settings import Settings
from passona.reports.definitions import REPORTS, Report
from passona.source.pages import read_page
from passona.source.resources import PIECE_ROWS
from passona.source.rows import ROW_ID, Tables, tables
from passona.source.spool import Spool
from passona.source.walk import Walk
from passona_sandbox import Account

Bodies = Mapping[str, Sequence[bytes]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, required=True, help="rows in all six reports together")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    account = Account(campaigns=1, rows=arguments.rows, special=False)
    campaign = account.campaigns()[0]["uuid"]
    pages = _pages(account, campaign)
    ours, floor = [], []
    for _ in range(arguments.runs):
        with tempfile.TemporaryDirectory() as folder:
            ours.append(_timed(lambda folder=folder: _ours(campaign, pages, Path(folder))))  # type: ignore[misc]  # bound now
        floor.append(_timed(lambda: _floor(pages)))
    print(json.dumps({"rows": arguments.rows, "ours": median(ours), "floor": median(floor)}))


def _timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _pages(account: Account, campaign: str) -> Bodies:
    """The bodies of all pages of each report, as the page server sends them."""
    library = Library(account, limit=50)
    found = {}
    for report in REPORTS:
        last = max(1, -(-account.count(campaign, report) // library.limit))
        targets = (f"{ROOT}reporting/{campaign}/{report}?page={number}" for number in range(1, last + 1))
        found[report] = [library.answer(target).partition(b"\r\n\r\n")[2] for target in targets]
    return found


def _ours(campaign: str, pages: Bodies, folder: Path) -> list[Tables]:
    return [piece for name, bodies in pages.items() for piece in _typed(REPORTS[name], campaign, bodies, folder)]


def _typed(report: Report, campaign: str, bodies: Sequence[bytes], folder: Path) -> list[Tables]:
    """One report, in pieces as large as a load makes them."""
    path = f"reporting/{campaign}/{report.name}"
    spool = Spool(report, campaign, folder / report.name)
    for number, body in enumerate(bodies, 1):
        spool.add(read_page(body, path, number))
    spool.finish()
    ordinals = Walk(report, campaign, spool, 1).ordinals()
    pieces: list[Tables] = []
    batches: list[pa.RecordBatch] = []
    for batch in spool.batches():
        ids = ordinals.number(batch.column(ROW_ID))
        batches.append(batch.set_column(batch.schema.get_field_index(ROW_ID), ROW_ID, ids))
        if sum(map(len, batches)) >= PIECE_ROWS:
            pieces.append(tables(report, campaign, batches, Settings.timezone))
            batches = []
    if batches:
        pieces.append(tables(report, campaign, batches, Settings.timezone))
    return pieces


def _floor(pages: Bodies) -> list[pa.Table]:
    return [
        pa.Table.from_pylist([row for body in bodies for row in orjson.loads(body)["data"]])
        for bodies in pages.values()
    ]


if __name__ == "__main__":
    main()
