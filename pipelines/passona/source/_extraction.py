"""One run of the source: what the destination holds, what the API lists, what is due, and walks of it on demand.

    destination -> campaigns -> plan -> walks -> items for the resources

It begins with whichever resource dlt asks first, because a source is made before its pipeline runs, and ends with the
last. Resources may ask from several threads (`parallelize`).
"""

from __future__ import annotations

import logging
import shutil
import threading
import uuid
import weakref
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from tempfile import mkdtemp
from typing import Any, Literal

import dlt
import pyarrow as pa
import pyarrow.compute as pc
from dlt import Pipeline
from dlt.common.storages.exceptions import CurrentLoadPackageStateNotAvailable

from passona.config.settings import Settings
from passona.errors import ConfigurationError, PassonaError, Stopped, TokenRefused, Unreachable, WalkFailed
from passona.masking.mode import Mode, first_mode, privacy_in
from passona.masking.people import people
from passona.masking.policy import Privacy
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report, column_names
from passona.reports.tables import TABLES
from passona.source._dataset_lock import DatasetLock
from passona.source._destination import Contents, Destination
from passona.source.campaigns import (
    Campaign,
    CampaignList,
    campaign_values,
    check_team,
    list_campaigns,
    list_shrunk,
    unknown_campaign,
)
from passona.source.client import Client
from passona.source.ledger import INTERRUPTED, Key, Task, entry_of_failure, is_unchanged, judge, plan, since
from passona.source.page_pool import PagePool
from passona.source.pages import Page
from passona.source.resources import MODE, Batch, CampaignBatch, Item, Piece
from passona.source.walk import Walk, Walker

log = logging.getLogger("passona")

# Load packages that this process has already extracted a passona source into.
_begun: set[str] = set()
# Begins the names of folders of spools.
_FOLDER = "passona-spools-"


@dataclass(frozen=True)
class SourceRequest:
    """What a run of the source is asked for: the arguments of `passona_source` that are no settings."""

    campaigns: Sequence[str] = ()
    since: datetime | None = None
    refresh: bool = False
    accept_shrink: bool = False
    on_failed: Literal["ledger", "raise"] = "ledger"
    forgotten: Sequence[str] = ()


class Extraction:
    """One run. It starts by reading the destination and listing the campaigns; `end` releases everything.

    `load_id`: of the package that dlt extracts into, None where there is no pipeline. `names`: of the resources that
    take part. `mode`: what is kept of people, and the id of the key.

    :raises ConfigurationError: the destination cannot take the rows, or holds rows of another form or mode.
    :raises TokenRefused, WalkFailed: the list of campaigns cannot be had.
    :raises Held: the shrink guard holds it, and `on_failed` is `raise`.
    """

    def __init__(self, settings: Settings, request: SourceRequest) -> None:
        self._settings, self._request = settings, request
        self._run_id = str(uuid.uuid4())
        self._package = _Package.current()
        self.load_id, self.names = self._package.load_id, _selected()
        self._lock = threading.Lock()
        self._failures: dict[str, None] = {}
        self._replaced: list[Key] = []
        self._walks: dict[Key, Future[Walk | WalkFailed]] = {}
        self._reports = [report for name, report in REPORTS.items() if name in self.names]
        # Callbacks at the end of every run, and those of a failed run.
        self._closing, self._failing = ExitStack(), ExitStack()
        self._held: DatasetLock | None = None
        try:
            self._begin()
        except BaseException:
            self.end(failed=True)
            raise

    def _begin(self) -> None:
        self._held = self._package.lock()
        if self._held is not None:
            self._failing.callback(self._held.release)
        self._contents = self._package.contents(self._reports)
        self._columns = {table: dict(found) for table, found in self._contents.columns.items()}
        privacy, self._folder = self._privacy(), _Folder(self._package.working_folder)
        self._failing.callback(self._folder.remove)
        self._client, self._pool = Client(self._settings), PagePool(self._settings.concurrency)
        self._closing.callback(self._client.close)
        self._closing.enter_context(self._pool)
        # The reports of a campaign are walked side by side.
        self._walkers = ThreadPoolExecutor(len(REPORTS), "walk")
        self._closing.callback(self._walkers.shutdown, cancel_futures=True)
        self._closing.callback(self._client.stop)
        self._walker = Walker(self._client, self._pool, self._settings, self._folder.path, _nobody, privacy=privacy)
        self._listed = self._list(privacy)
        self._pulls = self._due(self._choose())
        # Campaigns of which anything is due, those most in need first.
        self._of_campaign: defaultdict[str, list[Task]] = defaultdict(list)
        for task in self._pulls:
            self._of_campaign[task.campaign.campaign_id].append(task)
        self._order = list(self._of_campaign)

    def results(self, report: Report) -> Iterator[Item]:
        """An item for each campaign of which anything is due: what became of this report, nothing if it is not due."""
        tasks = {task.campaign.campaign_id: task for task in self._pulls if task.report is report}
        is_first = all(name != report.name for _, name in self._contents.filled)
        appended = report.tables if is_first else ()
        for campaign_id in self._order:
            batch = _Batch(report, zone=self._settings.timezone, appended=appended, mode=self.mode, folder=self._folder)
            if campaign_id in tasks:
                self._decide(tasks[campaign_id], self._walked(campaign_id, report), batch)
            yield batch

    def _walked(self, campaign_id: str, report: Report) -> Walk | WalkFailed:
        """Return the walk of a report. The first one asked for starts the walks of all due reports of its campaign."""
        with self._lock:
            if (campaign_id, report.name) not in self._walks:
                tasks = self._of_campaign[campaign_id]
                self._walks = {task.key: self._walkers.submit(self._walk, task) for task in tasks} | self._walks
            walk = self._walks[campaign_id, report.name]
        try:
            return walk.result()
        except Stopped:
            # Another walk got a 401, which stopped this one: raise that error.
            for other in list(self._walks.values()):
                if isinstance(error := other.exception(), TokenRefused):
                    raise error from None
            raise
        finally:
            with self._lock:
                del self._walks[campaign_id, report.name]

    def campaigns(self) -> Iterator[Item]:
        """An item for each campaign of which anything is due, and one for all others of the list."""
        columns = self._new_columns(CAMPAIGNS.name)
        for campaign_id in self._order:
            yield self._campaign_batch([campaign_id], columns)
            columns = {}
        due = {*self._order}
        listed = () if self._writable is None else self._writable.campaigns
        yield self._campaign_batch([c.campaign_id for c in listed if c.campaign_id not in due], columns)
        if self._unlisted is not None:
            yield CampaignBatch(self._unlisted)

    def end(self, *, failed: bool) -> None:
        """Release everything. If the run did not fail, first mark in the destination the reports that the load is going
        to replace, and log a warning for each report that could not be loaded.
        """
        self._closing.close()
        if failed:
            self._failing.close()
            return
        emptied = {name for name, report in REPORTS.items() if not self._package.gone.isdisjoint(report.tables)}
        stale = [key for key in self._contents.entries if key[1] in emptied]
        if keys := list(dict.fromkeys([*self._replaced, *stale])):
            self._package.clear(keys)
        if self._held is not None:
            self._held.release_when_loaded()
        for line in self._failures:
            log.warning("%s", line)

    def _privacy(self) -> Privacy:
        mode = self._contents.mode or self._package.mode() or first_mode(self._settings, has_data=False)
        privacy = privacy_in(self._settings, mode, self._contents.forgotten)
        self.mode = " ".join(filter(None, mode[:2]))
        given = people((("forgotten", text) for text in self._request.forgotten), privacy)
        return replace(privacy, forgotten=privacy.forgotten.union(given.entries))

    def _list(self, privacy: Privacy) -> CampaignList | None:
        """The list of campaigns; None where it cannot be had, and uuids are given."""
        try:
            return list_campaigns(self._client, self._pool, self._settings, privacy, self._name_keys)
        except WalkFailed as error:
            if not self._request.campaigns or self._settings.team_uuid or isinstance(error, Unreachable):
                raise
            self._failures[f"{error}; going on without the campaigns' dates"] = None
            return None

    def _choose(self) -> list[Campaign]:
        """The campaigns to look at, and what of the list is to be written: `_writable`, `_unlisted`."""
        stored, listed = self._stored(), {c.campaign_id: c for c in self._listed.campaigns} if self._listed else {}
        before = {uuid for uuid, campaign in stored.items() if campaign.listed}
        self._known = stored | listed
        self._writable, self._unlisted, loadable = None, None, {*listed}
        if self._listed is not None:
            stayed = before & listed.keys()
            shrink = None if self._request.accept_shrink else list_shrunk(len(before), len(stayed), len(listed))
            if shrink is None:
                self._writable, self._unlisted = self._listed, self._no_longer_listed(before - listed.keys())
                self._reopen(listed.keys() & stored.keys() - before)
            else:
                loadable = stayed
                if not self._request.campaigns:
                    self._fail(shrink)
        found = [self._known.get(uuid, Campaign(uuid)) for uuid in self._request.campaigns or sorted(loadable)]
        check_team([campaign for campaign in found if campaign.team_id], self._settings.team_uuid)
        return since(found, self._request.since) if self._request.since else found

    def _stored(self) -> dict[str, Campaign]:
        rows = self._contents.campaigns
        return {} if rows is None else {campaign.campaign_id: campaign for campaign in campaign_values(rows)}

    def _no_longer_listed(self, ids: Collection[str]) -> pa.Table | None:
        rows = self._contents.campaigns
        if rows is None or not ids:
            return None
        rows = rows.filter(pc.is_in(rows.column("campaign_id"), value_set=pa.array(sorted(ids), pa.string())))
        place = rows.schema.get_field_index("listed")
        return rows.set_column(place, "listed", pa.repeat(pa.scalar(False), len(rows)))

    def _reopen(self, ids: Collection[str]) -> None:
        """Make settled reports due again if their campaign is back in the list: it may have been created again."""
        for key, entry in self._contents.entries.items():
            if entry.campaign_id in ids and entry.state == "settled":
                self._contents.entries[key] = replace(entry, state="open")

    def _due(self, campaigns: Sequence[Campaign]) -> list[Task]:
        entries, now = self._contents.entries, self._client.clock.utc()
        expired = {entry.campaign_id for entry in entries.values() if entry.expired_at is not None}
        kept = [campaign for campaign in campaigns if campaign.campaign_id not in expired]
        tasks = plan(kept, entries, self._reports, self._settings, now, refresh=self._refreshes)
        if self._request.campaigns or self._listed is None:
            return tasks
        # What is half written is repaired in campaigns that have left the list, too.
        half = {key for key in self._contents.filled if key not in entries or entries[key].error == INTERRUPTED}
        left = {uuid for uuid, _ in half} - expired - {campaign.campaign_id for campaign in self._listed.campaigns}
        gone = [self._known.get(uuid, Campaign(uuid)) for uuid in sorted(left)]
        return tasks + [task for task in plan(gone, entries, self._reports, self._settings, now) if task.key in half]

    @property
    def _refreshes(self) -> bool:
        return self._request.refresh or self._package.refreshes

    def _campaign_batch(self, ids: Sequence[str], columns: Mapping[str, str]) -> CampaignBatch:
        if self._writable is None:
            return CampaignBatch(TABLES[CAMPAIGNS.name].schema.empty_table(), new_columns=columns)
        part = self._writable.part(ids)
        return CampaignBatch(part.rows, part.groups, part.issues, columns)

    def _walk(self, task: Task) -> Walk | WalkFailed:
        campaign = task.campaign
        try:
            return self._walker.walk(task.report, campaign.campaign_id, task.verified_digest, address=campaign.address)
        except WalkFailed as error:
            return error

    def _decide(self, task: Task, result: Walk | WalkFailed, batch: Batch) -> None:
        """Puts into the batch what becomes of a walk."""
        campaign_id = task.campaign.campaign_id
        is_empty = not isinstance(result, Walk) or not result.total
        if is_empty and campaign_id not in self._known:
            unknown = unknown_campaign(campaign_id, [result], has_list=self._listed is not None)
            if unknown is not None:
                self._fail(unknown)
                return
        if isinstance(result, Walk):
            self._judge(task, result, batch)
            return
        self._fail(result)
        now = self._client.clock.utc()
        batch.entries = [entry_of_failure(task, "failed", result, result.attempts, self._run_id, at=now)]

    def _judge(self, task: Task, walk: Walk, batch: Batch) -> None:
        now, accept = self._client.clock.utc(), self._request.accept_shrink
        entry, shrink = judge(task, walk, self._settings, self._run_id, accept_shrink=accept, at=now)
        batch.entries = [entry]
        if shrink is not None:
            self._fail(shrink)
        elif self._refreshes or not is_unchanged(task, walk, self._contents.odd):
            batch.walks = [walk]
            batch.columns = self._name_keys(task.report, walk.spool.new_keys)
            batch.new_columns = self._new_columns(task.report.name)
            batch.campaign = self._bare_row(walk.campaign_id)
            if task.key in self._contents.entries:
                with self._lock:
                    self._replaced.append(task.key)

    def _bare_row(self, campaign_id: str) -> pa.Table | None:
        """Return a row with only the id, once, for a campaign that is neither in the list nor in the dataset."""
        with self._lock:
            if campaign_id in self._known or CAMPAIGNS.name not in self.names:
                return None
            self._known[campaign_id] = Campaign(campaign_id)
        row = {"campaign_id": campaign_id, "listed": False}
        return pa.Table.from_pylist([row], schema=TABLES[CAMPAIGNS.name].schema)

    def _fail(self, error: PassonaError) -> None:
        if self._request.on_failed == "raise":
            raise error
        with self._lock:
            self._failures[str(error)] = None

    def _name_keys(self, report: Report, keys: Iterable[str]) -> dict[str, str]:
        """The columns of keys that the guide does not know."""
        with self._lock:
            known = self._columns.setdefault(report.name, {})
            taken = {*self._contents.taken.get(report.name, ()), *known.values()}
            known |= column_names(report, {*keys} - known.keys(), taken)
            return {key: known[key] for key in keys}

    def _new_columns(self, table: str) -> dict[str, str]:
        """Return the columns of keys that the dataset does not know yet, each once per run."""
        with self._lock:
            noted = self._contents.columns.get(table, {})
            found = {key: name for key, name in self._columns.get(table, {}).items() if key not in noted}
            self._contents.columns = {**self._contents.columns, table: {**noted, **found}}
            return found


@dataclass
class _Batch(Batch):
    """Results of one campaign, whose spools end with them. `folder`: where these are."""

    folder: Any = None

    def pieces(self) -> Iterator[Piece]:
        try:
            yield from super().pieces()
        finally:
            for walk in self.walks:
                walk.spool.drop()


class _Folder:
    """A folder of spools, which is gone when nobody needs it any more."""

    def __init__(self, parent: Path | None) -> None:
        """Make it in the working folder of the pipeline, where the next run finds what a killed one has left."""
        for left in parent.glob(f"{_FOLDER}*") if parent else ():
            shutil.rmtree(left, ignore_errors=True)
        self.path = Path(mkdtemp(prefix=_FOLDER, dir=parent))
        self.remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def _nobody(_report: Report, _page: Page) -> None:
    """Hears of pages."""


class Extractions:
    """The runs of one source, one after another: each begins with the first resource that is asked, and ends with the
    last of them, or with an error.
    """

    def __init__(self, settings: Settings, request: SourceRequest) -> None:
        self._settings, self._request = settings, request
        self._lock = threading.Lock()
        self._current: Extraction | None = None
        self._running: set[str] = set()
        # The load package whose run could not begin, and why: no request follows a refused token.
        self._broken: tuple[str, BaseException] | None = None

    @contextmanager
    def joined(self, name: str) -> Iterator[Extraction]:
        """The run that the resource of this name takes part in."""
        with self._lock:
            extraction = self._current = self._joined()
        resource = dlt.current.source().resources.get(name)
        is_limited = resource is not None and resource.limit is not None
        failed = True
        try:
            yield extraction
            failed = False
        except GeneratorExit:  # dlt's limit is reached, or something else of this run failed
            failed = not is_limited
            raise
        finally:
            self._leave(extraction, name, failed=failed)

    def _joined(self) -> Extraction:
        load_id = _Package.current().load_id
        if self._broken is not None and self._broken[0] == load_id:
            raise self._broken[1]
        if self._current is not None and self._current.load_id == load_id:
            return self._current
        if load_id in _begun:
            raise ConfigurationError(
                "two passona sources in one run would write their rows twice: run them one after another"
            )
        try:
            extraction = Extraction(self._settings, self._request)
        except BaseException as error:
            self._broken = (load_id, error) if load_id is not None else None
            raise
        self._running = {*extraction.names}
        if load_id is not None:
            _begun.add(load_id)
        return extraction

    def _leave(self, extraction: Extraction, name: str, *, failed: bool) -> None:
        with self._lock:
            if extraction is not self._current:
                return
            self._running.discard(name)
            if self._running and not failed:
                return
            self._current = None
        extraction.end(failed=failed)


@dataclass(frozen=True)
class _Package:
    """The load package that dlt extracts into, and where that goes. Without a pipeline: nothing is known, all is due.

    `gone`: tables that dlt is about to drop or to empty.
    """

    load_id: str | None = None
    refreshes: bool = False
    gone: frozenset[str] = frozenset()

    @classmethod
    def current(cls) -> _Package:
        try:
            package = dlt.current.load_package_state()
        except CurrentLoadPackageStateNotAvailable:
            return cls()
        state: Mapping[str, Any] = package["state"]
        gone = [*state.get("dropped_tables", ()), *state.get("truncated_tables", ())]
        return cls(package["load_id"], "refresh" in state, frozenset(table["name"] for table in gone))

    def lock(self) -> DatasetLock | None:
        """Take the dataset's lock, where the destination has one.

        :raises ConfigurationError: the destination cannot replace rows by campaign.
        :raises Busy: another run holds the lock.
        """
        if self.load_id is None:
            return None
        pipeline = dlt.current.pipeline()
        _check_destination(pipeline)
        if pipeline.destination.destination_type.rpartition(".")[2] != "postgres":
            return None
        held = DatasetLock(pipeline, self.load_id)
        held.take()
        return held

    def contents(self, reports: Sequence[Report]) -> Contents:
        """Return what the dataset holds of these reports.

        :raises ConfigurationError: a command line of another version made it.
        """
        if self.load_id is None:
            return Contents()
        with self._destination() as destination:
            return destination.contents(reports)

    @property
    def working_folder(self) -> Path | None:
        return None if self.load_id is None else Path(dlt.current.pipeline().working_dir)

    def mode(self) -> Mode | None:
        """Return the mode that an earlier run of the source noted in dlt's schema, if one did."""
        if self.load_id is None:
            return None
        noted = dlt.current.source_schema().tables.get("report_ledger", {}).get(MODE)
        mode, _, key_id = str(noted or "").partition(" ")
        return (mode, key_id or None, token_hex(32)) if mode else None

    def clear(self, keys: Sequence[Key]) -> None:
        if self.load_id is not None:
            with self._destination() as destination:
                destination.clear(keys)

    @contextmanager
    def _destination(self) -> Iterator[Destination]:
        pipeline, schema = dlt.current.pipeline(), dlt.current.source_schema()
        known = (schema.name,) if schema.name in pipeline.schema_names else ()
        with pipeline.sql_client(*known) as client:
            yield Destination(client, schema.naming, self.gone)


def _check_destination(pipeline: Pipeline) -> None:
    strategies = pipeline.destination.capabilities().supported_merge_strategies or ()
    if "delete-insert" not in strategies:
        raise ConfigurationError(
            f"destination {pipeline.destination.destination_name}: it cannot delete a campaign's rows and insert the "
            "new ones (dlt's merge by delete-insert), so rows would double; use DuckDB, Postgres or another SQL "
            "destination"
        )


def _selected() -> frozenset[str]:
    """The names of the resources that dlt extracts."""
    return frozenset(dlt.current.source().resources.selected) & {*REPORTS, CAMPAIGNS.name}
