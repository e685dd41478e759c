"""The Parquet files of a lake: of each snapshot one for each table that has rows.

    verified walk -> <table>/campaign_id=<uuid>/snapshot=<id>/<report>.parquet

A snapshot is one report of one campaign, whole, as one load saw it. Engines know the folders' names as columns and
read the files alone that a question is about. Nothing is ever changed in place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from passona.reports import REPORTS
from passona.schema import TABLES
from passona.source import Counts, counted, walk_pieces
from passona.store import Store
from passona.walk import Walk

ISSUES = "row_issues"
# The tables whose rows are in files of their own.
FILED = (*(name for report in REPORTS.values() for name in report.tables), ISSUES)
# A file of each table without rows, so that engines know the columns of one that has none yet.
EMPTY = "campaign_id=none/snapshot=none/none.parquet"
# Rows that are compressed together: engines skip and share work by such groups, and one of a report with long texts
# takes some 50 MB while it is made.
_GROUP_ROWS = 100_000


class Snapshot(NamedTuple):
    """What the ledger keeps of the files of one report. `odd`: whether values are of another type than the guide's;
    `new_columns`: those of keys that the guide does not know, by table, as JSON."""

    id: str | None = None
    odd: bool = False
    new_columns: str | None = None


def write_snapshot(store: Store, walk: Walk, zone: str, snapshot: str, counts: Counts) -> Snapshot:
    """Writes the files of one walk. Nobody reads them before the ledger names the snapshot.

    `zone`: that of times without an offset. `counts`: of its report, to which its rows are added.
    """
    odd, new_columns = walk.spool.odd, {}
    files: dict[str, _File] = {}
    with contextlib.ExitStack() as stack:
        for name, piece in counted(walk_pieces(walk, zone), walk.report, counts):
            if not len(piece):
                continue
            rows = piece.drop_columns(["campaign_id"])
            if name not in files:
                place = f"{name}/campaign_id={walk.campaign_id}/snapshot={snapshot}/{walk.report.name}.parquet"
                files[name] = stack.enter_context(_file(store, place, rows.schema))
                if new := [column for column in rows.column_names if column not in TABLES[name].schema.names]:
                    new_columns[name] = new
            files[name].add(rows)
            if name == ISSUES:
                odd = odd or "unexpected_type" in pc.unique(rows.column("issue")).to_pylist()
    return Snapshot(snapshot, odd, orjson.dumps(new_columns).decode() if new_columns else None)


def write_empty(store: Store) -> None:
    """The files without rows."""
    for name in FILED:
        schema = pa.schema([field for field in TABLES[name].schema if field.name != "campaign_id"])
        with _file(store, f"{name}/{EMPTY}", schema) as file:
            file.add(schema.empty_table())


class _File:
    """One Parquet file, its rows gathered to groups of some size."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting: list[pa.Table] = []

    def add(self, piece: pa.Table) -> None:
        self._waiting.append(piece)
        if sum(map(len, self._waiting)) >= _GROUP_ROWS:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=2 * _GROUP_ROWS)
            self._waiting = []


@contextlib.contextmanager
def _file(store: Store, name: str, schema: pa.Schema) -> Iterator[_File]:
    with (
        store.writing(name) as file,
        pq.ParquetWriter(file, schema.remove_metadata(), compression="zstd", store_schema=False) as writer,
    ):
        found = _File(writer)
        yield found
        found.flush()
