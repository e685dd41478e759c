"""The screen: progress on a terminal, tables and JSON documents on standard output."""

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

from passona.masking.messages import escaped, printable
from passona.monitoring import logs
from passona.reports.definitions import REPORTS, Report
from passona.source.ledger import Task
from passona.source.pages import Page


class _Bars(Progress):
    """Progress bars, with a line above them while a request is retried."""

    def __init__(self, *columns: ProgressColumn, **options: Any) -> None:
        self._spinner = Spinner("dots")
        self._waits = False
        super().__init__(*columns, **options)

    def show_status(self, text: str) -> None:
        """Show this line; "" removes it."""
        self._spinner.update(text=plain(text))
        self._waits = bool(text)

    def get_renderables(self) -> Iterator[RenderableType]:
        if self._waits:
            yield self._spinner
        yield from super().get_renderables()


class LoadProgress:
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
        self.bars.show_status("")
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
        self.bars.show_status("")
        with self._lock:
            self._rows[report.name] += len(page.rows)
        self.bars.update(self._tasks[report.name], rows=self._rows[report.name])

    def walked(self, task: Task) -> None:
        self.bars.advance(self._tasks[task.report.name])

    def waiting(self, line: str) -> None:
        self.bars.show_status(line)

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
def progress_bars() -> Iterator[LoadProgress]:
    """Show the progress of a load while the block lasts."""
    with _terminal() as (console, enabled):
        watch = LoadProgress(console, enabled=enabled)
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


def plain(text: str) -> Text:
    """Return text from elsewhere as it stands: brackets in it are not markup."""
    return Text(printable(text))


def new_table(*headers: str, numbers: bool = True) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for position, header in enumerate(headers):
        table.add_column(header, justify="right" if numbers and position else "left", no_wrap=True)
    return table


def stdout_console() -> Console:
    """Return standard output, wide enough that no column is cut."""
    return Console(highlight=False, width=240)


def json_text(document: Any) -> str:
    return escaped(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
