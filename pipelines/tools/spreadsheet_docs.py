"""`make spellings`: docs/spreadsheets.md, what becomes of each .csv that went through a spreadsheet or a shell.

    tests/support/spreadsheet_files.py -> passona import-csv, in this process -> tables, ledger -> docs/spreadsheets.md

The outcome is read from the tables: the rows as they were mailed, no change at all, or the same rows with NULL and an
issue where a value is lost. Anything else would be a row that means something else than its sender did.
"""

from __future__ import annotations

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

Made by `make spellings`: each of these files is imported into a warehouse that holds the report as it was mailed, \
with a `--made-at` that vouches for it, and the outcome is read from the tables.

- **loaded exactly**: the rows, their `row_id` and the digest are those of the file as it was mailed, so a file that \
went through a spreadsheet unharmed and the API agree.
- **refused**: exit code 4, one line, and nothing is changed. `--reject-to NEW_FILE` takes single lines aside; \
`--accept-mangled` takes a file of which most phones, most ids or all times are lost.
- **recorded**: values that are lost are NULL, and `row_issues` holds what came; everything else is exact. The report \
stays open, whatever `--made-at` says, so that the next load brings what was lost.

Times are not guessed: 08/06/2020 is in June here and in August elsewhere, and its seconds are gone.

"""
_WORDS = {"exact": "loaded exactly", "refused": "refused", "recorded": "recorded"}


@dataclass
class Result:
    """What became of a file. `outcome`: "different" where it is none of those that may be. `state`: of the ledger."""

    file: File
    outcome: str
    said: list[str]
    state: str = "settled"


@dataclass
class _Lines:
    said: list[str] = field(default_factory=list)

    def rows(self, report: Report, count: int) -> None: ...

    def notify(self, line: str) -> None:
        self.said.append(line)


class Trial:
    """A warehouse with the report as it was mailed, into which files are imported one after the other."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._warehouse = folder / "warehouse.duckdb"
        self._made_at = datetime(2026, 1, 1, tzinfo=UTC)
        logging.getLogger("passona").addHandler(logging.NullHandler())  # what is said is in the outcome
        self._import(_GOOD)
        self._rows, _ = self._content()

    def result(self, file: File) -> Result:
        """What becomes of a file; the warehouse is as before then."""
        # Older than what the tables hold: the same rows are no change, and nothing else is taken.
        outcome, said = self._import(file, older=True)
        if outcome.reports and outcome.reports["clicks"].unchanged:
            return Result(file, "exact", said)
        if not any("it was made" in line for line in said):
            return Result(file, "refused" if outcome.exit_code == Exit.FAILED else "different", said)
        outcome, said = self._import(file)
        recorded = outcome.exit_code == Exit.OK and _are_recorded(self._rows, *self._content())
        ((state,),) = self._read("SELECT state FROM passona.report_ledger")
        self._import(_GOOD)
        return Result(file, "recorded" if recorded else "different", said, state)

    def _import(self, file: File, *, older: bool = False) -> tuple[Outcome, list[str]]:
        place = self._folder / file.name
        place.write_bytes(file.content)
        self._made_at += timedelta(hours=0 if older else 1)
        made_at = self._made_at - timedelta(minutes=int(older))
        lines = _Lines()
        request = CsvRequest((str(place),), CAMPAIGN, made_at=made_at, accept_shrink=True, **file.options)
        with closing(open_database(self._warehouse, 0, lines.notify)) as database:
            outcome = CsvImport(Settings("none"), database, request, lines).run()
        place.unlink()
        return outcome, lines.said + outcome.errors

    def _content(self) -> tuple[Counter[Any], Counter[Any]]:
        rows = self._read(f"SELECT {_COLUMNS} FROM passona.clicks")  # noqa: S608  # columns of the contract
        return Counter(rows), Counter(self._read("SELECT column_name, issue FROM passona.row_issues"))

    def _read(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self._warehouse), read_only=True) as connection:
            return connection.execute(sql).fetchall()


def _are_recorded(good: Counter[Any], rows: Counter[Any], issues: Counter[Any]) -> bool:
    """Whether each row is a good one, with NULL for some values, and there is an issue for each of these."""
    left = list(good.elements())
    nulls = 0
    for row in rows.elements():
        fitting = [known for known in left if all(new in (old, None) for old, new in zip(known, row, strict=True))]
        if not fitting:
            return False
        known = max(fitting, key=lambda known: sum(old == new for old, new in zip(known, row, strict=True)))
        left.remove(known)
        nulls += sum(old != new for old, new in zip(known, row, strict=True))
    return not left and nulls == issues.total()


def results() -> Iterator[Result]:
    """What becomes of every file of the list."""
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial(Path(folder))
        for file in FILES:
            yield trial.result(file)


def page(found: list[Result]) -> str:
    """The page, of what became of the files."""
    counts = Counter(result.outcome for result in found)
    summary = ", ".join(f"{counts[outcome]} {word}" for outcome, word in _WORDS.items())
    lines = [
        f"| {_shown(result.file.what)} | {result.file.left_by} | {_WORDS[result.outcome]} "
        f"| {'<br>'.join(_shown(line) for line in result.said)} |\n"
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
