"""One run of a verb that loads reports: what `load` and `import-csv` have in common.

begin (runs, logs) -> errors and drift -> packages -> retention -> end (runs, logs) -> Outcome
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import timedelta

from passona.config.settings import Settings
from passona.errors import Exit, Held, PassonaError, RequestFailed, TokenRefused, WalkFailed
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

    @property
    def any(self) -> bool:
        """Return True if the run loaded, verified, failed or held this report of any campaign."""
        return bool(self.loaded or self.unchanged or self.failed or self.held)


@dataclass
class Outcome:
    """What a run did. `errors`: one line for each report that failed or is held, and for the run.

    `erased`: rows whose personal data expired (`retain_days`).
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


class Run:
    """One run of `verb`. Its clock is this machine's until the server has answered."""

    def __init__(
        self, verb: str, settings: Settings, database: Database, clock: ServerClock, notify: Callable[[str], None]
    ) -> None:
        self.settings, self.database, self.clock, self.notify = settings, database, clock, notify
        self._record, self._begun = RunRecord(verb, settings.account), 0.0
        self.outcome = Outcome(self._record.run_id)
        self.campaign_table = CampaignTable(database, settings.account)
        self.privacy = CLEAR

    def execute(self, body: Callable[[], None]) -> Outcome:
        """Call `body` and record its begin and end in `runs`.

        Expired data are erased even if the server refuses or fails.
        """
        self._begun = time.monotonic()
        self.database.prepare()
        self.privacy = privacy_of(self.database, self.settings, self.settings.account)
        self._record.began = self.clock.utc()
        with self.database.run(self._record):
            try:
                self._body(body)
            finally:
                self._fill_record()
            self._record.outcome = self.outcome.word
        return self.outcome

    def _body(self, body: Callable[[], None]) -> None:
        try:
            body()
        except (RequestFailed, TokenRefused, WalkFailed) as error:
            self.report_error(error, f"{self._record.verb.partition('-')[0]}_failed")
        self.outcome.erased = expire(self.database, self.settings, self.clock.utc(), self.notify)

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
        self.outcome.errors.append(str(error))
        self.outcome.exits.add(error.exit_code)
        level = logging.WARNING if isinstance(error, Held) else logging.ERROR
        log.log(level, "%s", error, extra={"event": event, "exit_code": int(error.exit_code), **fields})

    def report_drift(self, source: str, report: str, new: Set[str], missing: Set[str]) -> None:
        """Notify once of each key that is new or missing. `source`: what has changed, such as `the API`."""
        for kind, keys in (("new", new), ("missing", missing)):
            for key in sorted(keys):
                line = f"{report}: {kind} key {key[:60]!r}"
                if line not in self.outcome.drift:
                    self.outcome.drift.append(line)
                    self.notify(f"{source} has changed: {line}")

    def write_package(self, package: Package) -> None:
        """Write a package, with the campaigns that are due, and drop the spools of its walks."""
        begun = time.monotonic()
        with self.database.writing("the load package"):
            self.campaign_table.add_to(package)
            if not package.empty:
                self.database.write_package(package)
        seconds = round(time.monotonic() - begun, 3)
        log.info(
            "%d reports written in %.1f s", len(package.walks), seconds,
            extra={
                "event": "package_written", "reports": len(package.walks), "rows": package.rows, "seconds": seconds,
            },
        )  # fmt: skip
        for walk in package.walks:
            walk.spool.drop()
        for name, report in self.outcome.reports.items():
            report.counts.update(package.counts[name])
