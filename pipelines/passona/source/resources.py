"""dlt's resources: one per report, fed with verified walks, and one each for campaigns, ledger.

    Walk -> rows.tables -> Arrow pieces -> dlt (merge by campaign_id)

Every table is replaced by campaign: `write_disposition="merge"` with `merge_key` and no primary key,
plus one marker row per (campaign, table) under a `hard_delete` column, which deletes the old rows
even where no new one comes. Where the tables hold nothing of a package's campaigns yet, its rows are
appended: through dlt's staging they would be written twice. Every column's type is pinned, so that no
text is ever taken for a time. (A primary key beside the merge key makes dlt join the two by OR, which takes
minutes and gigabytes.)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal

import dlt
import pyarrow as pa
from dlt.extract import DltResource

from passona.reports import CAMPAIGNS, REPORTS, Report
from passona.row_ids import Ordinals
from passona.rows import ROW_ID, Tables, tables
from passona.schema import TABLES, Table
from passona.source.ledger import Entry, entry_table
from passona.source.spool import PIECE_ROWS
from passona.source.walk import Walk

_CAMPAIGN_TABLES = (CAMPAIGNS.name, "campaigns__contact_groups")


@dataclass
class Counts:
    """Rows that went into a package."""

    rows: int = 0
    fields: int = 0
    issues: int = 0

    def add(self, other: Counts) -> None:
        self.rows += other.rows
        self.fields += other.fields
        self.issues += other.issues


@dataclass
class Package:
    """What one load package brings: verified walks to write, ledger entries, changed campaigns.

    `rows` of its walks, and `memory`: bytes of them that are not on disk. `columns`: by report, those of keys that the
    guide does not know.
    """

    walks: list[Walk] = field(default_factory=list)
    entries: list[Entry] = field(default_factory=list)
    campaigns: pa.Table | None = None
    groups: pa.Table | None = None
    campaign_issues: pa.Table | None = None
    rows: int = 0
    memory: int = 0
    columns: dict[str, dict[str, str]] = field(default_factory=dict)
    counts: dict[str, Counts] = field(default_factory=lambda: {name: Counts() for name in REPORTS})

    def reset_counts(self) -> None:
        """Before it is written: it may be the second try."""
        self.counts = {name: Counts() for name in REPORTS}

    @property
    def empty(self) -> bool:
        return not self.entries and self.campaigns is None

    def add(self, walk: Walk) -> None:
        """Takes a verified walk."""
        self.walks.append(walk)
        self.rows += walk.row_count
        self.memory += walk.spool.memory

    def leave_out(self, walk: Walk, number: int) -> None:
        """Some rows of a walk are not written, of people who were forgotten since it began: its entry says so."""
        if number:
            key = (walk.campaign_id, walk.report.name)
            self.entries = [
                replace(
                    entry, row_count=walk.row_count - number, suppressed=walk.spool.suppressed + number, digest=None
                )
                if entry.key == key
                else entry
                for entry in self.entries
            ]


Piece = tuple[str, pa.Table]
Disposition = Literal["append", "merge"]


@dlt.source(name="passona")
def passona_source(
    package: Package, zone: str, unknown: Iterable[str] = (), *, fresh: bool = False
) -> Iterable[DltResource]:
    """The resources of one load package.

    `zone`: IANA name of the zone of times without an offset. `unknown`: tables that dlt's schema does not
    have yet; it learns them by a piece without rows, so that its own tools see them, loaded or not. `fresh`:
    the tables hold no row and no issue of its walks' campaigns, so there is nothing to replace.
    """
    unknown = set(unknown)
    tables_of = {report.name: report.tables for report in REPORTS.values()} | {CAMPAIGNS.name: _CAMPAIGN_TABLES}
    of_itself = unknown.difference(*tables_of.values(), {"row_issues"})
    tables_of |= {name: (name,) for name in sorted({"report_ledger"} | of_itself)}
    running = set(tables_of)
    for name, table_names in tables_of.items():
        empty = ((table, TABLES[table].arrow.empty_table()) for table in table_names if table in unknown)
        appended = table_names if fresh and name in REPORTS else ()
        pieces = chain(empty, _pieces(name, package, zone, appended))
        yield _resource(name, _until_its_end(name, pieces, running), appended)
    if package.walks or package.campaigns is not None or unknown:
        yield _resource("row_issues", _last("row_issues", running))


def _pieces(name: str, package: Package, zone: str, appended: Collection[str]) -> Iterator[Piece]:
    """What a package has for the resource of this name."""
    if name in REPORTS:
        return _report_pieces(REPORTS[name], package, zone, appended)
    if name == CAMPAIGNS.name:
        return _campaign_pieces(package)
    return _ledger_pieces(package) if name == "report_ledger" else iter(())


def _until_its_end(name: str, pieces: Iterator[Piece], running: set[str]) -> Iterator[Piece]:
    yield from pieces
    running.discard(name)


def _last(name: str, running: Set[str]) -> Iterator[Piece | None]:
    """A piece without rows, when nobody else is running.

    dlt notes in its schema which resource wrote a table, and several write this one: without a last word
    that is always the same, most loads would leave another schema than they found.
    """
    while running:
        yield None  # dlt goes on with the others
    yield name, TABLES[name].arrow.empty_table()


def _resource(name: str, pieces: Iterator[Piece | None], appended: Collection[str] = ()) -> DltResource:
    """A dlt resource that yields Arrow pieces for its tables, the first of each with the table's hints.

    `appended`: tables in which nothing is replaced, so that their rows need not go through dlt's staging.
    """

    def items() -> Iterator[Any]:
        hinted = set()
        for found in pieces:
            if found is None:
                yield None
                continue
            table_name, piece = found
            # A piece without rows tells of a table; how it is written is told by those with rows.
            disposition: Disposition = "append" if table_name in appended and len(piece) else "merge"
            if (table_name, disposition) in hinted:
                yield dlt.mark.with_table_name(piece, table_name)
            else:
                hinted.add((table_name, disposition))
                yield dlt.mark.with_hints(piece, _hints(TABLES[table_name], disposition), create_table_variant=True)

    return dlt.resource(items, name=name, write_disposition="merge")


def _hints(table: Table, disposition: Disposition) -> Any:
    # Fresh dicts for each table: dlt writes into them.
    columns: Any = {name: dict(hint) for name, hint in table.hints.items()}
    return dlt.mark.make_hints(
        table_name=table.name,
        write_disposition=disposition,
        merge_key=list(table.merge_key),
        columns=columns,
        additional_table_hints={"description": table.comment},
    )


def _report_pieces(report: Report, package: Package, zone: str, appended: Collection[str]) -> Iterator[Piece]:
    walks = [walk for walk in package.walks if walk.report is report]
    if walks:
        if not appended:
            yield from _markers([walk.campaign_id for walk in walks], report.name, report.tables)
        columns = package.columns.get(report.name, {})
        pieces = chain.from_iterable(walk_pieces(walk, zone, columns) for walk in walks)
        yield from _gathered(counted(pieces, report, package.counts[report.name]))


def _markers(campaign_ids: Sequence[str], report: str, table_names: Sequence[str]) -> Iterator[Piece]:
    """What deletes the old rows of these campaigns, in tables that belong to one report, and their issues."""
    for name in table_names:
        yield name, TABLES[name].markers([{"campaign_id": uuid} for uuid in campaign_ids])
    yield "row_issues", TABLES["row_issues"].markers([{"campaign_id": uuid, "report": report} for uuid in campaign_ids])


def walk_pieces(walk: Walk, zone: str, columns: Mapping[str, str]) -> Iterator[Piece]:
    """The walk's rows, typed, in pieces for each of its report's tables and for `row_issues`.

    `columns`: of keys that the guide does not know.
    """
    for piece in _typed(walk, zone, {key: columns[key] for key in walk.spool.new_keys}):
        yield walk.report.name, piece.parent
        if piece.fields is not None:
            yield walk.report.fields_table, piece.fields
        yield "row_issues", piece.issues


def counted(pieces: Iterator[Piece], report: Report, counts: Counts) -> Iterator[Piece]:
    """The pieces of a report, their rows added to its counts as they pass."""
    for name, table in pieces:
        if name == report.name:
            counts.rows += len(table)
        elif name == report.fields_table:
            counts.fields += len(table)
        else:
            counts.issues += len(table)
        yield name, table


def _gathered(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Small pieces of a table put together: dlt takes some 10 ms for each, however small."""
    waiting: dict[str, list[pa.Table]] = defaultdict(list)
    for name, table in pieces:
        waiting[name].append(table)
        if sum(map(len, waiting[name])) >= PIECE_ROWS:
            yield name, pa.concat_tables(waiting.pop(name), promote_options="default")
    for name, tables_of_name in waiting.items():
        if sum(map(len, tables_of_name)):
            yield name, pa.concat_tables(tables_of_name, promote_options="default")


def _typed(walk: Walk, zone: str, columns: Mapping[str, str]) -> Iterator[Tables]:
    """The walk's rows, typed, in pieces, equal rows told apart by their ordinals."""
    ordinals = walk.ordinals()
    for piece in walk.spool.pieces():
        numbered = [_numbered(batch, ordinals) for batch in piece]
        yield tables(walk.report, walk.campaign_id, numbered, zone, columns)


def _numbered(batch: pa.RecordBatch, ordinals: Ordinals) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(ROW_ID), ROW_ID, ordinals.number(batch.column(ROW_ID)))


def _campaign_pieces(package: Package) -> Iterator[Piece]:
    if package.campaigns is None:
        return
    uuids = [str(uuid) for uuid in package.campaigns.column("campaign_id").to_pylist()]
    yield from _markers(uuids, CAMPAIGNS.name, _CAMPAIGN_TABLES)
    names = (*_CAMPAIGN_TABLES, "row_issues")
    for name, table in zip(names, (package.campaigns, package.groups, package.campaign_issues), strict=True):
        if table is not None and len(table):
            yield name, table


def _ledger_pieces(package: Package) -> Iterator[Piece]:
    if package.entries:
        yield "report_ledger", entry_table(package.entries)
