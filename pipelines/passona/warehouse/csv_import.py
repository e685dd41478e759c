"""`passona import-csv`: loads mailed reports from their files, by the rules of a load.

    CsvFile -> Form -> Spool -> Walk -> package -> ledger

A file is a walk: it counts whole or not at all, replaces the rows of its campaign and report, and the shrink guard
may hold it. It has no total to be verified against, and may have been made before its modification time says. So it
is refused if the tables hold a later state, and it settles a report only if the user or the server dated it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Protocol

from passona.config.settings import Settings
from passona.csv_files.cells import Quality
from passona.csv_files.form import DELIMITERS, Form
from passona.csv_files.locations import fetch_files
from passona.csv_files.reader import Contents, CsvFile
from passona.errors import ConfigurationError, FileRefused, Interrupted, PassonaError, RequestFailed
from passona.reports.definitions import REPORTS, Report
from passona.source.campaigns import Campaign, check_team
from passona.source.ledger import (
    Entry,
    Task,
    accept,
    check_csv_shrink,
    failure_entry,
    import_entry,
    is_outdated,
    is_unchanged,
    reopened,
)
from passona.source.pace import Clock, ServerClock
from passona.source.spool import Spool
from passona.source.walk import Walk
from passona.warehouse._campaign_table import CampaignTable
from passona.warehouse._load_package import Package
from passona.warehouse.database import Database
from passona.warehouse.engines.engine import Workload
from passona.warehouse.ledger_table import Ledger, mismatched_reports
from passona.warehouse.retention import expired_campaigns
from passona.warehouse.run import PACKAGE_ROWS, Outcome, ReportOutcome, Run, write_package

VERB = "import-csv"


@dataclass(frozen=True)
class CsvRequest:
    """What the user asked of an import. `report`: what the files must be, None for what their headers say.

    `made_at`: when the files were made (UTC). `rejects`: file for lines that cannot be read.
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
    """The observer of an import."""

    def rows(self, report: Report, count: int) -> None: ...

    def notify(self, line: str) -> None: ...


@dataclass(frozen=True)
class _Parsed:
    """A file that was read whole: its contents, and the walk that they make."""

    file: CsvFile
    contents: Contents
    walk: Walk


class CsvImport:
    """One run of `import-csv`."""

    def __init__(self, settings: Settings, database: Database, request: CsvRequest, progress: CsvProgress) -> None:
        self._settings, self._database, self._request, self._progress = settings, database, request, progress
        self._run = Run(VERB, settings, database, ServerClock(Clock()), progress.notify)
        self._outcome, self._campaign_table = self._run.outcome, CampaignTable(database)
        self._outcome.campaigns = 1
        self._package = Package()
        self._notified: set[str] = set()

    def run(self) -> Outcome:
        self._database.prepare()
        with self._run.recorded():
            try:
                self._import()
            except RequestFailed as error:
                self._run.report_error(error, "import_failed")
            self._run.expire(self._run.clock.utc())
        return self._outcome

    def _report_error(self, error: PassonaError, event: str, report: Report | None = None) -> None:
        fields = {"report": report.name} if report else {}
        self._run.report_error(error, event, campaign=self._request.campaign_id, **fields)

    def _import(self) -> None:
        self._database.tune(Workload.WRITE)
        files = fetch_files(self._request.places, self._database.files, self._request.made_at)
        if self._request.rejects and len(files) > 1:
            raise ConfigurationError(f"--reject-to goes with a single file, got {len(files)}; import them one by one")
        forms = self._forms(files)
        account = self._settings.account
        self._campaign_table.read({}, [account], [account])
        ledger = Ledger(self._database.connection)
        (campaign,) = self._campaign_table.campaigns(account, [self._request.campaign_id])
        check_team([campaign] if campaign.team_id else [], self._settings.team_uuid)
        self._check_age(campaign, forms)
        for file, form in forms:
            task = Task(form.report, campaign, ledger.get((campaign.campaign_id, form.report.name)))
            try:
                self._take(task, self._parse(task, file, form))
            except FileRefused as refusal:
                self._outcome.reports[form.report.name].failed += 1
                self._report_error(refusal, "file_refused", form.report)
            except Interrupted:
                self._commit()  # files that were read whole are written before the run ends
                raise
            if self._package.rows >= PACKAGE_ROWS:
                self._commit()
        self._commit()

    def _commit(self) -> None:
        package, self._package = self._package, Package()
        if not package.empty:
            write_package(self._database, self._campaign_table, package, {self._settings.account: self._outcome})

    def _check_age(self, campaign: Campaign, forms: Sequence[tuple[CsvFile, Form]]) -> None:
        """Refuse a campaign that the next load would erase."""
        days, made_at = self._settings.retain_days, max((file.made_at for file, _ in forms), default=None)
        if expired_campaigns(self._database.connection, [campaign], days, self._run.clock.utc(), made_at):
            raise ConfigurationError(
                f"campaign {campaign.campaign_id} ended, or changed last, more than {days} days ago "
                "(sources.passona.retain_days), so its personal data are not to be kept: nothing was loaded; set more "
                "days, or leave its files out"
            )

    def _forms(self, files: Sequence[CsvFile]) -> list[tuple[CsvFile, Form]]:
        """Return the files that are reports, each with its form, in the order of REPORTS; report the others."""
        forms: dict[str, tuple[CsvFile, Form]] = {}
        for file in files:
            try:
                form = file.form(self._request.report, self._request.encoding)
            except FileRefused as refusal:
                self._report_error(refusal, "file_refused")
                continue
            other = forms.setdefault(form.report.name, (file, form))[0]
            if other is not file:
                raise ConfigurationError(
                    f"{other.name} and {file.name} are both {form.report.name}: expected one file for a report of a "
                    "campaign; give the one that counts, nothing was loaded"
                )
        ordered = [forms[name] for name in REPORTS if name in forms]
        self._outcome.reports = {form.report.name: ReportOutcome() for _, form in ordered}
        return ordered

    def _parse(self, task: Task, file: CsvFile, form: Form) -> _Parsed:
        """Read a file into a walk."""

        def spool() -> Spool:
            path = self._database.files / f"{form.report.name}.arrow"
            return Spool(form.report, task.campaign.campaign_id, path, file.made_at, self._run.privacy)

        def on_rows(count: int) -> None:
            self._progress.rows(form.report, count)

        contents = file.read(form, spool, on_rows, self._request.rejects)
        self._notify_form(file, form)
        walk = Walk(form.report, task.campaign.campaign_id, contents.spool, self._settings.timezone)
        self._run.report_drift("the header", form.report.name, walk.spool.new_keys, walk.spool.missing_keys)
        self._check_quality(file, walk, contents.quality)
        return _Parsed(file, contents, walk)

    def _notify_form(self, file: CsvFile, form: Form) -> None:
        delimiter = DELIMITERS.get(form.delimiter, form.delimiter)
        line = f"{file.name}: read as {form.encoding}, delimited by {delimiter}"
        if (form.encoding, form.delimiter) != ("utf-8", ",") and line not in self._notified:
            self._notified.add(line)
            self._progress.notify(line)

    def _check_quality(self, file: CsvFile, walk: Walk, quality: Quality) -> None:
        """Notify of what a spreadsheet did to a file."""
        if quality.is_mangled and not self._request.accept_mangled:
            walk.spool.drop()
            raise file.refused(
                f"{quality.losses}, as a spreadsheet leaves them (import the file as it was mailed; "
                "--accept-mangled takes it as it is)"
            )
        if quality.losses:
            recorded = "row_issues has what came, and " if quality.unread else ""
            self._progress.notify(f"{file.name}: {quality.losses}; {recorded}{walk.report.name} stays open")
        for line, count in (
            ("values in a spreadsheet's form, read as what they were", quality.restored),
            ("blank lines are skipped", quality.blank),
        ):
            if count:
                self._progress.notify(f"{file.name}: {line}: {count:,}")
        if quality.fills_a_sheet:
            self._progress.notify(
                f"{file.name}: {quality.rows:,} rows fill a whole sheet, so that some may have been cut off"
            )

    def _take(self, task: Task, parsed: _Parsed) -> None:
        """Add a file to the package: its ledger entry, and its rows if they have changed."""
        file, walk, outcome = parsed.file, parsed.walk, self._outcome.reports[task.report.name]
        outdated = is_outdated(task, file.made_at)
        if is_unchanged(task, walk, mismatched_reports(self._database.connection)):
            outcome.unchanged += 1
            if not outdated:
                self._package.entries.append(self._entry(task, parsed))
            walk.spool.drop()
            return
        if outdated:
            walk.spool.drop()
            raise file.refused(
                f"it was made {file.made_at:%Y-%m-%d %H:%M:%S} UTC, and the tables hold {task.report.name} as of "
                "a later time (if it was made later, say when with --made-at)"
            )
        entry = self._entry(task, parsed)
        total, settled = walk.row_count + walk.spool.suppressed + parsed.contents.rejected, entry.state == "settled"
        shrink = None if self._request.accept_shrink else check_csv_shrink(task, total, settled=settled)
        if shrink is not None:
            self._report_error(shrink, "report_held", task.report)
            outcome.held += 1
            entry = failure_entry(task, "held", shrink, 1, self._outcome.run_id, at=self._run.clock.utc())
            walk.spool.drop()
        else:
            outcome.loaded += 1
            self._package.add(walk, self._settings.account)
        self._package.entries.append(entry)

    def _entry(self, task: Task, parsed: _Parsed) -> Entry:
        """Return the ledger entry of a file. One that lost something, or is of unknown age, settles nothing."""
        file, contents, notify = parsed.file, parsed.contents, self._progress.notify
        entry = import_entry(task, parsed.walk, self._settings, self._outcome.run_id)
        if self._request.accept_shrink:
            entry = accept(entry)
        if contents.rejected:
            notify(f"{file.name}: {contents.rejected} lines cannot be read and are in {self._request.rejects}")
        if contents.quality.losses or contents.quality.fills_a_sheet:
            return replace(entry, state="open")
        if contents.rejected:
            return reopened(task, entry)
        if entry.state == "open":
            return entry
        if file.vouched:
            return entry
        entry = reopened(task, entry)
        if entry.state == "open":
            notify(
                f"{file.name}: {task.report.name} stays open, because only this copy's time tells when it was made; "
                "--made-at settles it"
            )
        return entry
