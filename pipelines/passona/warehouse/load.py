"""`passona load`: brings the warehouse up to date with the API.

    accounts -> lists of campaigns -> plan -> walks (side by side) -> packages -> ledger, runs

Each account has its own requests (`_account_load`); they share the warehouse, which this thread writes. It commits
finished walks in packages, so that a crash costs minutes at most and the API never waits for the database.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack

from passona.config.settings import Settings
from passona.config.signals import deferred
from passona.errors import Interrupted, WalkFailed
from passona.source.ledger import Key, Task
from passona.source.pace import Clock
from passona.warehouse._account_load import AccountLoad, LoadRequest, Progress
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse._walks import Walks
from passona.warehouse.database import Database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import Ledger, mismatched_reports
from passona.warehouse.run import PACKAGE_ROWS, Outcome, combined, write_package
from passona.warehouse.verification import unverified

__all__ = ["Load", "LoadRequest", "Progress"]

# Seconds of verified walks that a crash may cost.
PACKAGE_SECONDS = 30.0


class Load:
    """One run of `load`. `accounts`: settings of each, in their order. `clock`: this machine's."""

    def __init__(
        self,
        accounts: Sequence[Settings],
        database: Database,
        request: LoadRequest,
        progress: Progress,
        clock: Clock | None = None,
    ) -> None:
        self._database, self._request, self._progress = database, request, progress
        self._campaign_table = CampaignTable(database)
        self._accounts = {
            settings.account: AccountLoad(settings, database, self._campaign_table, request, progress, clock=clock)
            for settings in accounts
        }
        self._first = next(iter(self._accounts.values()))

    def run(self) -> Outcome:
        """Return what the run did.

        :raises ConfigurationError: the only account's settings do not fit what the server or the warehouse has.
        """
        self._database.prepare()
        accounts, announced = list(self._accounts.values()), set[str]()
        with ExitStack() as stack:
            for account in accounts:
                account.run.announced = announced
                stack.enter_context(account.run.recorded())
            with ExitStack() as requesting:
                for account in accounts:
                    requesting.enter_context(account.requesting())
                self._load_due()
            self._first.run.expire(min(account.run.clock.utc() for account in accounts))
        if self._first.settings.label is None:  # the only account, without a name
            return self._first.run.outcome
        return combined({name: account.run.outcome for name, account in self._accounts.items()})

    def _load_due(self) -> None:
        self._read_lists()
        with deferred():
            tasks = self._plan()
        due = {task.key for of_account in tasks.values() for task in of_account}
        self._clear_spools(due)
        self._progress.planned([task for of_account in tasks.values() for task in of_account])
        with Walks(len(self._accounts)) as walks:
            for name, account in self._accounts.items():
                account.start(walks, tasks[name])
            for package in self._packages(walks):
                outcomes = {name: account.run.outcome for name, account in self._accounts.items()}
                write_package(self._database, self._campaign_table, package, outcomes)
                walks.release(package.memory)

    def _read_lists(self) -> None:
        """Compare the lists of all accounts with the warehouse."""
        self._progress.waiting("asking for the list of campaigns")
        requested = {name: account.request_list() for name, account in self._accounts.items()}
        read = {name: account.read_list(requested[name]) for name, account in self._accounts.items()}
        lists = {name: listed for name, listed in read.items() if listed is not None}
        configured, accept_shrink = self._first.settings.all_accounts, self._request.accept_shrink
        with self._database.writing("the list of campaigns"):
            owners = self._campaign_table.read(lists, self._accounts, configured, accept_shrink=accept_shrink)
        for name, shrink in owners.held.items():
            if self._request.campaign_ids:
                self._accounts[name].run.notify(str(shrink))
            else:
                self._accounts[name].run.report_error(shrink, "list_held")
        for account in self._accounts.values() if owners.moved else ():
            account.run.read_privacy()  # an account may keep out more people now
        for line in self._campaign_table.notices:
            self._progress.notify(line)
        # Campaigns that the user named and that no account of this run loads.
        for uuid in dict.fromkeys(uuid.lower() for uuid in self._request.campaign_ids):
            if reason := owners.why_not(uuid):
                error = WalkFailed(f"campaign {uuid}: {reason}")
                self._first.run.report_error(error, "campaign_unknown", campaign=uuid)

    def _plan(self) -> Mapping[str, list[Task]]:
        connection = self._database.connection
        ledger, mismatched = Ledger(connection), mismatched_reports(connection)
        half_written = set() if self._request.campaign_ids else self._half_written()
        return {name: account.plan(ledger, half_written, mismatched) for name, account in self._accounts.items()}

    def _half_written(self) -> set[Key]:
        """Return half written reports of campaigns that left the list; a load of all campaigns repairs them too."""
        return {key for key in unverified(self._database.connection) if not self._campaign_table.is_listed(key[0])}

    def _clear_spools(self, due: set[Key]) -> None:
        """Remove the spools of reports that are not due."""
        checked = (campaign for account in self._accounts.values() for campaign in account.campaigns)
        keys = ((campaign.campaign_id, report.name) for campaign in checked for report in self._request.reports)
        self._database.clear_spools(key for key in keys if key not in due)

    def _packages(self, walks: Walks) -> Iterator[Package]:
        """Yield packages of finished walks, each when it is full or PACKAGE_SECONDS old."""
        package, due = Package(), time.monotonic() + PACKAGE_SECONDS
        try:
            for finished in walks.finished():
                if finished is not None:
                    self._accounts[finished.account].take(package, finished, walks)
                    self._progress.walked(finished.task)
                full = package.rows >= PACKAGE_ROWS or package.memory >= walks.package_bytes
                if not package.empty and (full or time.monotonic() > due):
                    yield package
                    package, due = Package(), time.monotonic() + PACKAGE_SECONDS
        except Interrupted:
            if not package.empty:  # verified walks are written before the run ends
                yield package
            raise
        self._database.tune(Workload.WRITE)
        for account in self._accounts.values():
            account.end(package, walks)
        if not package.empty or self._campaign_table.has_changes:
            yield package
