"""Snapshots of a lake made anew without what is to go, and the old ones removed at once, not after the grace time.

    ledger, files -> Sight -> each report in tables of its own, changed by the SQL of all engines -> new snapshot
    -> one object in the ledger's log, each row in the place of the old one -> old files away

Whoever is killed on the way leaves the old snapshots, which count, or the new ones; what is to be done is seen again
by who does it again. No row is put over a later one, so a load at the same time loses nothing.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from passona.connection import registered
from passona.lake_contents import LEDGER_LOG, LIST, Contents, Session
from passona.lake_files import Place, place_of, places, rows_file
from passona.lake_log import LOAD_ID, new_id
from passona.lake_views import REMOVED, SNAPSHOT
from passona.ledger import Key
from passona.quoting import literal, quoted
from passona.schema import DATASET, MARKER
from passona.store import Store

# ruff: noqa: S608  # names are constants or quoted

# The folder of the work folder for copies of what is to be erased, on a lake and of a file.
REWRITING = "rewriting"
# Rows that are read and written at a time: some 20 MB.
_ROWS = 20_000

_NOT_IN_FILES = ("campaign_id", LOAD_ID, MARKER)

# What is to become of one report: its tables, changed in a session; how many rows of each were.
Change = Callable[[Session], Counter[str]]


class Current(NamedTuple):
    """A snapshot that counts: its row of the ledger, and its files."""

    row: pa.Table
    places: list[Place]

    def value(self, column: str) -> Any:
        return self.row.column(column)[0].as_py()

    @property
    def list_number(self) -> int:
        return self.value(LIST) or 0

    @property
    def rows_file(self) -> Place | None:
        """The file of the report's own rows."""
        return next((place for place in self.places if place.table == place.report), None)

    @property
    def is_lost(self) -> bool:
        """Whether its files were removed, by who could not know that it would count."""
        return bool(self.value("row_count")) and self.rows_file is None


@dataclass(frozen=True)
class Sight:
    """What is in a lake at one moment: `current`, the snapshots that count, and `others`: files of those that count
    no more, or not yet, each with when it was put there."""

    current: dict[Key, Current]
    others: dict[Place, datetime]


def seen(contents: Contents) -> Sight:
    """Lists the lake. A snapshot that counts is here with all its files, those apart that somebody removed."""
    log = contents.logs[LEDGER_LOG]
    files: dict[tuple[str, str, str], dict[Place, datetime]] = defaultdict(dict)
    # What counts when the files are listed is there; what counts behind that is no leftover.
    log.read()
    before = contents.snapshots_now()
    for name, put_at in contents.store.all().items():
        if (place := place_of(name)) is not None:
            files[*place.key, place.snapshot][place] = put_at
    log.read()
    ledger = contents.ledger_now()
    current = {}
    for at in range(len(ledger)):
        row = ledger.slice(at, 1)
        *key, snapshot = (row.column(name)[0].as_py() for name in ("campaign_id", "report", SNAPSHOT))
        found = files.pop((*key, snapshot), {})
        if before.get(tuple(key)) == snapshot:
            current[tuple(key)] = Current(row, list(found))
    return Sight(current, {place: at for places in files.values() for place, at in places.items()})


@dataclass
class Rewriting:
    """Snapshots that are made anew, the rows of the ledger that tell so, and the files that go then.

    `work`: a folder of this process alone. `keep`: whether anything is to be kept of it. `erased`: rows by table.
    """

    contents: Contents
    work: Path
    keep: bool = True
    erased: Counter[str] = field(default_factory=Counter)
    old: list[Place] = field(default_factory=list)
    made: set[str] = field(default_factory=set)
    _rows: list[pa.Table] = field(default_factory=list)

    def change(self, found: Current, change: Change, list_number: int | None = None) -> None:
        """Makes a report anew; its row of the ledger is what the change makes of it. `list_number`: of the list whose
        people are not in it now, if that is another.

        :raises FileNotFoundError: somebody else has just made it anew.
        """
        with self._unpacked(found) as session:
            counts = +change(session)
            self.erased += counts
            if not self.keep:
                return
            row = session.sql(f"SELECT * FROM {DATASET}.{LEDGER_LOG}").to_arrow_table()
            if counts:
                made = new_id()
                self._pack(session, found, made)
                self.made.add(made)
                self.old += found.places
                row = _with(row, **{SNAPSHOT: made})
        self._rows.append(row if list_number is None else _with(row, **{LIST: list_number}))

    def note(self, found: Current, list_number: int) -> None:
        """A report has none of the people of this list, as it is."""
        self._rows.append(_with(found.row, **{LIST: list_number}))

    def lose(self, found: Current) -> None:
        """A report whose files are gone is due again."""
        error = "its files were removed when people were forgotten"
        self._rows.append(_with(found.row, state="failed", verified_at=None, error=error, **{SNAPSHOT: None}))

    def put(self) -> bool:
        """Puts all of it into the ledger, at once. Whether there was anything."""
        rows, self._rows = self._rows, []
        if rows and self.keep:
            self.contents.replace_entries(pa.concat_tables(rows, promote_options="default").combine_chunks())
        return bool(rows)

    def remove(self, places: Collection[Place] = ()) -> None:
        """Removes the old files, and these, at once; readers who know them still are told so (`lake_views`).

        What has come to count meanwhile stays, for who looks through it.
        """
        contents = self.contents
        contents.logs[LEDGER_LOG].read()
        now = contents.snapshots_now()
        going = [place for place in (*self.old, *places) if now.get(place.key) != place.snapshot]
        if going and self.keep:
            _tell_readers(contents.store)
            # The rows first: without them nobody takes the rest for a report (`is_lost`).
            going.sort(key=lambda place: place.table != place.report)
            contents.store.remove(place.name for place in going)

    @contextmanager
    def _unpacked(self, found: Current) -> Iterator[Session]:
        """A report as the only one of a warehouse."""
        session = Session(self.work / REWRITING)
        try:
            session.make_tables()
            for place in found.places:
                _read(session, self.contents.store, place)
            with registered(session, "row_of_ledger", found.row):
                session.execute(f"CREATE OR REPLACE TABLE {DATASET}.{LEDGER_LOG} AS SELECT * FROM row_of_ledger")
            yield session
        finally:
            session.close()

    def _pack(self, session: Session, found: Current, snapshot: str) -> None:
        """Writes the files of what is left."""
        campaign_id, report = found.value("campaign_id"), found.value("report")
        for place in places(campaign_id, report, snapshot):
            there = session.sql(f"SELECT * FROM {DATASET}.{place.table} LIMIT 0").columns
            columns = [quoted(name) for name in there if name not in _NOT_IN_FILES]
            reader = session.sql(f"SELECT {', '.join(columns)} FROM {DATASET}.{place.table}").to_arrow_reader(_ROWS)
            batches = (pa.Table.from_batches([batch]) for batch in reader if len(batch))
            first = next(batches, None)
            if first is None:
                continue
            with rows_file(self.contents.store, place.name, reader.schema) as file:
                for piece in chain([first], batches):
                    file.add(piece)


def give_up(contents: Contents, work: Path, campaign_ids: Collection[str], change: Change) -> Counter[str]:
    """Makes the reports of these campaigns anew that were not given up yet, and removes what counted before.

    What is later than what counts may be at work: it goes by its age, like all leftovers.
    """
    ledger = contents.ledger_now()
    theirs = pc.is_in(ledger.column("campaign_id"), pa.array(sorted(campaign_ids), pa.string()))
    if not len(ledger.filter(pc.and_(theirs, pc.is_null(ledger.column("expired_at"))))):
        return Counter()
    sight, turn = seen(contents), Rewriting(contents, work)
    for (campaign_id, _), found in sight.current.items():
        if campaign_id in campaign_ids and found.value("expired_at") is None:
            with suppress(FileNotFoundError):  # somebody else has just done it
                turn.change(found, change)
    turn.put()
    others = [place for place in sight.others if place.campaign_id in campaign_ids]
    turn.remove([place for place in others if _counted_before(place, sight)])
    return turn.erased


def _counted_before(place: Place, sight: Sight) -> bool:
    current = sight.current.get(place.key)
    return current is not None and place.snapshot < current.value(SNAPSHOT)


def _read(session: Session, store: Store, place: Place) -> None:
    with store.reading(place.name) as file:
        found = pq.ParquetFile(file)
        session.register("rows", pa.RecordBatchReader.from_batches(found.schema_arrow, found.iter_batches(_ROWS)))
        session.execute(
            f"CREATE OR REPLACE TABLE {DATASET}.{place.table} AS "
            f"SELECT {literal(place.campaign_id)} AS campaign_id, *, {literal(place.snapshot)} AS {LOAD_ID} FROM rows"
        )
        session.unregister("rows")


def _with(row: pa.Table, **values: object) -> pa.Table:
    for name, value in values.items():
        at = row.schema.get_field_index(name)
        row = row.set_column(at, name, pa.array([value], row.schema.field(at).type))
    return row


def _tell_readers(store: Store) -> None:
    known = store.names(REMOVED)
    last = known[-1].rpartition("/")[2] if known else None
    store.put(f"{REMOVED}/{new_id(last)}", b"")
    store.remove(known)
