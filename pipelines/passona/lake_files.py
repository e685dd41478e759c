"""The Parquet files of a lake: of each snapshot one for each table that has rows.

    verified walk -> <table>/campaign_id=<uuid>/snapshot=<id>/<report>.parquet

A snapshot is one report of one campaign, whole, as one load saw it. Engines know the folders' names as columns and
read the files alone that a question is about. Nothing is ever changed in place.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from passona.lake_forgotten import KeptOut
from passona.reports import REPORTS, Report
from passona.schema import TABLES
from passona.source import Counts, Piece, counted, walk_pieces
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
    `new_columns`: those of keys that the guide does not know, by table, as JSON. `list_number`: that of the list of
    those who are kept out (`lake_forgotten`) whose people are not in it."""

    id: str | None = None
    odd: bool = False
    new_columns: str | None = None
    list_number: int = 0


class Place(NamedTuple):
    """Where a file of a snapshot is."""

    table: str
    campaign_id: str
    snapshot: str
    report: str

    @property
    def key(self) -> tuple[str, str]:
        return self.campaign_id, self.report

    @property
    def name(self) -> str:
        return f"{self.table}/campaign_id={self.campaign_id}/snapshot={self.snapshot}/{self.report}.parquet"


def place_of(name: str) -> Place | None:
    """The place of a file by its name; None where it is of no snapshot."""
    table, *rest = name.split("/")
    if table not in FILED or len(rest) != 3 or name.endswith(EMPTY) or not name.endswith(".parquet"):
        return None
    campaign, snapshot, file = rest
    return Place(table, campaign.partition("=")[2], snapshot.partition("=")[2], file.removesuffix(".parquet"))


def places(campaign_id: str, report: str, snapshot: str) -> list[Place]:
    """Where a snapshot may have files."""
    return [Place(table, campaign_id, snapshot, report) for table in (*REPORTS[report].tables, ISSUES)]


def write_snapshot(
    store: Store, walk: Walk, zone: str, snapshot: str, counts: Counts, *, kept_out: KeptOut | None = None
) -> Snapshot:
    """Writes the files of one walk. Nobody reads them before the ledger names the snapshot.

    `zone`: that of times without an offset. `counts`: of its report, to which its rows are added. `kept_out`: who
    was forgotten since the walk began, if anybody was.
    """
    odd, new_columns = walk.spool.odd, {}
    files: dict[str, RowsFile] = {}
    pieces = walk_pieces(walk, zone)
    if kept_out is not None and walk.report.phone_column is not None:
        pieces = _without(pieces, walk.report, walk.report.phone_column, kept_out)
    with contextlib.ExitStack() as stack:
        for name, piece in counted(pieces, walk.report, counts):
            if not len(piece):
                continue
            rows = piece.drop_columns(["campaign_id"])
            if name not in files:
                place = Place(name, walk.campaign_id, snapshot, walk.report.name).name
                files[name] = stack.enter_context(rows_file(store, place, rows.schema))
                if new := [column for column in rows.column_names if column not in TABLES[name].schema.names]:
                    new_columns[name] = new
            files[name].add(rows)
            if name == ISSUES:
                odd = odd or "unexpected_type" in pc.unique(rows.column("issue")).to_pylist()
    return Snapshot(snapshot, odd, orjson.dumps(new_columns).decode() if new_columns else None)


def _without(pieces: Iterable[Piece], report: Report, phone: str, kept_out: KeptOut) -> Iterator[Piece]:
    """The pieces without the rows of these people, and without what belongs to those: a row comes before that."""
    theirs: pa.Array[Any] = pa.array([], pa.string())
    for name, piece in pieces:
        if name == report.name:
            known = kept_out(text for text in pc.unique(piece.column(phone)).to_pylist() if text is not None)
            of_them = pc.is_in(piece.column(phone), pa.array(sorted(known), pa.string()))
            theirs = pc.filter(piece.column("row_id"), of_them).combine_chunks()
        yield name, piece.filter(pc.invert(pc.is_in(piece.column("row_id"), theirs)))


def write_empty(store: Store) -> None:
    """The files without rows."""
    for name in FILED:
        schema = pa.schema([field for field in TABLES[name].schema if field.name != "campaign_id"])
        with rows_file(store, f"{name}/{EMPTY}", schema) as file:
            file.add(schema.empty_table())


class RowsFile:
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
def rows_file(store: Store, name: str, schema: pa.Schema) -> Iterator[RowsFile]:
    """A new file of rows, in place at the end of the block."""
    with (
        store.writing(name) as file,
        pq.ParquetWriter(file, schema.remove_metadata(), compression="zstd", store_schema=False) as writer,
    ):
        found = RowsFile(writer)
        yield found
        found.flush()
