"""A warehouse in a lake: Parquet files by table, campaign and snapshot, and logs that tell which of them count.

    verified walks -> files of a new snapshot -> one object in the log of the ledger, which makes them current

Several loads may write at once without a lock: of two of one campaign the later ledger counts. What a kill leaves is
named by no ledger; that and what is replaced goes after the grace time. Readers have views (`lake_views`).
"""

from __future__ import annotations

import contextlib
import logging
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dlt
import duckdb
import orjson
import pyarrow as pa

from passona import logs
from passona.address import Lake
from passona.errors import ConfigurationError
from passona.lake_contents import ABOUT, FORM, LEDGER_LOG, Contents, Session
from passona.lake_erasure import LakeErasure, catch_up
from passona.lake_files import Snapshot, places, write_empty, write_snapshot
from passona.lake_forgotten import Forgotten
from passona.lake_log import new_id
from passona.lake_rewriting import Change, give_up
from passona.lake_tidying import SWEPT, tidy
from passona.lake_views import duckdb_views, spark_views
from passona.ledger import Key
from passona.people import People
from passona.source import Package
from passona.store import Store, store_errors
from passona.waiting import reason, writing
from passona.walk import Walk
from passona.work_folder import WorkFolder

log = logging.getLogger("passona")


@dataclass
class LakeWriter:
    """The lake while a run writes to it (`database.Engine`); others may, too."""

    address: Lake
    _folder: WorkFolder
    _contents: Contents

    def __post_init__(self) -> None:
        # What the plan is made of, and what this run wrote; what others wrote since is not in it.
        self._known = self._contents.snapshots()
        self._listed = self._contents.listed()
        self._views: dict[str, str] = {}

    @property
    def work(self) -> Path:
        return self._folder.path

    @property
    def is_made(self) -> bool:
        """Whether anything was ever loaded."""
        return self._contents.about is not None

    @property
    def _store(self) -> Store:
        return self._contents.store

    @property
    def connection(self) -> Session:
        return self._contents.connection

    def destination(self) -> Any:
        """What dlt's own tools know it by. dlt adds files to folders, and knows no snapshot that counts or does not:
        rows are written here."""
        return dlt.destinations.filesystem(self.address.url, destination_name="warehouse")

    def budget(self, _per_minute: int) -> None:
        """None that is shared: there is nothing to count in."""

    def comments(self) -> dict[tuple[str, str | None], str | None]:
        """Nothing: Parquet has no place for them that engines show."""
        return {}

    def sha256(self, text: str) -> str:
        return f"sha256({text})"

    def index(self) -> None:
        """Nothing: the folders tell campaigns apart."""

    # Others may write, too, and what that means is settled in `write`.
    shared = False

    def writing(self) -> AbstractContextManager[None]:
        """Nothing: nobody waits for anybody."""
        return contextlib.nullcontext()

    def claim(self, run_id: str) -> None:
        """Nothing: nobody holds a lake."""

    def living(self, run_ids: Iterable[str]) -> set[str]:
        return self.connection.living(run_ids)

    def lacked_memory(self, _error: BaseException) -> bool:
        return False

    def give_memory(self, gigabytes: int | None = None) -> None: ...

    def take_memory_back(self) -> None: ...

    def use_all_cores(self) -> None: ...

    def vacuum(self) -> bool:
        return True

    @property
    def dbt_target(self) -> str:
        """The target of the project's profile (pipelines/warehouse/profiles.yml)."""
        return "spark"

    @contextlib.contextmanager
    def dbt(self) -> Iterator[dict[str, str]]:
        """Nothing: dbt is not run here, but where Spark is."""
        yield {}

    def write(self, package: Package, zone: str) -> None:
        """Writes the snapshots of a package, and then, all at once, the ledger that makes them current.

        :raises NotWritten: the store could not take it; nothing that readers see of its reports has changed.
        """
        with writing("the load package", *_errors()):
            written = self._write_snapshots(package, zone)
            self._add_campaigns(self._contents.take_campaigns(package))
            self._add_entries(package, written)
            self._catch_up(written, self._contents.forgotten().number)
            self._put_views()

    def _write_snapshots(self, package: Package, zone: str) -> dict[Key, Snapshot]:
        """The files of a package's walks; made anew if somebody was forgotten meanwhile, who may have removed some."""
        forgotten = self._contents.forgotten()
        while True:
            package.reset_counts()
            made = new_id()
            written = {
                (walk.campaign_id, walk.report.name): self._write_snapshot(package, walk, zone, made, forgotten)
                for walk in package.walks
            }
            known, forgotten = forgotten, self._contents.forgotten()
            if known.number == forgotten.number:
                return written
            self._store.remove(place.name for key in written for place in places(*key, made))

    def _write_snapshot(self, package: Package, walk: Walk, zone: str, made: str, forgotten: Forgotten) -> Snapshot:
        counts = package.counts[walk.report.name]
        before = counts.rows
        is_new = not forgotten.entries.keys() <= walk.spool.privacy.forgotten
        kept_out = self._contents.kept_out(forgotten) if is_new else None
        snapshot = write_snapshot(self._store, walk, zone, made, counts, kept_out=kept_out)
        package.leave_out(walk, walk.row_count - (counts.rows - before))
        return snapshot._replace(list_number=forgotten.number)

    def _catch_up(self, keys: Iterable[Key], number: int) -> None:
        """Takes people who are kept out from those of these reports that are behind the list of this number."""
        snapshots = self._contents.snapshots()
        if behind := {key for key in keys if snapshots[key].id is not None and snapshots[key].list_number < number}:
            catch_up(self._contents, self.work, self._contents.forgotten(), behind)
            self._known = self._contents.snapshots()

    def _add_entries(self, package: Package, written: dict[Key, Snapshot]) -> None:
        """Those that bring no rows say again which rows count, and are left out where another run has put others
        there since this one began."""
        self._contents.logs[LEDGER_LOG].read()
        now = self._contents.snapshots_now()
        before = {key: snapshot.id for key, snapshot in self._known.items()}
        entries = [
            entry for entry in package.entries if entry.key in written or now.get(entry.key) == before.get(entry.key)
        ]
        self._known |= written
        if entries:
            self._contents.add_entries(entries, [self._known.get(entry.key, Snapshot()) for entry in entries])

    def _add_campaigns(self, changed: list[str]) -> None:
        """Campaigns that changed, and those that were in the list when the lake was last told, and are not now."""
        there = self._contents.listed()
        if ids := {*changed, *(self._listed - there)}:
            self._contents.add_campaigns(ids)
        self._listed = there

    def keep(self, run_id: str) -> None:
        """Puts into the lake what is said of a run, and of campaigns that left the list; at the end of a run, tidies.

        :raises ConfigurationError: another process has just made this lake, in another mode or by another key.
        :raises NotWritten: the store could not take it.
        """
        with writing("the state of the run", *_errors()):
            self._make()
            self._add_campaigns([])
            ended = self._contents.add_run(run_id)
            if not ended:  # a load that was killed behind its ledger did not look whether somebody was forgotten
                self._catch_up(self._known, self._contents.forgotten().done)
            self._put_views()
        if ended:
            try:
                tidy(self._contents, self.address.grace)
            except store_errors() as error:
                log.warning("the lake could not be tidied (%s): the next load tries again", type(error).__name__)

    def _make(self) -> None:
        """What says that this is a lake and how it is kept, once the first load has said it."""
        contents = self._contents
        privacy = contents.privacy()
        if contents.about is not None or privacy is None:
            return
        write_empty(contents.store)
        contents.add_empty()
        contents.store.put(SWEPT, b"")
        mode, key_id, forgetting_key = privacy
        contents.about = {
            "form": FORM, "version": version("passona-warehouse"), "privacy": mode, "key_id": key_id,
            "forgetting_key": forgetting_key,
        }  # fmt: skip
        if not contents.store.create(ABOUT, orjson.dumps(contents.about)):
            contents.about = made = orjson.loads(contents.store.read([ABOUT])[ABOUT])
            self.connection.execute("UPDATE passona._privacy SET forgetting_key = ?", [made["forgetting_key"]])
            if (made["privacy"], made["key_id"]) != (mode, key_id):
                raise ConfigurationError(
                    f"sources.passona.privacy: another process has just made this lake {made['privacy']}, or by "
                    "another key; nothing was loaded"
                )

    def _put_views(self) -> None:
        """The SQL for readers, where it is another than this run knows."""
        if self._contents.about is None:
            return
        new_columns, grace = self._contents.new_columns(), self.address.grace
        views = {
            "views/duckdb.sql": duckdb_views(self.address.url, grace, new_columns),
            "views/spark.sql": spark_views(self.address.spark_url, grace, new_columns),
        }
        for name, text in views.items():
            if self._views.get(name) != text:
                self._contents.store.put(name, text.encode())
        self._views = views

    def forget(self, people: People, *, keep: bool) -> tuple[Counter[str], set[str]]:
        """Erases people from all files and keeps them out, or, without `keep`, only counts what that would be.

        Rows by table; and which of the people's values stand in a column of phones.

        :raises NotWritten: the store could not take it; run again, it goes on.
        """
        with writing("the lake without these people", *_errors(), interruptible=True):
            if keep:
                self._folder.remove_left()
                self._tell_what_stays()
            erasure = LakeErasure(self._contents, self.work, people, keep)
            tables = erasure.run()
            self._known = self._contents.snapshots()
            return tables, erasure.found

    def _tell_what_stays(self) -> None:
        if self._store.keeps_versions():
            logs.say(f"{self.address}: the bucket keeps versions of what is removed: have it remove them, too")
        others = self._contents.unended(datetime.now(UTC) - self.address.grace)
        if others > 1:  # one is this
            logs.say(
                f"{self.address}: runs that are at work or were killed: {others - 1}; what they had begun to write "
                "goes when they end, or after the grace time: run this again behind them, and it is gone at once"
            )

    def give_up(self, campaign_ids: Collection[str], change: Change) -> Counter[str]:
        """Makes the reports of these campaigns anew by a change that gives up what is personal, and removes all that
        was ever written of them; those that were given up before stay as they are.

        :raises NotWritten: the store could not take it; the next load goes on.
        """
        with writing("the lake without what is old", *_errors(), interruptible=True):
            erased = give_up(self._contents, self.work, campaign_ids, change)
            self._known = self._contents.snapshots()
            return erased

    def drop_left_spools(self) -> int:
        """Removes the work folders of processes that are no more; how many spools were in them."""
        return self._folder.remove_left()

    def close(self) -> None:
        self.connection.close()
        self._folder.close()


def open_lake(lake: Lake) -> LakeWriter:
    """Opens a lake for writing. Nobody is waited for: others may write, too.

    :raises ConfigurationError: it cannot be reached, another version made it, or a package is missing.
    """
    return LakeWriter(lake, WorkFolder(Path.cwd() / lake.name), _opened(lake, make=True))


def read_lake(lake: Lake) -> Session:
    """What a lake knows of itself, as it is now.

    :raises ConfigurationError: as above.
    """
    return _opened(lake, make=False).connection


def _opened(lake: Lake, *, make: bool) -> Contents:
    contents = Contents(lake.store(), Session())
    try:
        contents.fill(datetime.now(UTC) - lake.grace, make=make)
    except store_errors() as error:
        raise ConfigurationError(f"{lake} cannot be read: {reason(error)}") from error
    return contents


def _errors() -> tuple[type[Exception], ...]:
    return (pa.ArrowException, duckdb.Error, *store_errors())
