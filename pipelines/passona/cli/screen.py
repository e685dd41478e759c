"""The screen: progress on a terminal, tables and JSON documents on standard output."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click
import orjson
from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from passona.analytics.publish import Published, Unpublished
from passona.analytics.transform import SCHEMA, Transformed
from passona.config.address import Address
from passona.errors import Exit
from passona.masking.messages import counted, escaped, printable
from passona.monitoring import logs
from passona.monitoring.overview import NEVER_LOADED, Overview
from passona.reports.definitions import REPORTS, Report
from passona.source.ledger import Task
from passona.source.pages import Page
from passona.warehouse.mail_requests import Mailing
from passona.warehouse.run import Outcome, ReportOutcome


class _Bars(Progress):
    """Progress bars, with a line above them while a request is retried."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        self._spinner = Spinner("dots")
        self._waits = False
        super().__init__(*columns, **options)

    def wait_for(self, text: str) -> None:
        """Show this line; "" removes it."""
        self._spinner.update(text=plain(text))
        self._waits = bool(text)

    def get_renderables(self) -> Iterator[RenderableType]:
        if self._waits:
            yield self._spinner
        yield from super().get_renderables()


class Watch:
    """Progress of a load on stderr: on a terminal a bar for each report, elsewhere nothing."""

    def __init__(self, console: Console, *, enabled: bool) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, int] = dict.fromkeys(REPORTS, 0)
        self._tasks: dict[str, TaskID] = {}
        self.bars = _Bars(
            TextColumn("{task.description:<13}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rows]:>11,} rows"),
            TimeElapsedColumn(),
            console=console,
            disable=not enabled,
            transient=True,
        )

    def planned(self, tasks: Sequence[Task]) -> None:
        self.bars.wait_for("")
        for name in REPORTS:
            count = sum(task.report.name == name for task in tasks)
            if count:
                self._tasks[name] = self.bars.add_task(name, total=count, rows=0)

    def rows(self, report: Report, count: int) -> None:
        """Show how many rows of a report's file are read."""
        if report.name not in self._tasks:
            self._tasks[report.name] = self.bars.add_task(report.name, total=1, rows=0)
        self.bars.update(self._tasks[report.name], rows=count)

    def page(self, report: Report, page: Page) -> None:
        self.bars.wait_for("")
        with self._lock:
            self._rows[report.name] += len(page.rows)
        self.bars.update(self._tasks[report.name], rows=self._rows[report.name])

    def walked(self, task: Task) -> None:
        self.bars.advance(self._tasks[task.report.name])

    def waiting(self, line: str) -> None:
        self.bars.wait_for(line)

    def notify(self, line: str) -> None:
        logs.notify(line)


@contextmanager
def _terminal() -> Iterator[tuple[Console, bool]]:
    """Yield standard error, and whether progress may be shown there; then logged lines appear above it.

    FORCE_COLOR does not make a log file a terminal.
    """
    console = Console(stderr=True, force_terminal=sys.stderr.isatty())
    if not console.is_terminal or logs.is_json():
        yield console, False
        return
    with logs.written(lambda line: console.print(plain(line), soft_wrap=True)):
        yield console, True


@contextmanager
def progress_bars() -> Iterator[Watch]:
    """Show the progress of a load while the block lasts."""
    with _terminal() as (console, enabled):
        watch = Watch(console, enabled=enabled)
        with watch.bars:
            yield watch


@contextmanager
def spinner(text: str) -> Iterator[Callable[[str], None]]:
    """Show a line with a spinner and the seconds on a terminal; the yielded function changes its text."""
    columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
    with (
        _terminal() as (console, enabled),
        Progress(*columns, console=console, transient=True, disable=not enabled) as progress,
    ):
        task = progress.add_task(text, total=None)
        yield lambda text: progress.update(task, description=printable(text))


def print_result(document: Any, print_table: Callable[[], None], *, as_json: bool) -> None:
    """Print a verb's result: the document as JSON, or the table for people."""
    if as_json:
        click.echo(json_text(document))
    else:
        print_table()


def print_outcome(outcome: Outcome, address: Address) -> None:
    """Print the table of a load, unless an error ended it before the first report."""
    if outcome.errors and not any(report.any for report in outcome.reports.values()):
        return
    table = new_table("report", "loaded", "unchanged", "failed", "held", "pages", "rows", "field rows", "issues")
    counts = {name: _counts(report).values() for name, report in outcome.reports.items()}
    for name, numbers in counts.items():
        table.add_row(name, *(f"{number:,}" for number in numbers))
    table.add_section()
    table.add_row("all", *(f"{sum(column):,}" for column in zip(*counts.values(), strict=True)))
    console = wide()
    console.print(table)
    summary = (
        f"{counted(outcome.campaigns, 'campaign')}, {counted(outcome.requests, 'request')}, "
        f"{outcome.seconds:.1f} s, {outcome.word}: {address}"
    )
    console.print(plain(summary), soft_wrap=True)


def _counts(report: ReportOutcome) -> dict[str, int]:
    return {
        "loaded": report.loaded,
        "unchanged": report.unchanged,
        "failed": report.failed,
        "held": report.held,
        "pages": report.pages,
        **{name: report.counts[name] for name in ("rows", "field_rows", "issues")},
    }


def outcome_document(
    outcome: Outcome,
    code: Exit,
    address: Address,
    transformed: Transformed | None = None,
    published: Published | Unpublished | None = None,
) -> dict[str, Any]:
    """Return how a load and the steps after it ended. `code`: the exit code of the command."""
    document = {
        "run_id": outcome.run_id,
        "outcome": code.word,
        "exit_code": int(code),
        "warehouse": str(address),
        "campaigns": outcome.campaigns,
        "requests": outcome.requests,
        "seconds": round(outcome.seconds, 3),
        "reports": {name: _counts(report) for name, report in outcome.reports.items()},
        "erased": outcome.erased,
        "drift": outcome.drift,
        "errors": outcome.errors,
    }
    if transformed:
        document["transform"] = transformed_document(transformed, address)
    if published:
        document["publish"] = published_document(published)
    return document


def print_transformed(outcome: Transformed, address: Address) -> None:
    """Print the table of a transformation."""
    table = new_table("built", "tests passed", "warnings", "failed", "skipped", "seconds")
    numbers = [outcome.built, outcome.passed, len(outcome.warnings), len(outcome.failures), outcome.skipped]
    table.add_row(*(f"{number:,}" for number in numbers), f"{outcome.seconds:.1f}")
    console = wide()
    console.print(table)
    console.print(f"{outcome.word}: schema {SCHEMA} of {address}", soft_wrap=True, markup=False)


def transformed_document(outcome: Transformed, address: Address) -> dict[str, Any]:
    return {
        "outcome": outcome.word,
        "exit_code": int(outcome.exit_code),
        "warehouse": str(address),
        "built": outcome.built,
        "passed": outcome.passed,
        "skipped": outcome.skipped,
        "seconds": round(outcome.seconds, 3),
        "warnings": outcome.warnings,
        "failures": outcome.failures,
    }


def print_published(published: Published) -> None:
    how = published.privacy or (
        "cloned" if published.cloned else "copied" if published.left_out is None else "marts alone"
    )
    console = wide()
    console.print(
        plain(
            f"{published.path}: published, {how}, {published.bytes / 1_000_000:.1f} MB, "
            f"{counted(published.reports, 'report')} agree with the ledger, {published.seconds:.1f} s"
        ),
        soft_wrap=True,
    )
    if published.left_out:
        what = "left out, because you made it" if published.privacy else "left out"
        console.print(plain(f"{what}: {', '.join(published.left_out)}"), soft_wrap=True)


def published_document(published: Published | Unpublished) -> dict[str, Any]:
    if isinstance(published, Unpublished):
        return {"outcome": published.word, "exit_code": int(published.exit_code), "error": published.reason}
    return {
        "outcome": "ok",
        "exit_code": 0,
        "path": str(published.path),
        "bytes": published.bytes,
        "cloned": published.cloned,
        "reports": published.reports,
        "seconds": round(published.seconds, 3),
        "left_out": published.left_out,
        "privacy": published.privacy,
    }


def print_overview(overview: Overview) -> None:
    table = new_table("campaign", "name", "ends", *REPORTS, numbers=False)
    for campaign in overview.campaigns:
        ends = f"{campaign.expiry_date:%Y-%m-%d}" if campaign.expiry_date else ""
        states = (overview.state(campaign, name).replace(NEVER_LOADED, "-") for name in REPORTS)
        table.add_row(campaign.campaign_id, plain(campaign.name or ""), ends, *states)
    console = wide()
    console.print(table)
    console.print(f"\n{counted(len(overview.campaigns), 'campaign')}; - is never loaded")


def overview_document(overview: Overview) -> list[dict[str, Any]]:
    return [
        {
            "campaign_id": campaign.campaign_id,
            "name": campaign.name,
            "expiry_date": campaign.expiry_date,
            "listed": campaign.listed,
            "reports": {name: overview.state(campaign, name) for name in REPORTS},
        }
        for campaign in overview.campaigns
    ]


def print_mailings(mailings: Sequence[Mailing], *, as_json: bool) -> None:
    """Print the fate of each report that was requested by mail."""
    if as_json:
        names = ("campaign_id", "report", "fate", "asked_at", "said")
        click.echo(json_text([{name: getattr(mailing, name) for name in names} for mailing in mailings]))
        return
    table = new_table("campaign", "report", "fate", "asked at", numbers=False)
    for mailing in mailings:
        asked_at = f"{mailing.asked_at:%Y-%m-%d %H:%M:%S} UTC" if mailing.asked_at else ""
        table.add_row(mailing.campaign_id, mailing.report, mailing.fate, asked_at)
    wide().print(table)


def plain(text: str) -> Text:
    """Return text from elsewhere as it stands: brackets in it are not markup."""
    return Text(printable(text))


def new_table(*headers: str, numbers: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, header in enumerate(headers):
        table.add_column(header, justify="right" if numbers and position else "left", no_wrap=True)
    return table


def wide() -> Console:
    """Return standard output, wide enough that no column is cut."""
    return Console(highlight=False, width=240)


def json_text(document: Any) -> str:
    return escaped(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
