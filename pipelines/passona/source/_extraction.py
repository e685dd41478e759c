"""One run of the source: it reads the destination and the list of campaigns, and walks what is due on demand.

destination, campaigns -> Selection -> walks -> items for the resources
"""

from __future__ import annotations

import logging
import shutil
import threading
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

import dlt
import pyarrow as pa

from passona.config.settings import Settings
from passona.errors import PassonaError, Stopped, TokenRefused, Unreachable, WalkFailed
from passona.masking.messages import counted
from passona.masking.mode import first_mode, privacy_in
from passona.masking.people import people
from passona.masking.policy import Privacy
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.reports.tables import TABLES
from passona.source._load_package import LoadPackage
from passona.source._new_columns import NewColumns
from passona.source._selection import SourceRequest, select
from passona.source.campaigns import Campaign, CampaignList, list_campaigns, unknown_campaign
from passona.source.client import Client
from passona.source.ledger import Key, Task, entry_or_held, failure_entry, is_unchanged
from passona.source.page_pool import PagePool
from passona.source.resources import CampaignLoad, Item, Piece, ReportLoad
from passona.source.walk import Walk, Walker

log = logging.getLogger("passona")

_SPOOLS = "passona-spools-"


class Extraction:
    """One run. It starts by reading the destination and listing the campaigns; `end` releases everything.

    `load_id`: of the package that dlt extracts into, None without a pipeline. `names`: of the resources that take part.
    `mode`: privacy mode and the id of its key.

    :raises ConfigurationError: the destination cannot take the rows, or holds rows of another form or mode.
    :raises TokenRefused, WalkFailed: the list of campaigns cannot be read.
    :raises Held: the shrink guard holds back the list, and `on_failed` is `raise`.
    """

    def __init__(self, settings: Settings, request: SourceRequest) -> None:
        self._settings, self._request = settings, request
        self._run_id = str(uuid.uuid4())
        self._package = LoadPackage.current()
        self.load_id = self._package.load_id
        self.names = frozenset(dlt.current.source().resources.selected) & {*REPORTS, CAMPAIGNS.name}
        self._refreshes = request.refresh or self._package.refreshes
        self._lock = threading.Lock()
        self._failures: dict[str, None] = {}
        self._replaced: list[Key] = []
        self._walks: dict[Key, Future[Walk | WalkFailed]] = {}
        # Callbacks at the end of every run, and at the end of a failed one.
        self._closing, self._failing = ExitStack(), ExitStack()
        try:
            self._start()
        except BaseException:
            self.end(failed=True)
            raise

    def _start(self) -> None:
        self._dataset_lock = self._package.lock()
        if self._dataset_lock is not None:
            self._failing.callback(self._dataset_lock.release)
        reports = [report for name, report in REPORTS.items() if name in self.names]
        self._contents = self._package.contents(reports, self._settings.account)
        self._new_columns = NewColumns(self._contents.columns, self._contents.taken)
        privacy = self._privacy()
        self._spools = _Spools(self._package.working_folder)
        self._failing.callback(self._spools.remove)
        self._client, self._pool = Client(self._settings), PagePool(self._settings.concurrency)
        self._closing.callback(self._client.close)
        self._closing.enter_context(self._pool)
        # The reports of a campaign are walked concurrently.
        self._threads = ThreadPoolExecutor(len(REPORTS), "walk")
        self._closing.callback(self._threads.shutdown, cancel_futures=True)
        self._closing.callback(self._client.stop)
        self._walker = Walker(self._client, self._pool, self._settings, self._spools.folder, privacy=privacy)
        campaigns, now = self._list(privacy), self._client.clock.utc()
        self._has_list = campaigns is not None
        self._selection = select(
            campaigns, self._contents, self._request,
            reports=reports, settings=self._settings, now=now, refresh=self._refreshes,
        )  # fmt: skip
        self._known = self._selection.known
        if self._selection.shrink is not None:
            self._fail(self._selection.shrink)
        if foreign := self._selection.foreign:
            count = counted(len(foreign), "campaign")
            self._failures[
                f"{count} of other accounts left out: people are forgotten by account, so use passona load"
            ] = None
        # By campaign, those most in need first.
        self._tasks: dict[str, dict[str, Task]] = {}
        for task in self._selection.tasks:
            self._tasks.setdefault(task.campaign.campaign_id, {})[task.report.name] = task

    def results(self, report: Report) -> Iterator[Item]:
        """Yield an item for each campaign of which anything is due; it is empty if this report is not."""
        is_first = all(name != report.name for _, name in self._contents.filled)
        append_tables = report.tables if is_first else ()
        for tasks in self._tasks.values():
            load = _SpooledLoad(report, append_tables=append_tables, mode=self.mode, spools=self._spools)
            if task := tasks.get(report.name):
                self._fill(load, task, self._walked(task))
            yield load

    def campaigns(self) -> Iterator[Item]:
        """Yield an item for each campaign of which anything is due, and one for all others of the list."""
        columns = self._new_columns.to_note(CAMPAIGNS.name)
        for campaign_id in self._tasks:
            yield self._campaign_load([campaign_id], columns)
            columns = {}
        listed = self._selection.listed.campaigns if self._selection.listed else ()
        others = [campaign.campaign_id for campaign in listed if campaign.campaign_id not in self._tasks]
        yield self._campaign_load(others, columns)
        if self._selection.unlisted is not None:
            yield CampaignLoad(self._selection.unlisted)

    def end(self, *, failed: bool) -> None:
        """Release everything. If the run did not fail, first mark in the destination the reports that the load is going
        to replace, and log a warning for each report that could not be loaded.
        """
        self._closing.close()
        if failed:
            self._failing.close()
            return
        emptied = {name for name, report in REPORTS.items() if not self._package.emptied.isdisjoint(report.tables)}
        stale = [key for key in self._contents.entries if key[1] in emptied]
        if keys := list(dict.fromkeys([*self._replaced, *stale])):
            self._package.clear(keys)
        if self._dataset_lock is not None:
            self._dataset_lock.release_when_loaded()
        for line in self._failures:
            log.warning("%s", line)

    def _privacy(self) -> Privacy:
        mode = self._contents.mode or self._package.mode() or first_mode(self._settings, has_data=False)
        privacy = privacy_in(self._settings, mode, self._contents.forgotten)
        self.mode = " ".join(filter(None, mode[:2]))
        forgotten = people((("forgotten", text) for text in self._request.forgotten), privacy)
        return replace(privacy, forgotten=privacy.forgotten.union(forgotten.entries))

    def _list(self, privacy: Privacy) -> CampaignList | None:
        """Return the list of campaigns; None if it cannot be read and the request names campaigns."""
        try:
            return list_campaigns(self._client, self._pool, self._settings, privacy, self._new_columns.name)
        except WalkFailed as error:
            if not self._request.campaigns or self._settings.team_uuid or isinstance(error, Unreachable):
                raise
            self._failures[f"{error}; going on without the campaigns' dates"] = None
            return None

    def _walked(self, task: Task) -> Walk | WalkFailed:
        """Return the walk of a report. The first call for a campaign starts the walks of all its due reports."""
        with self._lock:
            if task.key not in self._walks:
                tasks = self._tasks[task.campaign.campaign_id].values()
                self._walks = {each.key: self._threads.submit(self._walk, each) for each in tasks} | self._walks
            walk = self._walks[task.key]
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
                del self._walks[task.key]

    def _walk(self, task: Task) -> Walk | WalkFailed:
        campaign = task.campaign
        try:
            return self._walker.walk(task.report, campaign.campaign_id, task.verified_digest, address=campaign.address)
        except WalkFailed as error:
            return error

    def _fill(self, load: ReportLoad, task: Task, result: Walk | WalkFailed) -> None:
        campaign_id, now = task.campaign.campaign_id, self._client.clock.utc()
        is_empty = not isinstance(result, Walk) or not result.total
        if is_empty and campaign_id not in self._known:
            unknown = unknown_campaign(campaign_id, [result], has_list=self._has_list)
            if unknown is not None:
                self._fail(unknown)
                return
        if not isinstance(result, Walk):
            self._fail(result)
            load.entries = [failure_entry(task, "failed", result, result.attempts, self._run_id, at=now)]
            return
        accept = self._request.accept_shrink
        entry, shrink = entry_or_held(task, result, self._settings, self._run_id, accept_shrink=accept, at=now)
        load.entries = [entry]
        if shrink is not None:
            self._fail(shrink)
        elif self._refreshes or not is_unchanged(task, result, self._contents.odd):
            self._replace(load, task, result)

    def _replace(self, load: ReportLoad, task: Task, walk: Walk) -> None:
        load.walks = [walk]
        load.columns = self._new_columns.name(task.report, walk.spool.new_keys)
        load.new_columns = self._new_columns.to_note(task.report.name)
        load.campaign = self._bare_row(walk.campaign_id)
        if task.key in self._contents.entries:
            with self._lock:
                self._replaced.append(task.key)

    def _campaign_load(self, ids: Sequence[str], columns: Mapping[str, str]) -> CampaignLoad:
        if self._selection.listed is None:
            return CampaignLoad(TABLES[CAMPAIGNS.name].schema.empty_table(), new_columns=columns)
        part = self._selection.listed.part(ids)
        return CampaignLoad(part.rows, part.groups, part.issues, columns)

    def _bare_row(self, campaign_id: str) -> pa.Table | None:
        """Return a row with only the id, once, for a campaign that is neither in the list nor in the dataset."""
        with self._lock:
            if campaign_id in self._known or CAMPAIGNS.name not in self.names:
                return None
            self._known[campaign_id] = Campaign(campaign_id)
        row = {"campaign_id": campaign_id, "account": self._settings.account, "listed": False}
        return pa.Table.from_pylist([row], schema=TABLES[CAMPAIGNS.name].schema)

    def _fail(self, error: PassonaError) -> None:
        if self._request.on_failed == "raise":
            raise error
        with self._lock:
            self._failures[str(error)] = None


@dataclass
class _SpooledLoad(ReportLoad):
    """A load of one campaign that drops its spools once its rows are read; until then `spools` keeps their folder."""

    spools: _Spools | None = None

    def pieces(self) -> Iterator[Piece]:
        try:
            yield from super().pieces()
        finally:
            for walk in self.walks:
                walk.spool.drop()


class _Spools:
    """The folder of the spools. It is removed with this object, or when the process ends."""

    def __init__(self, parent: Path | None) -> None:
        """Create it in the working folder of the pipeline, and remove those that killed runs left there."""
        for leftover in parent.glob(f"{_SPOOLS}*") if parent else ():
            shutil.rmtree(leftover, ignore_errors=True)
        self.folder = Path(mkdtemp(prefix=_SPOOLS, dir=parent))
        self.remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
