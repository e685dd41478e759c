"""`passona load`: from what is due to what is in the warehouse.

    settings, database -> campaigns -> plan -> walks (side by side) -> packages -> ledger, runs

Walks run in threads under the client's bounds; this thread takes them as they end and commits them in
packages, so that a crash costs minutes and the API is never kept waiting by the database.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from passona.config.settings import Settings
from passona.config.signals import deferred
from passona.errors import (
    Exit,
    Held,
    Interrupted,
    PassonaError,
    Stopped,
    TokenRefused,
    Unreachable,
    WalkFailed,
    is_interruption,
)
from passona.masking.policy import CLEAR
from passona.reports.definitions import REPORTS, Report
from passona.source.campaigns import Campaign, check_team, list_campaigns, unknown_campaign
from passona.source.client import Client
from passona.source.ledger import Key, Task, entry_of_failure, is_unchanged, judge, plan, since
from passona.source.pace import Clock
from passona.source.page_pool import PagePool
from passona.source.pages import Page
from passona.source.resources import Counts
from passona.source.walk import Walk, Walker
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse.database import Database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import Ledger, mismatched_reports
from passona.warehouse.policy_table import privacy_of
from passona.warehouse.retention import expire, expired_campaigns
from passona.warehouse.verification import unverified

log = logging.getLogger("passona")

# A package costs some 0.4 s whatever is in it: as many rows as make that small beside writing them (2.5 s),
# and no more seconds than a crash may cost.
PACKAGE_ROWS = 500_000
PACKAGE_SECONDS = 30.0
# How often the clock is looked at while no walk ends.
TICK_SECONDS = 1.0
# Verified walks that wait in memory for their package; beyond twice as much no new walk begins.
PACKAGE_BYTES = 32 * 1024 * 1024

# A pull, what became of its walk, and the seconds that took.
_Finished = tuple[Task, Walk | PassonaError, float]
_Done = queue.SimpleQueue[tuple[Task, Walk | BaseException | None, float]]


@dataclass(frozen=True)
class LoadRequest:
    """What the user asked of a load. No campaigns: all that the API lists."""

    campaign_ids: tuple[str, ...] = ()
    reports: tuple[Report, ...] = tuple(REPORTS.values())
    since: datetime | None = None
    refresh: bool = False
    accept_shrink: bool = False


@dataclass
class ReportOutcome:
    """What a load did for one report, over all campaigns. `unchanged`: verified, and the same as before."""

    loaded: int = 0
    unchanged: int = 0
    failed: int = 0
    held: int = 0
    pages: int = 0
    counts: Counts = field(default_factory=Counts)

    @property
    def any(self) -> bool:
        """Whether anything became of any campaign's report."""
        return bool(self.loaded or self.unchanged or self.failed or self.held)


@dataclass
class Outcome:
    """What a load did. `errors`: one line for each report that failed or is held, and for the run.

    `erased`: rows whose personal data were given up by their age.
    """

    run_id: str
    campaigns: int = 0
    requests: int = 0
    seconds: float = 0.0
    reports: dict[str, ReportOutcome] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)
    erased: int = 0
    exits: set[Exit] = field(default_factory=set)

    @property
    def exit_code(self) -> Exit:
        return min(self.exits, default=Exit.OK)

    @property
    def word(self) -> str:
        return self.exit_code.word


class Progress(Protocol):
    """Who watches a load. Called from several threads."""

    def planned(self, tasks: Sequence[Task]) -> None: ...

    def page(self, report: Report, page: Page) -> None: ...

    def walked(self, task: Task) -> None: ...

    def waiting(self, line: str) -> None:
        """Shows what the load is waiting for, on a terminal; called from any thread."""

    def notify(self, line: str) -> None: ...


class Load:
    """One run of `load`. Ends with an Outcome; what could be verified is in the warehouse.

    `clock`: this machine's. What is due and what is settled is decided by the server's, once it has answered.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        request: LoadRequest,
        progress: Progress,
        clock: Clock | None = None,
    ) -> None:
        self._settings, self._database, self._request, self._progress = settings, database, request, progress
        self._clock = clock or Clock()
        self._client = Client(settings, self._clock)
        self._client.on_retry = progress.waiting
        self._clock = self._client.clock
        self._backlog = _Backlog()
        self._campaign_table = CampaignTable(database)
        self._odd: set[Key] = set()
        # Campaigns that neither list nor warehouse have, each with what came of its walks so far.
        self._unknown: dict[str, list[_Finished]] = {}
        self._has_list = False
        self._begun = 0.0
        self._privacy = CLEAR
        self._outcome = Outcome(run_id=str(uuid.uuid4()))
        self._outcome.reports = {report.name: ReportOutcome() for report in request.reports}

    def run(self) -> Outcome:
        self._begun = time.monotonic()
        self._database.prepare()
        self._privacy = privacy_of(self._database, self._settings)
        self._database.begin_run(self._outcome.run_id, "load", self._clock.utc())
        try:
            self._load_noted()
            self._outcome.erased = expire(self._database, self._settings, self._clock.utc(), self._progress.notify)
        except BaseException as error:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._end("interrupted" if is_interruption(error) else "error")
            raise
        self._outcome.seconds = time.monotonic() - self._begun
        self._end(self._outcome.word)
        return self._outcome

    def _load_noted(self) -> None:
        """The load; an error that ends it is noted. What is old is given up even where nobody answers any more."""
        try:
            with PagePool(self._settings.concurrency) as pool:
                try:
                    self._load(pool)
                finally:
                    self._client.stop()
        except (TokenRefused, WalkFailed) as error:
            self._note(error, "load_failed")

    def _end(self, word: str) -> None:
        self._client.close()
        self._outcome.requests = self._client.requests
        rows = sum(report.counts.rows for report in self._outcome.reports.values())
        now, erased = self._clock.utc(), self._outcome.erased
        # When the run began, the server's clock was not known.
        began = now - timedelta(seconds=time.monotonic() - self._begun) if self._client.clock.ahead else None
        self._database.end_run(self._outcome.run_id, word, self._client.requests, rows, now, began=began, erased=erased)

    def _note(self, error: PassonaError, event: str, **fields: object) -> None:
        if isinstance(error, TokenRefused) and error.exit_code in self._outcome.exits:
            return  # requests that were under way together are refused together
        self._outcome.errors.append(str(error))
        self._outcome.exits.add(error.exit_code)
        level = logging.WARNING if isinstance(error, Held) else logging.ERROR
        log.log(level, "%s", error, extra={"event": event, "exit_code": int(error.exit_code), **fields})

    def _load(self, pool: PagePool) -> None:
        self._progress.waiting("asking for the list of campaigns")
        campaigns = self._campaigns(pool)
        self._outcome.campaigns = len(campaigns)
        now, refresh = self._clock.utc(), self._request.refresh
        with deferred():
            ledger = Ledger(self._database.connection)
            half = self._half_written()
            left = self._campaign_table.campaigns(sorted({uuid for uuid, _ in half})) if half else []
            kept = self._kept([*campaigns, *left], now)
            tasks = plan(
                kept, ledger, self._request.reports, self._settings, now, refresh=refresh, settled=ledger.settled
            )
            tasks = [task for task in tasks if task.campaign not in left or task.key in half]
            self._odd = mismatched_reports(self._database.connection)
        due = {task.key for task in tasks}
        self._database.clear_spools(
            key for c in campaigns for r in self._request.reports if (key := (c.campaign_id, r.name)) not in due
        )
        self._progress.planned(tasks)
        spools, on_page = self._database.spools, self._progress.page
        walker = Walker(self._client, pool, self._settings, spools, on_page, privacy=self._privacy)
        for package in self._packages(tasks, walker):
            self._commit(package)

    def _half_written(self) -> set[Key]:
        """Return what a killed load left half written of campaigns that are not listed: a load of all mends it, too."""
        if self._request.campaign_ids:
            return set()
        return {key for key in unverified(self._database.connection) if not self._campaign_table.is_listed(key[0])}

    def _kept(self, campaigns: Sequence[Campaign], now: datetime) -> list[Campaign]:
        """Those whose data are not given up: the others are asked for never again, nor for the first time."""
        days = self._settings.retain_days
        old = expired_campaigns(self._database.connection, campaigns, days, now)
        if old and self._request.campaign_ids:
            self._progress.notify(
                f"not asked for, because they ended {days} days ago (retain_days): {', '.join(sorted(old))}"
            )
        return [campaign for campaign in campaigns if campaign.campaign_id not in old]

    def _campaigns(self, pool: PagePool) -> Sequence[Campaign]:
        """The campaigns asked for, with their dates; the list is kept in the warehouse."""
        listed, wanted = None, [uuid.lower() for uuid in self._request.campaign_ids]
        try:
            names = self._database.key_columns
            listed = list_campaigns(self._client, pool, self._settings, self._privacy, names)
            self._tell_drift("campaigns", listed.new_keys, listed.missing_keys)
        except WalkFailed as error:
            if not wanted or self._settings.team_uuid or isinstance(error, Unreachable):
                raise
            self._progress.notify(f"{error}; going on without the campaigns' dates")
        self._tell_clock()
        with self._database.writing("the list of campaigns"):
            shrink = self._campaign_table.read(listed, accept_shrink=self._request.accept_shrink)
            if shrink is not None and not wanted:
                self._note(shrink, "list_held")
            elif shrink is not None:
                self._progress.notify(str(shrink))
        found = self._campaign_table.campaigns(wanted)
        self._has_list = listed is not None
        self._unknown = {uuid: [] for uuid in wanted if not self._campaign_table.is_known(uuid)}
        check_team([campaign for campaign in found if campaign.team_id], self._settings.team_uuid)
        return since(found, self._request.since) if self._request.since else found

    def _tell_clock(self) -> None:
        ahead = self._client.clock.ahead
        if ahead:
            difference = timedelta(seconds=round(abs(ahead).total_seconds()))
            where = "ahead of" if ahead > timedelta() else "behind"
            self._progress.notify(f"this machine's clock is {difference} {where} the server's: using the server's")

    def _packages(self, tasks: Sequence[Task], walker: Walker) -> Iterator[Package]:
        """Packages of finished walks, each as large as it may be, the last with what is left."""
        package, due = Package(), time.monotonic() + PACKAGE_SECONDS
        try:
            for finished in self._walks(tasks, walker):
                if finished is not None:
                    self._take(package, *finished)
                full = package.rows >= PACKAGE_ROWS or package.memory >= PACKAGE_BYTES
                if not package.empty and (full or time.monotonic() > due):
                    yield package
                    package, due = Package(), time.monotonic() + PACKAGE_SECONDS
        except Interrupted:
            # What is verified is kept; the error goes on its way when that is written.
            if not package.empty:
                yield package
            raise
        self._database.tune(Workload.WRITE)
        for campaign_id in list(self._unknown):
            self._end_unknown(package, campaign_id)
        if not package.empty or self._campaign_table.waiting:
            yield package

    def _walks(self, tasks: Sequence[Task], walker: Walker) -> Iterator[_Finished | None]:
        """Walks all pulls side by side and gives them as they end; None where none ended for some seconds."""
        done: _Done = queue.SimpleQueue()
        begun = self._clock.utc()
        with ThreadPoolExecutor(self._settings.concurrency, "walk") as walks:
            try:
                for task in tasks:
                    walks.submit(self._walk, task, walker, begun, done)
                left = len(tasks)
                while left:
                    try:
                        task, result, seconds = done.get(timeout=TICK_SECONDS)
                    except queue.Empty:
                        yield None
                        continue
                    left -= 1
                    if isinstance(result, BaseException) and not isinstance(result, WalkFailed | TokenRefused):
                        raise result
                    if result is not None:
                        yield task, result, seconds
                    self._progress.walked(task)
            finally:
                walks.shutdown(wait=False, cancel_futures=True)
                self._backlog.open()
                self._client.stop()

    def _walk(self, task: Task, walker: Walker, begun: datetime, done: _Done) -> None:
        """One walk, in a thread of its own; what became of it goes to `done`, None where the run ended before."""
        # A walk that was killed is of no use if it began before what is wanted now, or before what is held.
        after = begun if self._request.refresh else task.known.verified_at if task.known else None
        result: Walk | BaseException | None = None
        start = time.monotonic()
        try:
            self._backlog.wait()
            start = time.monotonic()
            campaign = task.campaign
            result = walker.walk(
                task.report, campaign.campaign_id, task.verified_digest, after, address=campaign.address
            )
            self._backlog.add(result.spool.memory)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that collects
            result = error
        done.put((task, result, round(time.monotonic() - start, 3)))

    def _take(self, package: Package, task: Task, result: Walk | PassonaError, seconds: float) -> None:
        """Decides what becomes of a finished walk, and puts that into the package.

        What came of a campaign that nobody knows has to wait, until one of its reports has rows.
        """
        campaign_id = task.campaign.campaign_id
        if campaign_id in self._unknown and not isinstance(result, TokenRefused):
            self._unknown[campaign_id].append((task, result, seconds))
            if isinstance(result, Walk) and result.total:
                self._take_waiting(package, campaign_id)
            return
        where = {"campaign": task.campaign.campaign_id, "report": task.report.name, "seconds": seconds}
        if isinstance(result, Walk):
            self._outcome.reports[task.report.name].pages += result.pages
            self._tell_drift(task.report.name, result.spool.new_keys, result.spool.missing_keys)
            where |= {"attempt": result.attempts, "pages": result.pages, "rows": result.row_count}
            self._take_walk(package, task, result, where)
            return
        if isinstance(result, WalkFailed):
            self._note(result, "report_failed", attempt=result.attempts, **where)
            self._outcome.reports[task.report.name].failed += 1
            run_id = self._outcome.run_id
            package.entries.append(
                entry_of_failure(task, "failed", result, result.attempts, run_id, at=self._clock.utc())
            )
        else:
            self._note(result, "load_failed", **where)

    def _take_waiting(self, package: Package, campaign_id: str) -> None:
        for finished in self._unknown.pop(campaign_id):
            self._take(package, *finished)

    def _end_unknown(self, package: Package, campaign_id: str) -> None:
        """All walks of a campaign that neither list nor warehouse have came without rows, or not at all."""
        results = [result for _, result, _ in self._unknown[campaign_id]]
        error = unknown_campaign(campaign_id, results, has_list=self._has_list)
        interrupted = Exit.TOKEN in self._outcome.exits  # then nobody can tell
        if error is None and not interrupted:
            self._take_waiting(package, campaign_id)
            return
        for task, result, _ in self._unknown.pop(campaign_id):
            self._outcome.reports[task.report.name].failed += not interrupted
            if isinstance(result, Walk):
                self._forget(result)
        if error is not None and not interrupted:
            self._campaign_table.forget(campaign_id)
            self._note(error, "campaign_unknown", campaign=campaign_id)

    def _take_walk(self, package: Package, task: Task, walk: Walk, where: Mapping[str, object]) -> None:
        outcome = self._outcome.reports[task.report.name]
        entry, shrink = judge(
            task,
            walk,
            self._settings,
            self._outcome.run_id,
            accept_shrink=self._request.accept_shrink,
            at=self._clock.utc(),
        )
        if shrink is not None:
            self._hold(shrink, walk, where)
        elif not self._request.refresh and is_unchanged(task, walk, self._odd):
            outcome.unchanged += 1
            _tell_verified(where, changed=False)
            self._forget(walk)
        else:
            outcome.loaded += 1
            _tell_verified(where, changed=True)
            package.add(walk)
        package.entries.append(entry)

    def _hold(self, shrink: Held, walk: Walk, where: Mapping[str, object]) -> None:
        self._note(shrink, "report_held", **where)
        self._outcome.reports[walk.report.name].held += 1
        self._forget(walk)

    def _commit(self, package: Package) -> None:
        begun = time.monotonic()
        with self._database.writing("the load package"):
            self._campaign_table.add_to(package)
            if not package.empty:
                self._database.commit(package, self._settings.timezone)
        seconds = round(time.monotonic() - begun, 3)
        log.info(
            "%d reports written in %.1f s", len(package.walks), seconds,
            extra={
                "event": "package_written", "reports": len(package.walks), "rows": package.rows, "seconds": seconds,
            },
        )  # fmt: skip
        for walk in package.walks:
            self._forget(walk)
        for name, outcome in self._outcome.reports.items():
            outcome.counts.add(package.counts[name])

    def _forget(self, walk: Walk) -> None:
        self._backlog.take(walk.spool.memory)
        walk.spool.drop()

    def _tell_drift(self, report: str, new: Set[str], missing: Set[str]) -> None:
        """A key that is new or missing is loaded as the contract says, and told once for each report."""
        for what, keys in (("new", new), ("missing", missing)):
            for key in sorted(keys):
                line = f"{report}: {what} key {key[:60]!r}"
                if line not in self._outcome.drift:
                    self._outcome.drift.append(line)
                    self._progress.notify(f"the API has changed: {line}")


def _tell_verified(where: Mapping[str, object], *, changed: bool) -> None:
    log.info(
        "campaign %(campaign)s, %(report)s: %(rows)s rows verified in %(seconds).1f s", where,
        extra={"event": "report_verified", "changed": changed, **where},
    )  # fmt: skip


class _Backlog:
    """Bytes of verified walks in memory that no package has taken yet; holds new walks back where it is full."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._bytes = 0
        self._open = False

    def wait(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._bytes < 2 * PACKAGE_BYTES)

    def add(self, size: int) -> None:
        with self._changed:
            self._bytes += size

    def take(self, size: int) -> None:
        with self._changed:
            self._bytes -= size
            self._changed.notify_all()

    def open(self) -> None:
        """Holds nobody back any more: the run ends."""
        with self._changed:
            self._open = True
            self._changed.notify_all()
