"""dlt's resources: one per report and one for the campaigns, which consume verified walks.

    Batch (walks, ledger entries) -> rows.tables -> Arrow pieces -> dlt (merge by campaign_id)

The command line passes the walks of a load package, the source walks on demand. Every table is replaced by campaign:
`write_disposition="merge"` with `merge_key` and no primary key (dlt would join the two by OR, which takes minutes and
gigabytes), plus one marker row per (campaign, table) under a `hard_delete` column, which deletes the old rows even if
there are no new ones. Tables without rows of these campaigns are appended to, because dlt's staging would write every
row twice. Every column's type is pinned, so that dlt never takes a text for a time.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, Literal

import dlt
import pyarrow as pa
from dlt.extract import DltResource
from dlt.extract.items_transform import BaseItemTransform, ItemTransform

from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.reports.row_ids import Ordinals
from passona.reports.tables import KEYS, LOAD_ID, MARKER, PRIVACY_HINT, TABLES, Table
from passona.source._load_package import LoadPackage
from passona.source.ledger import Entry, entry_table
from passona.source.rows import ROW_ID, type_rows, without_nul
from passona.source.spool import PIECE_ROWS
from passona.source.walk import Walk

# The tables that only one resource writes. dlt's schema notes the last writer of a table, so tables that all reports
# write are assigned to the resources `row_issues` and `report_ledger`: otherwise most loads would change the schema.
TABLES_BY_RESOURCE: Mapping[str, tuple[str, ...]] = {name: report.tables for name, report in REPORTS.items()} | {
    CAMPAIGNS.name: (CAMPAIGNS.name, "campaigns__contact_groups")
}
SHARED = ("row_issues", "report_ledger")
_WRITER = {name: name for name in (*SHARED, CAMPAIGNS.name)} | {KEYS.name: "report_ledger"}

_LOAD_ID_FIELD = pa.field(LOAD_ID, pa.string(), nullable=False)

Piece = tuple[str, pa.Table]
Disposition = Literal["append", "merge"]


@dataclass
class ReportLoad:
    """One report of some campaigns: their ledger entries, and the walks whose rows are new.

    `columns`: of keys that the guide does not know. `new_columns`: those that the dataset has not noted yet.
    `campaign`: a row for a campaign that has none. `append_tables`: tables without rows of these campaigns. `mode`: the
    PRIVACY_HINT; every item has it, because dlt does not keep their order. `counts`: `rows`, `field_rows` and `issues`
    yielded so far.
    """

    report: Report
    walks: Sequence[Walk] = ()
    entries: Sequence[Entry] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    new_columns: Mapping[str, str] = field(default_factory=dict)
    campaign: pa.Table | None = None
    append_tables: Iterable[str] = ()
    mode: str | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def pieces(self) -> Iterator[Piece]:
        """Yield the rows to write by table, markers included."""
        if self.walks and not self.append_tables:
            uuids = [walk.campaign_id for walk in self.walks]
            for name in (*self.report.tables, "row_issues"):
                yield name, TABLES[name].markers(uuids, self.report.name)
        rows = chain.from_iterable(_walk_pieces(walk, self.columns) for walk in self.walks)
        yield from _gathered(self._counted(rows))
        if self.entries:
            yield "report_ledger", entry_table(self.entries)
        if self.new_columns:
            yield KEYS.name, _key_rows(self.report.name, self.new_columns)
        if self.campaign is not None:
            yield CAMPAIGNS.name, self.campaign

    def _counted(self, pieces: Iterator[Piece]) -> Iterator[Piece]:
        kinds = {self.report.name: "rows", self.report.fields_table: "field_rows"}
        for name, table in pieces:
            self.counts[kinds.get(name, "issues")] += len(table)
            yield name, table


@dataclass
class CampaignLoad:
    """Rows that replace those of the same campaigns. `groups`, `issues`: None if those stay."""

    rows: pa.Table
    groups: pa.Table | None = None
    issues: pa.Table | None = None
    new_columns: Mapping[str, str] = field(default_factory=dict)
    append_tables: Iterable[str] = ()
    mode: str | None = None

    def pieces(self) -> Iterator[Piece]:
        if self.new_columns:
            yield KEYS.name, _key_rows(CAMPAIGNS.name, self.new_columns)
        if not len(self.rows):
            return
        uuids = [str(uuid) for uuid in self.rows.column("campaign_id").to_pylist()]
        parts = {CAMPAIGNS.name: self.rows, "campaigns__contact_groups": self.groups, "row_issues": self.issues}
        for name, table in parts.items():
            if table is None:
                continue
            yield name, TABLES[name].markers(uuids, CAMPAIGNS.name)
            if len(table):
                yield name, table


@dataclass
class Declaration:
    """Declares tables even if no rows follow. `item`: follows in the same item, because dlt's limit counts
    items.
    """

    tables: Iterable[str]
    item: Item | None = None
    mode: str | None = None

    @property
    def append_tables(self) -> Iterable[str]:
        return self.item.append_tables if self.item else ()

    def pieces(self) -> Iterator[Piece]:
        yield from ((name, TABLES[name].arrow.empty_table()) for name in self.tables)
        if self.item:
            yield from self.item.pieces()


Item = ReportLoad | CampaignLoad | Declaration


def declared(tables: Iterable[str], items: Iterator[Item], mode: str | None = None) -> Iterator[Item]:
    yield Declaration(tables, next(items, None), mode)
    yield from items


def resource(name: str, items: Callable[[], Iterator[Item]]) -> DltResource:
    """Return the dlt resource of this name. `items`: a generator function, called in each run.

    dlt's limit counts these items. `add_map` cannot change rows, because the ledger describes them.
    """
    hints = dlt.mark.make_hints(write_disposition="merge")
    made = _Resource.from_data(items, name=name, section="passona", hints=hints)
    made.add_step(_Pieces())
    return made


class _Resource(DltResource):
    def compute_table_schema(self, item: Any = None, meta: Any = None) -> Any:
        table = super().compute_table_schema(item, meta)
        writer = _WRITER.get(str(table["name"]))
        if writer in dlt.current.source().resources:  # not where a resource runs alone, without its source
            table["resource"] = writer
        return table


class _Pieces(ItemTransform[Any, Any]):
    """Turns each item into Arrow tables, the first of each table with its hints."""

    placement_affinity: ClassVar[float] = 2  # behind dlt's limit (1.1), which must not cut a campaign in two

    def __init__(self) -> None:
        BaseItemTransform.__init__(self)
        self._hinted: set[tuple[str, Disposition]] = set()

    def bind(self, _pipe: Any) -> _Pieces:
        """Start a run without hints given so far."""
        return _Pieces()

    def __call__(self, item: Any, meta: Any = None) -> Any:  # noqa: ARG002  # dlt passes it
        return None if item is None else self._with_hints(item)

    def _with_hints(self, item: Item) -> Iterator[Any]:
        load_id = LoadPackage.current().load_id
        is_postgres = load_id is not None and _is_plain_postgres()
        for name, rows in item.pieces():
            piece = without_nul(rows) if is_postgres else rows
            if name != KEYS.name:
                piece = piece.append_column(_LOAD_ID_FIELD, pa.repeat(pa.scalar(load_id or ""), len(piece)))
            disposition: Disposition = "append" if name in item.append_tables else "merge"
            if (name, disposition) in self._hinted:
                yield dlt.mark.with_table_name(piece, name)
            else:
                self._hinted.add((name, disposition))
                hints = _hints(_table(name), disposition, item)
                if is_postgres:
                    hints["file_format"] = "insert_values"
                yield dlt.mark.with_hints(piece, hints, create_table_variant=True)


def _is_plain_postgres() -> bool:
    """Return True if rows go into dlt's own Postgres destination, which loads Arrow tables as CSV, with "" as NULL."""
    destination = dlt.current.pipeline().destination
    is_ours = destination.capabilities().preferred_loader_file_format == "parquet"
    return destination.destination_type.endswith(".postgres") and not is_ours


def _table(name: str) -> Table:
    return KEYS if name == KEYS.name else TABLES[name]


def _hints(table: Table, disposition: Disposition, item: Item) -> Any:
    # Fresh dicts for each table: dlt writes into them.
    columns: Any = {name: dict(hint) for name, hint in table.hints.items()}
    if disposition == "append" and MARKER in columns:
        del columns[MARKER]["hard_delete"]  # there is nothing to delete, and dlt would warn
    if table is not KEYS:
        about = "load package that wrote the row"
        columns[LOAD_ID] = {"name": LOAD_ID, "data_type": "text", "nullable": False, "description": about}
    others: dict[str, Any] = {"description": table.comment}
    if item.mode and table.name == "report_ledger":
        others[PRIVACY_HINT] = item.mode
    return dlt.mark.make_hints(
        table_name=table.name,
        write_disposition=disposition,
        merge_key=list(table.merge_key),
        columns=columns,
        additional_table_hints=others,
    )


def _walk_pieces(walk: Walk, columns: Mapping[str, str]) -> Iterator[Piece]:
    """Yield the walk's rows, typed, for each of its report's tables and for `row_issues`."""
    ordinals, new_columns = walk.ordinals(), {key: columns[key] for key in walk.spool.new_keys}
    for batches in walk.spool.pieces():
        numbered = [_numbered(batch, ordinals) for batch in batches]
        typed = type_rows(walk.report, walk.campaign_id, numbered, walk.zone, new_columns)
        yield walk.report.name, typed.parent
        if typed.fields is not None:
            yield walk.report.fields_table, typed.fields
        yield "row_issues", typed.issues


def _numbered(batch: pa.RecordBatch, ordinals: Ordinals) -> pa.RecordBatch:
    return batch.set_column(batch.schema.get_field_index(ROW_ID), ROW_ID, ordinals.number(batch.column(ROW_ID)))


def _gathered(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """Combine small pieces of a table: dlt takes some milliseconds for each, however small."""
    waiting: dict[str, list[pa.Table]] = defaultdict(list)
    for name, table in pieces:
        waiting[name].append(table)
        if sum(map(len, waiting[name])) >= PIECE_ROWS:
            yield name, pa.concat_tables(waiting.pop(name), promote_options="default")
    for name, parts in waiting.items():
        if sum(map(len, parts)):
            yield name, pa.concat_tables(parts, promote_options="default")


def _key_rows(report: str, columns: Mapping[str, str]) -> pa.Table:
    rows = [{"table_name": report, "column_name": name, "key": json.dumps(key)} for key, name in columns.items()]
    return pa.Table.from_pylist(rows, schema=KEYS.schema)
