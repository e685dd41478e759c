"""`make spellings`: docs/spreadsheets.md, the outcome for each .csv that went through a spreadsheet or a shell.

    tests/support/spreadsheet_files.py -> passona import-csv, in this process -> tables, ledger -> docs/spreadsheets.md

The outcome is read from the tables: the rows as they were mailed, no change at all, or the same rows with NULL and an
issue for each lost value. Any other outcome would be wrong data.
"""

import logging
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from passona.config.settings import Settings
from passona.errors import Exit
from passona.reports.definitions import CLICKS, Report
from passona.warehouse.csv_import import CsvImport, CsvRequest
from passona.warehouse.database import open_database
from passona.warehouse.run import Outcome

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from support.spreadsheet_files import FILES, GOOD, File  # noqa: E402  # found by the line above

PAGE = ROOT / "docs/spreadsheets.md"
CAMPAIGN = "11111111-1111-4111-8111-111111111111"
_GOOD = File("", "", GOOD, "exact")
_COLUMNS = ", ".join(column.name for column in CLICKS.columns)
_INTRODUCTION = """\
# A .csv that went through a spreadsheet

Made by `make spellings`: each of these files is imported, with `--made-at`, into a warehouse that holds the report as \
it was mailed, and the outcome is read from the tables.

- **loaded exactly**: the rows, their `row_id` and the digest are those of the file as it was mailed, so a file that \
went through a spreadsheet unharmed and the API agree.
- **refused**: exit code 4, one line, and nothing is changed. `--reject-to NEW_FILE` sets single lines aside; \
`--accept-mangled` accepts a file that has lost most phones, most ids or all times.
- **recorded**: lost values are NULL, and `row_issues` holds their text; everything else is exact. The report stays \
open, whatever `--made-at` says, so that the next load restores the lost values.

Times are not guessed: 08/06/2020 is in June here and in August elsewhere, and its seconds are gone.

"""
_WORDS = {"exact": "loaded exactly", "refused": "refused", "recorded": "recorded"}


@dataclass
class Result:
    """The outcome for a file; "different" if it is none of the allowed ones. `state`: in the ledger."""

    file: File
    outcome: str
    lines: list[str]
    state: str = "settled"


@dataclass
class _Progress:
    lines: list[str] = field(default_factory=list)

    def rows(self, report: Report, count: int) -> None: ...

    def notify(self, line: str) -> None:
        self.lines.append(line)


class Trial:
    """A warehouse with the report as it was mailed, into which files are imported one after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warehouse = folder / "warehouse.duckdb"
        self._made_at = datetime(2026, 1, 1, tzinfo=UTC)
        logging.getLogger("passona").addHandler(logging.NullHandler())  # the outcome has all lines
        self._import(_GOOD)
        self._rows, _ = self._content()

    def result(self, file: File) -> Result:
        """Import a file, return the outcome, and restore the warehouse."""
        # Older than the tables: the same rows are no change, and other rows are refused.
        outcome, lines = self._import(file, older=True)
        if outcome.reports and outcome.reports["clicks"].unchanged:
            return Result(file, "exact", lines)
        if not any("it was made" in line for line in lines):
            return Result(file, "refused" if outcome.exit_code == Exit.FAILED else "different", lines)
        outcome, lines = self._import(file)
        recorded = outcome.exit_code == Exit.OK and _are_recorded(self._rows, *self._content())
        ((state,),) = self._read("SELECT state FROM passona.report_ledger")
        self._import(_GOOD)
        return Result(file, "recorded" if recorded else "different", lines, state)

    def _import(self, file: File, *, older: bool = False) -> tuple[Outcome, list[str]]:
        place = self._folder / file.name
        place.write_bytes(file.content)
        self._made_at += timedelta(hours=0 if older else 1)
        made_at = self._made_at - timedelta(minutes=int(older))
        progress = _Progress()
        request = CsvRequest((str(place),), CAMPAIGN, made_at=made_at, accept_shrink=True, **file.options)
        with closing(open_database(self._warehouse, 0, progress.notify)) as database:
            outcome = CsvImport(Settings("none"), database, request, progress).run()
        place.unlink()
        return outcome, progress.lines + outcome.errors

    def _content(self) -> tuple[Counter[Any], Counter[Any]]:
        rows = self._read(f"SELECT {_COLUMNS} FROM passona.clicks")  # noqa: S608  # columns of the contract
        return Counter(rows), Counter(self._read("SELECT column_name, issue FROM passona.row_issues"))

    def _read(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self._warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def _are_recorded(good: Counter[Any], rows: Counter[Any], issues: Counter[Any]) -> bool:
    """Return True if each row is a good one with NULL for some values, and each of these has an issue."""
    remaining = list(good.elements())
    nulls = 0
    for row in rows.elements():
        fitting = [known for known in remaining if all(new in (old, None) for old, new in zip(known, row, strict=True))]
        if not fitting:
            return False
        known = max(fitting, key=lambda known: sum(old == new for old, new in zip(known, row, strict=True)))
        remaining.remove(known)
        nulls += sum(old != new for old, new in zip(known, row, strict=True))
    return not remaining and nulls == issues.total()


def results() -> Iterator[Result]:
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        for file in FILES:
            yield trial.result(file)


def page(found: list[Result]) -> str:
    """Return the page for these results."""
    counts = Counter(result.outcome for result in found)
    summary = ", ".join(f"{counts[outcome]} {word}" for outcome, word in _WORDS.items())
    lines = [
        f"| {_shown(result.file.what)} | {result.file.left_by} | {_WORDS[result.outcome]} "
        f"| {'<br>'.join(_shown(line) for line in result.lines)} |\n"
        for result in found
    ]
    head = "| file | left by | outcome | what the program says |\n|---|---|---|---|\n"
    return f"{_INTRODUCTION}{len(found)} files: {summary}.\n\n{head}{''.join(lines)}"


def _shown(line: str) -> str:
    return line.replace("; nothing of it is loaded, the old rows stay", "").replace("|", "\N{BROKEN BAR}")


def main() -> int:
    PAGE.write_text(page(list(results())), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
