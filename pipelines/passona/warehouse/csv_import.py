"""`passona import-csv`: reports by mail, from their files into the warehouse.

    CsvFile -> Form -> Spool -> Walk -> package -> ledger, by the rules of a load

A file is a walk that somebody else made: it counts whole or not at all, replaces the rows of its campaign and
report, and is held by the shrink guard. It has no total to be checked against, and may be older than it looks: so
it is refused where the tables hold a later state, and settles a report only where its time is vouched for.
"""

from __future__ import annotations

import contextlib
import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from passona.config.settings import Settings
from passona.csv_files.cells import Quality
from passona.csv_files.form import DELIMITERS, Form
from passona.csv_files.locations import fetch_files
from passona.csv_files.reader import CsvFile
from passona.errors import (
    ConfigurationError,
    FileRefused,
    Held,
    Interrupted,
    PassonaError,
    RequestFailed,
    is_interruption,
)
from passona.masking.policy import CLEAR
from passona.reports.definitions import REPORTS, Report
from passona.source.campaigns import Campaign, check_team
from passona.source.ledger import (
    Entry,
    Task,
    accept,
    check_csv_shrink,
    entry_of_failure,
    entry_of_import,
    is_outdated,
    reopened,
)
from passona.source.spool import Spool
from passona.source.walk import Walk
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse.database import Database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import Ledger, mismatched_reports
from passona.warehouse.load import PACKAGE_ROWS, Outcome, ReportOutcome
from passona.warehouse.policy_table import privacy_of
from passona.warehouse.retention import expire, expired_campaigns

log = logging.getLogger("passona")

VERB = "import-csv"


@dataclass(frozen=True)
class CsvRequest:
    """What the user asked of an import. `report`: what the files have to be, None for what their headers say.

    `made_at`: the user's word for when they were made, in UTC. `rejects`: where lines go that cannot be read.
    """

    places: tuple[str, ...]
    campaign_id: str
    report: Report | None = None
    made_at: datetime | None = None
    encoding: str | None = None
    rejects: Path | None = None
    accept_shrink: bool = False
    accept_mangled: bool = False


class CsvProgress(Protocol):
    """Who watches an import."""

    def rows(self, report: Report, count: int) -> None: ...

    def notify(self, line: str) -> None: ...


class CsvImport:
    """One run of `import-csv`."""

    def __init__(self, settings: Settings, database: Database, request: CsvRequest, progress: CsvProgress) -> None:
        self._settings, self._database, self._request, self._progress = settings, database, request, progress
        self._say = progress.notify
        self._campaign_table = CampaignTable(database)
        self._package = Package()
        self._privacy = CLEAR
        self._notified: set[str] = set()
        # Files whose bytes are neither UTF-8 nor marked: read as cp1252, which most of them are.
        self._guessed: set[str] = set()
        self._outcome = Outcome(run_id=str(uuid.uuid4()), campaigns=1)

    def run(self) -> Outcome:
        begun = time.monotonic()
        self._database.prepare()
        self._privacy = privacy_of(self._database, self._settings)
        self._database.tune(Workload.WRITE)
        self._database.begin_run(self._outcome.run_id, VERB)
        try:
            self._import()
            self._outcome.erased = expire(self._database, self._settings, datetime.now(UTC), self._say)
        except RequestFailed as error:
            self._note(error, "import_failed")
        except BaseException as error:
            with contextlib.suppress(Exception):  # the first error is the one to tell
                self._end("interrupted" if is_interruption(error) else "error")
            raise
        self._outcome.seconds = time.monotonic() - begun
        self._end(self._outcome.word)
        return self._outcome

    def _end(self, word: str) -> None:
        rows = sum(report.counts.rows for report in self._outcome.reports.values())
        self._database.end_run(self._outcome.run_id, word, 0, rows, erased=self._outcome.erased)

    def _note(self, error: PassonaError, event: str, report: Report | None = None) -> None:
        self._outcome.errors.append(str(error))
        self._outcome.exits.add(error.exit_code)
        fields = {"event": event, "exit_code": int(error.exit_code), "campaign": self._request.campaign_id}
        fields |= {"report": report.name} if report else {}
        log.log(logging.WARNING if isinstance(error, Held) else logging.ERROR, "%s", error, extra=fields)

    def _import(self) -> None:
        files = fetch_files(self._request.places, self._database.files, self._request.made_at)
        if self._request.rejects and len(files) > 1:
            raise ConfigurationError(f"--reject-to goes with a single file, got {len(files)}; import them one by one")
        known = self._forms(files)
        self._campaign_table.read(None)
        ledger = Ledger(self._database.connection)
        (campaign,) = self._campaign_table.campaigns([self._request.campaign_id])
        check_team([campaign] if campaign.team_id else [], self._settings.team_uuid)
        self._check_age(campaign, known)
        for file, form in known:
            task = Task(form.report, campaign, ledger.get((campaign.campaign_id, form.report.name)))
            try:
                self._take(task, file, form)
            except FileRefused as refusal:
                self._outcome.reports[form.report.name].failed += 1
                self._note(refusal, "file_refused", form.report)
            except Interrupted:
                # What is read whole is kept; the error goes on its way when that is written.
                self._commit()
                raise
            if self._package.rows >= PACKAGE_ROWS:
                self._commit()
        self._commit()

    def _check_age(self, campaign: Campaign, known: Sequence[tuple[CsvFile, Form]]) -> None:
        """What the next load would give up is not taken in.

        :raises ConfigurationError: the campaign is past `retain_days`.
        """
        days, made_at = self._settings.retain_days, max((file.made_at for file, _ in known), default=None)
        if expired_campaigns(self._database.connection, [campaign], days, datetime.now(UTC), made_at):
            raise ConfigurationError(
                f"campaign {campaign.campaign_id} ended, or changed last, more than {days} days ago "
                "(sources.passona.retain_days), so its personal data are not to be kept: nothing was loaded; set more "
                "days, or leave its files out"
            )

    def _forms(self, files: Sequence[CsvFile]) -> list[tuple[CsvFile, Form]]:
        """What each file is; those that are nothing are told.

        :raises ConfigurationError: two files are the same report.
        """
        found: dict[str, tuple[CsvFile, Form]] = {}
        for file in files:
            try:
                form = file.form(self._request.report, self._request.encoding)
            except FileRefused as refusal:
                self._note(refusal, "file_refused")
                continue
            other = found.setdefault(form.report.name, (file, form))[0]
            if other is not file:
                raise ConfigurationError(
                    f"{other.name} and {file.name} are both {form.report.name}: expected one file for a report of a "
                    "campaign; give the one that counts, nothing was loaded"
                )
        ordered = [found[name] for name in REPORTS if name in found]
        self._outcome.reports = {form.report.name: ReportOutcome() for _, form in ordered}
        return ordered

    def _take(self, task: Task, file: CsvFile, form: Form) -> None:
        """Reads a file, decides what becomes of it, and puts that into the package.

        :raises FileRefused: it cannot be read whole, or is older than what the tables hold.
        """
        walk, quality, rejected = self._read(task, file, form)
        self._tell_drift(walk)
        self._check_quality(file, walk, quality)
        if walk.digest == task.verified_digest and not self._is_mismatched(walk):
            self._outcome.reports[task.report.name].unchanged += 1
            if not is_outdated(task, file.made_at):
                self._package.entries.append(self._entry(task, walk, file, quality, rejected))
            walk.spool.drop()
            return
        if is_outdated(task, file.made_at):
            walk.spool.drop()
            raise file.refused(
                f"it was made {file.made_at:%Y-%m-%d %H:%M:%S} UTC, and the tables hold {task.report.name} as of "
                "a later time (if it was made later, say when with --made-at)"
            )
        self._add(task, walk, file, quality, rejected)

    def _read(self, task: Task, file: CsvFile, form: Form) -> tuple[Walk, Quality, int]:
        def spool() -> Spool:
            path = self._database.files / f"{form.report.name}.arrow"
            return Spool(form.report, task.campaign.campaign_id, path, file.made_at, self._privacy)

        def heard(count: int) -> None:
            self._progress.rows(form.report, count)

        contents = file.read(form, spool, self._request.encoding, heard, self._request.rejects)
        self._tell_form(file, contents.form)
        walk = Walk(form.report, task.campaign.campaign_id, contents.spool, 1)
        return walk, contents.quality, contents.rejected

    def _check_quality(self, file: CsvFile, walk: Walk, quality: Quality) -> None:
        """Tells what a spreadsheet did to a file.

        :raises FileRefused: most of its phones or all of its times are lost.
        """
        if quality.is_mangled and not self._request.accept_mangled:
            walk.spool.drop()
            raise file.refused(
                f"{quality.losses}, as a spreadsheet leaves them (import the file as it was mailed; "
                "--accept-mangled takes it as it is)"
            )
        if quality.losses:
            recorded = "row_issues has what came, and " if quality.unread else ""
            self._say(f"{file.name}: {quality.losses}; {recorded}{walk.report.name} stays open")
        if quality.restored:
            self._say(f"{file.name}: values in a spreadsheet's form, read as what they were: {quality.restored:,}")
        if quality.blank:
            self._say(f"{file.name}: lines without any value are left out: {quality.blank:,}")
        if quality.fills_a_sheet:
            self._say(f"{file.name}: {quality.rows:,} rows fill a whole sheet, so that some may have been cut off")

    def _tell_form(self, file: CsvFile, form: Form) -> None:
        parted = DELIMITERS.get(form.delimiter, form.delimiter)
        if form.encoding == "cp1252" and self._request.encoding is None:
            self._guessed.add(file.name)
        said = f"{file.name}: read as {form.encoding}, values parted by {parted}"
        if (form.encoding, form.delimiter) != ("utf-8", ",") and said not in self._notified:
            self._notified.add(said)
            self._say(said)

    def _add(self, task: Task, walk: Walk, file: CsvFile, quality: Quality, rejected: int) -> None:
        outcome = self._outcome.reports[task.report.name]
        entry = self._entry(task, walk, file, quality, rejected)
        settled = entry.state == "settled"
        total = walk.row_count + walk.spool.suppressed + rejected
        shrink = None if self._request.accept_shrink else check_csv_shrink(task, total, settled=settled)
        if shrink is not None:
            self._note(shrink, "report_held", task.report)
            outcome.held += 1
            entry = entry_of_failure(task, "held", shrink, 1, self._outcome.run_id, at=datetime.now(UTC))
            walk.spool.drop()
        else:
            outcome.loaded += 1
            self._package.add(walk)
        self._package.entries.append(entry)

    def _entry(self, task: Task, walk: Walk, file: CsvFile, quality: Quality, rejected: int) -> Entry:
        """Its row of the ledger. A file whose age nobody vouches for, or that lost something, settles nothing."""
        entry = entry_of_import(task, walk, self._settings, self._outcome.run_id)
        if self._request.accept_shrink:
            entry = accept(entry)
        if rejected:
            self._say(f"{file.name}: {rejected} lines cannot be read and are in {self._request.rejects}")
        if quality.losses or quality.fills_a_sheet:
            return replace(entry, state="open")
        if rejected:
            return reopened(task, entry)
        if file.name in self._guessed and entry.state == "settled":
            self._say(
                f"{file.name}: {task.report.name} stays open, because its bytes do not say whether it is cp1252, cp850 "
                "or mac-roman; look at a letter with an accent, and import it again with --encoding"
            )
            return reopened(task, entry)
        if file.vouched or entry.state == "open":
            return entry
        entry = reopened(task, entry)
        if entry.state == "open":
            self._say(
                f"{file.name}: {task.report.name} stays open, because only this copy's time tells when it was made; "
                "--made-at settles it"
            )
        return entry

    def _is_mismatched(self, walk: Walk) -> bool:
        """Whether the tables hold values of another type than the guide's: the digest does not tell 83 from "83"."""
        return (walk.campaign_id, walk.report.name) in mismatched_reports(self._database.connection)

    def _tell_drift(self, walk: Walk) -> None:
        for what, keys in (("new", walk.spool.new_keys), ("missing", walk.spool.missing_keys)):
            for key in sorted(keys):
                self._outcome.drift.append(f"{walk.report.name}: {what} key {key[:60]!r}")
                self._say(f"the header has changed: {self._outcome.drift[-1]}")

    def _commit(self) -> None:
        if self._package.empty:
            return
        package, self._package = self._package, Package()
        self._campaign_table.add_to(package)
        self._database.commit(package, self._settings.timezone)
        for walk in package.walks:
            walk.spool.drop()
        for name, outcome in self._outcome.reports.items():
            outcome.counts.add(package.counts[name])
