"""People go out of a lake: out of every file of it, also of those that count no more or not yet.

    People -> list of those who are kept out -> files that hold something of theirs -> snapshots without it -> ledger
    -> looked at again until nothing is found -> old files and leftovers away

A load that began before may name rows of theirs afterwards: it looks through them itself, or, if it was killed, the
next run does (`catch_up`).
"""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from passona.connection import given, registered
from passona.erasure import StillThere, ends_another, erase, found_of, name_people, text_columns, texts_that_tell
from passona.lake_contents import Contents, Session
from passona.lake_files import Place
from passona.lake_forgotten import Forgotten, KeptOut, add_to_list, list_put_at, note_done
from passona.lake_rewriting import REWRITING, Current, Rewriting, Sight, seen
from passona.ledger import Key
from passona.people import People
from passona.reports import REPORTS
from passona.schema import DATASET
from passona.store import Store

# ruff: noqa: S608  # names are constants or quoted

# The file that a row is in, beside its columns: no key of the API becomes a name with a blank.
_FILE = "file of row"
# Rows whose texts are looked through at once: some 20 MB with long messages.
_ROWS = 50_000
# Files that are fetched at once: a store answers each after some 30 ms.
_FETCHED = 8


@dataclass
class LakeErasure:
    """One forget. `keep`: whether anything is to be kept of it, or it is only to be counted.

    `found`: which of the people's values stand in a column of phones.
    """

    contents: Contents
    work: Path
    people: People
    keep: bool

    def __post_init__(self) -> None:
        self.found: set[str] = set()
        self._ends: set[str] = set()
        self._in_texts: list[str] | None = None
        self._turn = Rewriting(self.contents, self.work, self.keep)

    def run(self) -> Counter[str]:
        """Rows that went or lost the number, by table.

        :raises StillThere: a number is still in what was written without it.
        """
        store = self.contents.store
        number = add_to_list(store, self.people.entries, datetime.now(UTC)).number if self.keep else 0
        known_from = list_put_at(store, number)
        if self.keep:
            store.remove_dead_parts()
        looked: set[Place] = set()
        leftovers: set[Place] = set()
        again = True
        while again:
            sight = seen(self.contents)
            fresh = {place for found in sight.current.values() for place in found.places} | {*sight.others}
            try:
                holding = self._holding(fresh - looked)
            except FileNotFoundError:  # somebody else has just removed one
                continue
            leftovers |= set(_leftovers(sight.others, holding, known_from))
            overtaken = self._rewrite(sight, holding, number)
            again = self.keep and (self._turn.put() or overtaken)
            looked |= fresh
        self._erase_lists()
        if self.keep:
            note_done(store, number)
            self._turn.remove(leftovers)
        return +self._turn.erased

    def _rewrite(self, sight: Sight, holding: Set[Place], number: int) -> bool:
        """Makes anew what holds something of them. Whether somebody else did so meanwhile."""
        overtaken = False
        for found in sight.current.values():
            if found.is_lost:
                self._turn.lose(found)
            elif holding.isdisjoint(found.places):
                if found.list_number < number:
                    self._turn.note(found, number)
            else:
                self._check_new(found)
                try:
                    self._turn.change(found, self._erase, max(number, found.list_number))
                except FileNotFoundError:
                    overtaken = True
        return overtaken

    def _check_new(self, found: Current) -> None:
        place = found.places[0]
        if place.snapshot in self._turn.made:
            raise StillThere(
                f"campaign {place.campaign_id}, {place.report}: a number is still found there behind its erasure; "
                "remove this campaign's folders from the lake, and load it anew"
            )

    def _erase(self, session: Session) -> Counter[str]:
        return erase(session, self.people, self._in_texts)

    def _erase_lists(self) -> None:
        """The same in what the lake knows of campaigns."""
        connection = self.contents.connection
        connection.begin()
        try:
            tables = +self._erase(connection)
        except BaseException:
            connection.rollback()
            raise
        if not self.keep or not tables:
            connection.rollback()
        else:
            connection.commit()
            self.contents.renew_campaigns()
        self._turn.erased += tables

    def _holding(self, places: Collection[Place]) -> set[Place]:
        """Those of these files in which something of them is, and those that cannot be read."""
        holding: set[Place] = set()
        with closing(Session(self.work / REWRITING)) as session:
            session.execute(f"CREATE SCHEMA {DATASET}")
            name_people(session, self.people)
            for some, texts in _texts(self.contents.store, places, holding):
                holding |= {some[at] for at in self._look(session, some[0].table, texts)}
        if self._in_texts is None:
            phones = self.people.phones
            self._in_texts = [phone for phone in phones if phone in self.found or phone not in self._ends]
        return holding

    def _look(self, session: Session, table: str, texts: pa.Table) -> list[int]:
        """Numbers of the files in whose texts something of them is."""
        with registered(session, "texts", texts):
            session.execute(f"CREATE TABLE {DATASET}.{table} AS SELECT * FROM texts")
        columns, phones = list(text_columns(session)), self.people.phones
        self.found |= found_of(session, [*{*self.people.values, *phones}], columns)
        self._ends |= {p for p in phones if p not in self.found | self._ends and ends_another(session, p, columns)}
        named = phones if self._in_texts is None else self._in_texts
        found: set[int] = set()
        for column in columns:
            telling = texts_that_tell(session, column, named, self._tokens)
            with given(session, text=sorted(telling)):
                files = f'SELECT DISTINCT "{_FILE}" FROM {DATASET}.{table} WHERE {column.quoted} IN (FROM given)'
                found |= {at for (at,) in session.execute(files).fetchall()}
        session.execute(f"DROP TABLE {DATASET}.{table}")
        return sorted(found)

    @property
    def _tokens(self) -> list[str]:
        return [value for value in self.people.values if value.startswith("p_")]


def _texts(store: Store, places: Iterable[Place], unreadable: set[Place]) -> Iterator[tuple[list[Place], pa.Table]]:
    """The texts in these files, some of one table at a time, each row with the number of its file among those."""
    some: list[Place] = []
    pieces: list[pa.Table] = []
    for place, batch in _batches(store, sorted(places), unreadable):
        if pieces and (place.table != some[0].table or sum(map(len, pieces)) >= _ROWS):
            yield some, pa.concat_tables(pieces, promote_options="default")
            some, pieces = [], []
        if place not in some[-1:]:
            some.append(place)
        pieces.append(batch.append_column(_FILE, pa.repeat(len(some) - 1, len(batch))))
    if pieces:
        yield some, pa.concat_tables(pieces, promote_options="default")


def _batches(store: Store, places: Sequence[Place], unreadable: set[Place]) -> Iterator[tuple[Place, pa.Table]]:
    for at in range(0, len(places), _FETCHED):
        some = places[at : at + _FETCHED]
        data = store.read(place.name for place in some)
        for place in some:
            try:
                file = pq.ParquetFile(io.BytesIO(data.pop(place.name)))
                names = [field.name for field in file.schema_arrow if field.type == pa.string()]
                for batch in file.iter_batches(_ROWS, columns=names):
                    yield place, pa.Table.from_batches([batch])
            except pa.ArrowException:
                unreadable.add(place)


def _leftovers(others: Mapping[Place, datetime], holding: Set[Place], before: datetime | None) -> Iterator[Place]:
    """Of snapshots that do not count those in which something of them is, or of which nobody can tell: half of one,
    without the rows that say whose it is.

    `before`: when the list was put there. What is later may be a load's that knows it: that will not write anew what
    goes from under it.
    """
    snapshots: dict[tuple[str, str, str], list[Place]] = defaultdict(list)
    for place in others:
        snapshots[*place.key, place.snapshot].append(place)
    for places in snapshots.values():
        is_half = all(place.table != place.report for place in places)
        if (is_half or not holding.isdisjoint(places)) and before and all(others[place] < before for place in places):
            yield from places


def catch_up(contents: Contents, work: Path, forgotten: Forgotten, keys: Collection[Key]) -> None:
    """Takes people who are kept out from snapshots that were written without knowing of them. `keys`: of these
    reports, as far as they are behind this list."""
    sight = seen(contents)
    turn = Rewriting(contents, work)
    kept_out = contents.kept_out(forgotten)
    for key in keys:
        found = sight.current.get(key)
        if found is None or found.list_number >= forgotten.number:
            continue
        with suppress(FileNotFoundError):  # somebody else has just made it anew
            _catch_up(contents.store, turn, found, kept_out, forgotten.number)
    turn.put()
    turn.remove()


def _catch_up(store: Store, turn: Rewriting, found: Current, kept_out: KeptOut, number: int) -> None:
    if found.is_lost:
        turn.lose(found)
        return
    theirs = kept_out(_phones(store, found.rows_file)) if found.rows_file else set()
    if not theirs:
        turn.note(found, number)
        return
    people = People((), tuple(sorted(theirs)), (), ())
    turn.change(found, lambda session: erase(session, people, []), number)


def _phones(store: Store, place: Place) -> set[str]:
    column = REPORTS[place.report].phone_column
    if column is None:
        return set()
    with store.reading(place.name) as file:
        batches = pq.ParquetFile(file).iter_batches(columns=[column])
        return {str(phone) for batch in batches for phone in pc.unique(batch.column(0)).drop_null().to_pylist()}
