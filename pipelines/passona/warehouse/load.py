"""`passona load`: brings the warehouse up to date with the API.

    settings, database -> campaigns -> plan -> walks (side by side) -> packages -> ledger, runs

Walks run in threads, within the client's limits. This thread commits finished walks in packages, so that a crash costs
minutes at most and the API never waits for the database.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from passona.config.settings import Settings
from passona.config.signals import deferred
from passona.errors import Exit, Interrupted, TokenRefused, Unreachable, WalkFailed
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.source.campaigns import Campaign, check_team, list_campaigns, unknown_campaign
from passona.source.client import Client
from passona.source.ledger import Key, Task, entry_or_held, failure_entry, is_unchanged, plan, since
from passona.source.pace import Clock
from passona.source.page_pool import PagePool
from passona.source.pages import Page
from passona.source.walk import Walk, Walker
from passona.warehouse._load_package import Package
from passona.warehouse._walks import PACKAGE_BYTES, Finished, Walks
from passona.warehouse.database import Database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import Ledger, mismatched_reports
from passona.warehouse.retention import expired_campaigns
from passona.warehouse.run import PACKAGE_ROWS, Outcome, ReportOutcome, Run
from passona.warehouse.verification import unverified

log = logging.getLogger("passona")

# Seconds of verified walks that a crash may cost.
PACKAGE_SECONDS = 30.0


@dataclass(frozen=True)
class LoadRequest:
    """What the user asked of a load. No campaigns: all that the API lists."""

    campaign_ids: tuple[str, ...] = ()
    reports: tuple[Report, ...] = tuple(REPORTS.values())
    since: datetime | None = None
    refresh: bool = False
    accept_shrink: bool = False


class Progress(Protocol):
    """The observer of a load. Called from several threads."""

    def planned(self, tasks: Sequence[Task]) -> None: ...

    def page(self, report: Report, page: Page) -> None: ...

    def walked(self, task: Task) -> None: ...

    def waiting(self, line: str) -> None:
        """Show on a terminal what the load is waiting for."""

    def notify(self, line: str) -> None: ...


class Load:
    """One run of `load`.

    `clock`: this machine's. The server's clock, once known, decides what is due and what settles.
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
        self._client = Client(settings, clock)
        self._client.on_retry = progress.waiting
        self._run = Run("load", settings, database, self._client.clock, progress.notify)
        self._outcome, self._campaign_table = self._run.outcome, self._run.campaign_table
        self._outcome.reports = {report.name: ReportOutcome() for report in request.reports}
        self._mismatched: set[Key] = set()
        # Walks of campaigns that neither the list nor the warehouse has: they wait until one of them has rows.
        self._unknown: dict[str, list[Finished]] = {}
        self._has_list = False

    def run(self) -> Outcome:
        return self._run.execute(self._load)

    def _load(self) -> None:
        try:
            with PagePool(self._settings.concurrency) as pool:
                try:
                    self._load_due(pool)
                finally:
                    self._client.stop()
        finally:
            self._client.close()
            self._outcome.requests = self._client.requests

    def _load_due(self, pool: PagePool) -> None:
        self._progress.waiting("asking for the list of campaigns")
        campaigns = self._campaigns(pool)
        self._outcome.campaigns = len(campaigns)
        now = self._run.clock.utc()
        with deferred():
            tasks = self._plan(campaigns, now)
            self._mismatched = mismatched_reports(self._database.connection)
        due = {task.key for task in tasks}
        self._database.clear_spools(
            key for c in campaigns for r in self._request.reports if (key := (c.campaign_id, r.name)) not in due
        )
        self._progress.planned(tasks)
        spools, on_page = self._database.spools, self._progress.page
        walker = Walker(self._client, pool, self._settings, spools, on_page, privacy=self._run.privacy)
        fresh_since = now if self._request.refresh else None
        walks = Walks(self._client, walker, self._settings.concurrency, fresh_since)
        for package in self._packages(tasks, walks):
            self._run.write_package(package)
            walks.release(package.memory)

    def _plan(self, campaigns: Sequence[Campaign], now: datetime) -> list[Task]:
        """Return the reports that are due, and those that a killed load left half written."""
        ledger, half_written = Ledger(self._database.connection), self._half_written_unlisted()
        unlisted = self._campaign_table.campaigns(sorted({uuid for uuid, _ in half_written})) if half_written else []
        kept = self._not_expired([*campaigns, *unlisted], now)
        reports, refresh = self._request.reports, self._request.refresh
        tasks = plan(kept, ledger, reports, self._settings, now, refresh=refresh)
        return [task for task in tasks if task.campaign not in unlisted or task.key in half_written]

    def _half_written_unlisted(self) -> set[Key]:
        """Return half written reports of campaigns that left the list; a load of all campaigns repairs them too."""
        if self._request.campaign_ids:
            return set()
        return {key for key in unverified(self._database.connection) if not self._campaign_table.is_listed(key[0])}

    def _not_expired(self, campaigns: Sequence[Campaign], now: datetime) -> list[Campaign]:
        days = self._settings.retain_days
        expired = expired_campaigns(self._database.connection, campaigns, days, now)
        if expired and self._request.campaign_ids:
            self._progress.notify(
                f"not asked for, because they ended {days} days ago (retain_days): {', '.join(sorted(expired))}"
            )
        return [campaign for campaign in campaigns if campaign.campaign_id not in expired]

    def _campaigns(self, pool: PagePool) -> Sequence[Campaign]:
        """Return the campaigns asked for, with their dates, after comparing the list with the warehouse."""
        listed, wanted = None, [uuid.lower() for uuid in self._request.campaign_ids]
        try:
            names = self._database.columns_of_keys
            listed = list_campaigns(self._client, pool, self._settings, self._run.privacy, names)
            self._run.report_drift("the API", CAMPAIGNS.name, listed.new_keys, listed.missing_keys)
        except WalkFailed as error:
            if not wanted or self._settings.team_uuid or isinstance(error, Unreachable):
                raise
            self._progress.notify(f"{error}; going on without the campaigns' dates")
        self._compare_clocks()
        with self._database.writing("the list of campaigns"):
            shrink = self._campaign_table.read(listed, accept_shrink=self._request.accept_shrink)
        if shrink is not None and wanted:
            self._progress.notify(str(shrink))
        elif shrink is not None:
            self._run.report_error(shrink, "list_held")
        campaigns = self._campaign_table.campaigns(wanted)
        self._has_list = listed is not None
        self._unknown = {uuid: [] for uuid in wanted if not self._campaign_table.is_known(uuid)}
        check_team([campaign for campaign in campaigns if campaign.team_id], self._settings.team_uuid)
        return since(campaigns, self._request.since) if self._request.since else campaigns

    def _compare_clocks(self) -> None:
        if ahead := self._client.clock.ahead:
            difference = timedelta(seconds=round(abs(ahead).total_seconds()))
            where = "ahead of" if ahead > timedelta() else "behind"
            self._progress.notify(f"this machine's clock is {difference} {where} the server's: using the server's")

    def _packages(self, tasks: Sequence[Task], walks: Walks) -> Iterator[Package]:
        """Yield packages of finished walks, each when it is full or PACKAGE_SECONDS old."""
        package, due = Package(), time.monotonic() + PACKAGE_SECONDS
        try:
            for finished in walks.finished(tasks):
                if finished is not None:
                    self._take(package, finished, walks)
                    self._progress.walked(finished.task)
                full = package.rows >= PACKAGE_ROWS or package.memory >= PACKAGE_BYTES
                if not package.empty and (full or time.monotonic() > due):
                    yield package
                    package, due = Package(), time.monotonic() + PACKAGE_SECONDS
        except Interrupted:
            if not package.empty:  # verified walks are written before the run ends
                yield package
            raise
        self._database.tune(Workload.WRITE)
        for campaign_id in list(self._unknown):
            self._end_unknown(package, campaign_id, walks)
        if not package.empty or self._campaign_table.has_changes:
            yield package

    def _take(self, package: Package, finished: Finished, walks: Walks) -> None:
        """Add a finished walk to the package: its ledger entry, and its rows if they have changed."""
        task, result = finished.task, finished.result
        campaign_id, report = task.key
        if campaign_id in self._unknown and not isinstance(result, TokenRefused):
            self._unknown[campaign_id].append(finished)
            if isinstance(result, Walk) and result.total:
                self._take_unknown(package, campaign_id, walks)
            return
        fields: dict[str, object] = {"campaign": campaign_id, "report": report, "seconds": finished.seconds}
        if isinstance(result, Walk):
            self._take_walk(package, task, result, walks, fields)
        elif isinstance(result, WalkFailed):
            self._run.report_error(result, "report_failed", attempt=result.attempts, **fields)
            self._outcome.reports[report].failed += 1
            run_id, at = self._outcome.run_id, self._run.clock.utc()
            package.entries.append(failure_entry(task, "failed", result, result.attempts, run_id, at=at))
        else:
            self._run.report_error(result, "load_failed", **fields)

    def _take_walk(self, package: Package, task: Task, walk: Walk, walks: Walks, fields: Mapping[str, object]) -> None:
        outcome = self._outcome.reports[task.report.name]
        outcome.pages += walk.pages
        self._run.report_drift("the API", task.report.name, walk.spool.new_keys, walk.spool.missing_keys)
        fields = {**fields, "attempt": walk.attempts, "pages": walk.pages, "rows": walk.row_count}
        run_id, at, accept_shrink = self._outcome.run_id, self._run.clock.utc(), self._request.accept_shrink
        entry, shrink = entry_or_held(task, walk, self._settings, run_id, accept_shrink=accept_shrink, at=at)
        package.entries.append(entry)
        if shrink is not None:
            self._run.report_error(shrink, "report_held", **fields)
            outcome.held += 1
            walks.drop(walk)
            return
        changed = self._request.refresh or not is_unchanged(task, walk, self._mismatched)
        log.info(
            "campaign %(campaign)s, %(report)s: %(rows)s rows verified in %(seconds).1f s", fields,
            extra={"event": "report_verified", "changed": changed, **fields},
        )  # fmt: skip
        if changed:
            outcome.loaded += 1
            package.add(walk)
        else:
            outcome.unchanged += 1
            walks.drop(walk)

    def _take_unknown(self, package: Package, campaign_id: str, walks: Walks) -> None:
        for finished in self._unknown.pop(campaign_id):
            self._take(package, finished, walks)

    def _end_unknown(self, package: Package, campaign_id: str, walks: Walks) -> None:
        """Decide if an unknown campaign exists: none of its walks has rows."""
        results = [finished.result for finished in self._unknown[campaign_id]]
        error = unknown_campaign(campaign_id, results, has_list=self._has_list)
        undecided = Exit.TOKEN in self._outcome.exits
        if error is None and not undecided:
            self._take_unknown(package, campaign_id, walks)
            return
        for finished in self._unknown.pop(campaign_id):
            self._outcome.reports[finished.task.report.name].failed += not undecided
            if isinstance(finished.result, Walk):
                walks.drop(finished.result)
        if error is not None and not undecided:
            self._campaign_table.forget(campaign_id)
            self._run.report_error(error, "campaign_unknown", campaign=campaign_id)
