"""The part of a load that one account does: its list of campaigns, what is due, and what its walks mean.

list, ledger -> tasks -> walks (in threads) -> package: rows, ledger entries
"""

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from passona.config.settings import Settings
from passona.errors import ConfigurationError, Exit, PassonaError, RequestFailed, TokenRefused, Unreachable, WalkFailed
from passona.reports.decoding import Row
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.source.campaigns import (
    Campaign,
    CampaignList,
    check_team,
    list_of_rows,
    list_rows,
    unknown_campaign,
)
from passona.source.client import Client
from passona.source.ledger import Entry, Key, Task, entry_or_held, failure_entry, is_unchanged, plan, since
from passona.source.pace import Clock
from passona.source.page_pool import PagePool
from passona.source.pages import Page
from passona.source.walk import Walk, Walker
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse._walks import Finished, Walks
from passona.warehouse.database import Database
from passona.warehouse.retention import expired_campaigns
from passona.warehouse.run import ReportOutcome, Run

log = logging.getLogger("passona")


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


class AccountLoad:
    """One account of a load, with a client and limits of its own.

    `clock`: this machine's. The server's clock, once known, decides what is due and what settles. An error of the
    account, such as a refused token, ends only its part.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        campaign_table: CampaignTable,
        request: LoadRequest,
        progress: Progress,
        *,
        clock: Clock | None,
    ) -> None:
        self.settings = settings
        self._database, self._campaign_table = database, campaign_table
        self._request, self._progress = request, progress
        self.client = Client(settings, clock)
        self.client.on_retry = progress.waiting
        self.run = Run("load", settings, database, self.client.clock, progress.notify)
        self.run.outcome.reports = {report.name: ReportOutcome() for report in request.reports}
        self._mismatched: Collection[Key] = frozenset()
        # Walks of campaigns that neither the list nor the warehouse has: they wait until one of them has rows.
        self._unknown: dict[str, list[Finished]] = {}
        self._has_list = False
        self._ends = False
        self.campaigns: Sequence[Campaign] = ()

    @property
    def name(self) -> str:
        return self.settings.account

    @contextmanager
    def requesting(self) -> Iterator[None]:
        """Allow requests within this block; none is under way after it."""
        size = self.settings.concurrency
        try:
            with PagePool(size) as self.pool, ThreadPoolExecutor(size, "walk") as self.threads:
                try:
                    yield
                finally:
                    self.client.stop()
                    self.threads.shutdown(wait=False, cancel_futures=True)
        finally:
            self.client.close()
            self.run.outcome.requests = self.client.requests

    def request_list(self) -> "Future[list[Row]]":
        return self.threads.submit(list_rows, self.client, self.pool, self.settings)

    def read_list(self, requested: "Future[list[Row]]") -> CampaignList | None:
        """Return the list of campaigns, None if it cannot be read; the account's part ends if it needs the list."""
        listed = None
        try:
            rows = requested.result()
            listed = list_of_rows(rows, self.settings, self.run.privacy, self._database.columns_of_keys)
            check_team(listed.campaigns, self.settings.team_uuid)
            self.run.report_drift("the API", CAMPAIGNS.name, listed.new_keys, listed.missing_keys)
            self._has_list = True
        except WalkFailed as error:
            if not self._request.campaign_ids or self.settings.team_uuid or isinstance(error, Unreachable):
                self._end(error)
            else:
                self.run.notify(f"{error}; going on without the campaigns' dates")
        except (TokenRefused, RequestFailed, ConfigurationError) as error:
            self._end(error)
            listed = None
        if not self._ends:
            self._compare_clocks()
        return listed

    def _end(self, error: PassonaError) -> None:
        """End this account's part. An error in the settings of the only account ends the run."""
        if isinstance(error, ConfigurationError) and not self.settings.other_accounts:
            raise error
        self.run.report_error(error, "load_failed")
        self._ends = True

    def _compare_clocks(self) -> None:
        if ahead := self.run.clock.ahead:
            difference = timedelta(seconds=round(abs(ahead).total_seconds()))
            where = "ahead of" if ahead > timedelta() else "behind"
            self.run.notify(f"this machine's clock is {difference} {where} the server's: using the server's")

    def plan(
        self, ledger: Mapping[Key, Entry], half_written: Collection[Key], mismatched: Collection[Key]
    ) -> list[Task]:
        """Return the reports that are due, and those that a killed load left half written.

        `half_written`: also of campaigns that left the list. `mismatched`: reports with values of another type than
        the guide's.
        """
        if self._ends:
            return []
        self._mismatched = mismatched
        try:
            self.campaigns = self._campaigns()
        except ConfigurationError as error:
            self._end(error)
            return []
        unlisted = self._campaign_table.unlisted({uuid for uuid, _ in half_written}, self.name)
        now, reports, refresh = self.run.clock.utc(), self._request.reports, self._request.refresh
        kept = self._not_expired([*self.campaigns, *unlisted], now)
        tasks = plan(kept, ledger, reports, self.settings, now, refresh=refresh)
        return [task for task in tasks if task.campaign not in unlisted or task.key in half_written]

    def _campaigns(self) -> list[Campaign]:
        """Return the campaigns to load."""
        wanted = [uuid.lower() for uuid in self._request.campaign_ids]
        campaigns = self._campaign_table.campaigns(self.name, wanted)
        ids = [campaign.campaign_id for campaign in campaigns]
        self._unknown = {uuid: [] for uuid in ids if not self._campaign_table.is_known(uuid)}
        check_team([campaign for campaign in campaigns if campaign.team_id], self.settings.team_uuid)
        self.run.outcome.campaigns = len(campaigns)
        return since(campaigns, self._request.since) if self._request.since else campaigns

    def _not_expired(self, campaigns: Sequence[Campaign], now: datetime) -> list[Campaign]:
        days = self.settings.retain_days
        expired = expired_campaigns(self._database.connection, campaigns, days, now)
        if expired and self._request.campaign_ids:
            self.run.notify(
                f"not asked for, because they ended {days} days ago (retain_days): {', '.join(sorted(expired))}"
            )
        return [campaign for campaign in campaigns if campaign.campaign_id not in expired]

    def start(self, walks: Walks, tasks: Sequence[Task]) -> None:
        """Begin the walks of these reports, in threads."""
        spools, on_page = self._database.spools, self._progress.page
        walker = Walker(self.client, self.pool, self.settings, spools, on_page, privacy=self.run.privacy)
        fresh_since = self.run.clock.utc() if self._request.refresh else None
        walks.start(self.name, walker, self.threads, tasks, fresh_since)

    def take(self, package: Package, finished: Finished, walks: Walks) -> None:
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
            self.run.report_error(result, "report_failed", attempt=result.attempts, **fields)
            self.run.outcome.reports[report].failed += 1
            run_id, at = self.run.outcome.run_id, self.run.clock.utc()
            package.entries.append(failure_entry(task, "failed", result, result.attempts, run_id, at=at))
        else:
            self.run.report_error(result, "load_failed", seconds=finished.seconds)

    def _take_walk(self, package: Package, task: Task, walk: Walk, walks: Walks, fields: Mapping[str, object]) -> None:
        run, outcome = self.run, self.run.outcome.reports[task.report.name]
        outcome.pages += walk.pages
        run.report_drift("the API", task.report.name, walk.spool.new_keys, walk.spool.missing_keys)
        fields = {**fields, "attempt": walk.attempts, "pages": walk.pages, "rows": walk.row_count}
        run_id, at, accept_shrink = run.outcome.run_id, run.clock.utc(), self._request.accept_shrink
        entry, shrink = entry_or_held(task, walk, self.settings, run_id, accept_shrink=accept_shrink, at=at)
        package.entries.append(entry)
        if shrink is not None:
            run.report_error(shrink, "report_held", **fields)
            outcome.held += 1
            walks.drop(walk)
            return
        changed = self._request.refresh or not is_unchanged(task, walk, self._mismatched)
        log.info(
            "campaign %(campaign)s, %(report)s: %(rows)s rows verified in %(seconds).1f s", fields,
            extra={"event": "report_verified", "account": self.settings.label, "changed": changed, **fields},
        )  # fmt: skip
        if changed:
            outcome.loaded += 1
            package.add(walk, self.name)
        else:
            outcome.unchanged += 1
            walks.drop(walk)

    def _take_unknown(self, package: Package, campaign_id: str, walks: Walks) -> None:
        for finished in self._unknown.pop(campaign_id):
            self.take(package, finished, walks)

    def end(self, package: Package, walks: Walks) -> None:
        """Decide which unknown campaigns exist: none of their walks has rows."""
        for campaign_id in list(self._unknown):
            self._end_unknown(package, campaign_id, walks)

    def _end_unknown(self, package: Package, campaign_id: str, walks: Walks) -> None:
        results = [finished.result for finished in self._unknown[campaign_id]]
        error = unknown_campaign(campaign_id, results, has_list=self._has_list)
        undecided = Exit.TOKEN in self.run.outcome.exits
        if error is None and not undecided:
            self._take_unknown(package, campaign_id, walks)
            return
        for finished in self._unknown.pop(campaign_id):
            self.run.outcome.reports[finished.task.report.name].failed += not undecided
            if isinstance(finished.result, Walk):
                walks.drop(finished.result)
        if error is not None and not undecided:
            self._campaign_table.forget(campaign_id)
            self.run.report_error(error, "campaign_unknown", campaign=campaign_id)
