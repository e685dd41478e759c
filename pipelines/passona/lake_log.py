"""What a lake knows of itself, as logs that are only added to: of two rows of one thing the later one counts.

    rows -> one object for each time something is written -> the latest row of each thing

An object appears whole, so what is in it is true all at once, for everyone; several processes may add at once.
Many small objects are put together into one, which says what it replaces; those stay for who still reads them.
The later row is the one with the later load id: ids begin with the time (UTC) by the clock of who wrote, but none is
before one that the writer has read. So clocks that disagree, or are set back, decide nothing but which of two counts
that did not know of each other.

What is said again of a thing, because its files are others now and it is not, takes the place of one row and of no
later one: its id begins with that row's, and so stands between it and all that anybody writes after it.
"""

from __future__ import annotations

import contextlib
import io
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from passona.store import Store

LOAD_ID = "_dlt_load_id"
# Each log, and what a row of it is about.
LOGS: dict[str, tuple[str, ...]] = {
    "campaigns": ("campaign_id",),
    "report_ledger": ("campaign_id", "report"),
    "runs": ("run_id",),
}
# Objects of one log that are read one by one: an object store takes some 30 ms for each, several at once, so a
# load or a reader begins within a second.
_MOST_OBJECTS = 100
# Rows of a log for each that counts: a forget says all of the ledger again. Each is read by every load, some 200 bytes,
# so that a few copies of a small ledger are nothing, and those of a large one would be gigabytes.
_MOST_COPIES, _FEW_ROWS = 4, 10_000
# How often objects are listed anew because one of them has gone meanwhile.
_TRIES = 5
_REPLACES = b"replaces"
_ID_TIME = "%Y%m%dT%H%M%S%fZ"


def new_id(after: str | None = None) -> str:
    """An id of what is written now, later than `after`. Ids are in the order of their times, no two are the same."""
    now = datetime.now(UTC)
    if after is not None:
        now = max(now, time_of(after) + timedelta(microseconds=1))
    return f"{now.strftime(_ID_TIME)}-{secrets.token_hex(4)}"


def _in_place_of(rows: Iterable[str]) -> list[str]:
    """Ids for what takes the place of the rows of these, later than all that took their places before."""
    parts = [found.split("-", 2) for found in rows]
    own = new_id(max((former for _, _, *formers in parts for former in formers), default=None))
    return [f"{time}-{rest}-{own}" for time, rest, *_ in parts]


def time_of(found: str) -> datetime:
    """When an id was made (UTC)."""
    return datetime.strptime(found.partition("-")[0], _ID_TIME).replace(tzinfo=UTC)


@dataclass
class Log:
    """One log, as far as it was read. `rows`: also those that later ones replace. `seen`: the objects, each with the
    number of its rows."""

    store: Store
    name: str
    rows: pa.Table | None = None
    seen: dict[str, int] = field(default_factory=dict)
    replaced: dict[str, datetime] = field(default_factory=dict)

    def read(self) -> pa.Table | None:
        """Rows that were added since it was last read, by whomever; None if there are none."""
        tables = [self._take(name, data) for name, data in sorted(self._objects().items())]
        added = [table for table in tables if len(table)]
        if tables and self.rows is None:
            added = added or tables[:1]
        if not added:
            return None
        found = pa.concat_tables(added, promote_options="default")
        self._append(found)
        return found

    def _objects(self) -> dict[str, bytes]:
        """Objects that were not read yet. One that goes meanwhile was replaced by another, which is there then.

        :raises FileNotFoundError: one is named there and cannot be read.
        """
        for _ in range(_TRIES - 1):
            with contextlib.suppress(FileNotFoundError):
                return self._new_objects()
        return self._new_objects()

    def _new_objects(self) -> dict[str, bytes]:
        return self.store.read(name for name in self.store.names(self.name) if name not in self.seen)

    def _append(self, rows: pa.Table) -> None:
        self.rows = rows if self.rows is None else pa.concat_tables([self.rows, rows], promote_options="default")

    def _take(self, name: str, data: bytes) -> pa.Table:
        table = pq.read_table(io.BytesIO(data))
        self.seen[name] = len(table)
        metadata: Mapping[bytes, bytes] = table.schema.metadata or {}
        for old in json.loads(metadata.get(_REPLACES, b"[]")):
            since = time_of(name.rpartition("/")[2])
            self.replaced[old] = min(since, self.replaced.get(old, since))
        return table.replace_schema_metadata(None)

    def add(self, rows: pa.Table) -> pa.Table:
        """Adds rows, all at once, and gives them with their load id."""
        newest = None if self.rows is None else pc.max(self.rows.column(LOAD_ID)).as_py()
        return self._add(rows, [new_id(newest)] * len(rows))

    def replace(self, rows: pa.Table) -> pa.Table:
        """Puts rows in the places of those that have their load ids, all at once, and gives them with their own."""
        return self._add(rows.drop_columns([LOAD_ID]), _in_place_of(map(str, rows.column(LOAD_ID).to_pylist())))

    def _add(self, rows: pa.Table, ids: list[str]) -> pa.Table:
        added = rows.append_column(LOAD_ID, pa.array(ids, pa.string()))
        self._put(added, {})
        self._append(added)
        return added

    def put_together(self, current: pa.Table, most: int | None = None) -> None:
        """The rows that count, in one object, if there are many objects or far more rows. `current`: those rows.
        `most`: as many objects as may stay, if not the usual number."""
        names = self.seen.keys() - self.replaced.keys()
        rows = sum(self.seen[name] for name in names)
        too_many_rows = rows > max(_FEW_ROWS, _MOST_COPIES * len(current))
        if too_many_rows or len(names) > (_MOST_OBJECTS if most is None else most):
            self._put(current, {_REPLACES: json.dumps(sorted(names)).encode()})
            self.replaced |= dict.fromkeys(names, datetime.now(UTC))

    def _put(self, rows: pa.Table, metadata: dict[bytes, bytes]) -> None:
        name = f"{self.name}/{new_id()}.parquet"
        written = io.BytesIO()
        pq.write_table(rows.replace_schema_metadata(metadata), written, compression="zstd")
        self.store.put(name, written.getvalue())
        self.seen[name] = len(rows)

    def useless(self, before: datetime) -> Iterable[str]:
        """Objects that another one replaces since before this time."""
        return [name for name, since in self.replaced.items() if since < before]
