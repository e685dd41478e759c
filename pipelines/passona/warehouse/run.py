"""One run of a verb that loads reports: what `load` and `import-csv` have in common.

begin (runs, logs) -> errors and drift -> packages -> retention -> end (runs, logs) -> Outcome
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta

from passona.config.settings import Settings
from passona.errors import Exit, Held, PassonaError, TokenRefused
from passona.masking.policy import CLEAR
from passona.source.pace import ServerClock
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse.database import Database
from passona.warehouse.policy_table import privacy_of
from passona.warehouse.retention import expire
from passona.warehouse.run_record import RunRecord

log = logging.getLogger("passona")

# A package takes some 0.4 s plus 2.5 s for this many rows, so its fixed cost is small.
PACKAGE_ROWS = 500_000


@dataclass
class ReportOutcome:
    """What a run did for one report, over all campaigns. `unchanged`: verified, with the same rows as before."""

    loaded: int = 0
    unchanged: int = 0
    failed: int = 0
    held: int = 0
    pages: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: ReportOutcome) -> ReportOutcome:
        return ReportOutcome(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def any(self) -> bool:
        """Return True if the run loaded, verified, failed or held this report of any campaign."""
        return bool(self.loaded or self.unchanged or self.failed or self.held)


@dataclass
class Outcome:
    """What a run did. `errors`: one line for each report that failed or is held, and for the run.

    `erased`: rows whose personal data expired (`retain_days`). `accounts`: the parts, if there are several.
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
    accounts: Mapping[str, Outcome] = field(default_factory=dict)

    @property
    def exit_code(self) -> Exit:
        return min(self.exits, default=Exit.OK)

    @property
    def word(self) -> str:
        return self.exit_code.word


def combined(outcomes: Mapping[str, Outcome]) -> Outcome:
    """Return what a load of several accounts did in all, and its parts."""
    first = next(iter(outcomes.values()))
    reports: dict[str, ReportOutcome] = {}
    for outcome in outcomes.values():
        for name, report in outcome.reports.items():
            reports[name] = reports.get(name, ReportOutcome()) + report
    return Outcome(
        first.run_id,
        campaigns=sum(outcome.campaigns for outcome in outcomes.values()),
        requests=sum(outcome.requests for outcome in outcomes.values()),
        seconds=max(outcome.seconds for outcome in outcomes.values()),
        reports=reports,
        errors=[error for outcome in outcomes.values() for error in outcome.errors],
        drift=[line for outcome in outcomes.values() for line in outcome.drift],
        erased=sum(outcome.erased for outcome in outcomes.values()),
        exits=set().union(*(outcome.exits for outcome in outcomes.values())),
        accounts=outcomes,
    )


class Run:
    """One run of `verb` for an account. Its clock is this machine's until the server has answered.

    `announced`: lines about the API that were said already; accounts of one load share it.
    """

    def __init__(
        self, verb: str, settings: Settings, database: Database, clock: ServerClock, notify: Callable[[str], None]
    ) -> None:
        self.settings, self.database, self.clock, self._notify = settings, database, clock, notify
        self._record, self._begun = RunRecord(verb, settings.account, settings.label), 0.0
        self.outcome = Outcome(self._record.run_id)
        self.privacy = CLEAR
        self.announced: set[str] = set()

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the begin and the end of the block in `runs`."""
        self._begun = time.monotonic()
        self.read_privacy()
        self._record.began = self.clock.utc()
        with self.database.run(self._record):
            try:
                yield
            finally:
                self._fill_record()
            self._record.outcome = self.outcome.word

    def read_privacy(self) -> None:
        """Read what the warehouse may store about people, and whom this account keeps out."""
        self.privacy = privacy_of(self.database, self.settings, self.settings.account)

    def expire(self, now: datetime) -> None:
        """Erase expired personal data: also after a run whose requests the server refused."""
        self.outcome.erased = expire(self.database, self.settings, now, self._notify)

    def notify(self, line: str) -> None:
        """Tell a person something about this account."""
        self._notify(self._of_account(line))

    def _of_account(self, line: str) -> str:
        return f"account {self.settings.account}: {line}" if self.settings.other_accounts else line

    def _fill_record(self) -> None:
        now, outcome, record = self.clock.utc(), self.outcome, self._record
        outcome.seconds = time.monotonic() - self._begun
        record.ended, record.requests, record.erased = now, outcome.requests, outcome.erased
        record.row_count = sum(report.counts["rows"] for report in outcome.reports.values())
        if self.clock.ahead:  # the server's clock was not known when the run began
            record.began = now - timedelta(seconds=outcome.seconds)

    def report_error(self, error: PassonaError, event: str, **fields: object) -> None:
        """Log an error and add it to the outcome. `fields`: of its log record."""
        if isinstance(error, TokenRefused) and error.exit_code in self.outcome.exits:
            return  # the server refuses all requests that are in flight
        line = str(error) if "campaign" in fields else self._of_account(str(error))
        self.outcome.errors.append(line)
        self.outcome.exits.add(error.exit_code)
        level = logging.WARNING if isinstance(error, Held) else logging.ERROR
        fields |= {"event": event, "account": self.settings.label, "exit_code": int(error.exit_code)}
        log.log(level, "%s", line, extra=fields)

    def report_drift(self, source: str, report: str, new: Set[str], missing: Set[str]) -> None:
        """Notify once of each key that is new or missing. `source`: what has changed, such as `the API`."""
        for kind, keys in (("new", new), ("missing", missing)):
            for key in sorted(keys):
                line = f"{report}: {kind} key {key[:60]!r}"
                if line not in self.announced:
                    self.announced.add(line)
                    self.outcome.drift.append(line)
                    self._notify(f"{source} has changed: {line}")


def write_package(
    database: Database, campaign_table: CampaignTable, package: Package, outcomes: Mapping[str, Outcome]
) -> None:
    """Write a package, with the campaigns that are due, drop the spools of its walks, and count its rows by account."""
    begun = time.monotonic()
    with database.writing("the load package"):
        campaign_table.add_to(package)
        if not package.empty:
            database.write_package(package)
    seconds = round(time.monotonic() - begun, 3)
    log.info(
        "%d reports written in %.1f s", len(package.walks), seconds,
        extra={"event": "package_written", "reports": len(package.walks), "rows": package.rows, "seconds": seconds},
    )  # fmt: skip
    for walk in package.walks:
        walk.spool.drop()
    for (account, name), counts in package.counts.items():
        if account:
            outcomes[account].reports[name].counts.update(counts)
