"""One run of a verb that loads reports: what `load` and `import-csv` have in common.

begin (runs, logs) -> errors and drift -> packages -> retention -> end (runs, logs) -> Outcome
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Set
from dataclasses import dataclass, field
from datetime import timedelta

from passona.config.settings import Settings
from passona.errors import Exit, Held, PassonaError, RequestFailed, TokenRefused, WalkFailed, is_interruption
from passona.masking.policy import CLEAR
from passona.source.pace import ServerClock
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse.database import Database
from passona.warehouse.policy_table import privacy_of
from passona.warehouse.retention import expire

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
        self.outcome = Outcome(run_id=str(uuid.uuid4()))
        self.campaign_table = CampaignTable(database)
        self.privacy = CLEAR
        self._verb, self._begun = verb, 0.0

    def execute(self, body: Callable[[], None]) -> Outcome:
        """Call `body` and record its begin and end in `runs`.

        Expired data are erased even if the server refuses or fails.
        """
        self._begun = time.monotonic()
        self.database.prepare()
        self.privacy = privacy_of(self.database, self.settings)
        self.database.begin_run(self.outcome.run_id, self._verb, self.clock.utc())
        try:
            try:
                body()
            except (RequestFailed, TokenRefused, WalkFailed) as error:
                self.report_error(error, f"{self._verb.partition('-')[0]}_failed")
            self.outcome.erased = expire(self.database, self.settings, self.clock.utc(), self.notify)
        except BaseException as error:
            with contextlib.suppress(Exception):  # the first error is the one to report
                self._end("interrupted" if is_interruption(error) else "error")
            raise
        self.outcome.seconds = time.monotonic() - self._begun
        self._end(self.outcome.word)
        return self.outcome

    def _end(self, word: str) -> None:
        now, outcome = self.clock.utc(), self.outcome
        rows = sum(report.counts["rows"] for report in outcome.reports.values())
        # The server's clock was not known when the run began.
        began = now - timedelta(seconds=time.monotonic() - self._begun) if self.clock.ahead else None
        self.database.end_run(outcome.run_id, word, outcome.requests, rows, now, began=began, erased=outcome.erased)

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

    def commit(self, package: Package) -> None:
        """Write a package, with the campaigns that are due, and drop the spools of its walks.

        :raises NotWritten: the database could not be written.
        """
        begun = time.monotonic()
        with self.database.writing("the load package"):
            self.campaign_table.add_to(package)
            if not package.empty:
                self.database.commit(package, self.settings.timezone)
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
