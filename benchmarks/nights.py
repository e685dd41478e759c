"""The page docs/nights.md: thirty nights of a live account, seven of them bad, and then the truth.

    python benchmarks/nights.py

Each night is one load, as `passona load` does it from a timer; account and load go by one clock, which leaps
from night to night. Ends with 1 if any table differs from the account, or if a good night took a request
that nothing explains.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.night_truth import differences, unexplained  # noqa: E402
from support.nights import AHEAD, DAY, DOWN, EMPTY, FULL, HALF, KILLED, REVOKED, Night, Nights  # noqa: E402  # found by the line above
from support.warehouses import Warehouse  # noqa: E402

PAGE = ROOT / "docs" / "nights.md"
NIGHTS = 30
# At two in the morning, UTC; the clocks go forward in the 25th night.
FIRST = datetime(2026, 3, 5, 2, tzinfo=UTC)
# A dozen campaigns a month is what a busy sender has; with so many rows a report has up to three pages.
CAMPAIGNS, ROWS = 12, 24_000
# Never the last night: after that one the warehouse has to be the truth.
BAD_NIGHTS = {5: DOWN, 10: REVOKED, 12: EMPTY, 15: FULL, 17: AHEAD, 20: KILLED, 25: HALF}
# The night on which a draft is found sent for the first time.
SENT = 20
HEADINGS = (
    "night", "campaigns listed", "reports due", "requests", "reports loaded", "rows", "reports unchanged", "failed",
    "settled", "exit", "what was bad",
)  # fmt: skip


def main() -> int:
    """Passes the nights, prints a line for each, and writes the page."""
    progress = Console(stderr=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        sent_at = FIRST + (SENT - 2) * DAY + timedelta(hours=11)
        nights = Nights(Path(folder) / "warehouse.duckdb", FIRST, CAMPAIGNS, ROWS, sent_at)
        for number in range(1, NIGHTS + 1):
            night = nights.pass_night(FIRST + (number - 1) * DAY, BAD_NIGHTS.get(number, ""))
            progress.print(f"{number:2} of {NIGHTS}  {night.at:%Y-%m-%d}  {night.requests} requests  {night.bad}")
        wrong = [*differences(nights), *unexplained(nights)]
        held = count(nights)
    Console(width=None if sys.stdout.isatty() else 180).print(table(nights.nights))
    for line in wrong:
        progress.print(line, style="red")
    if not wrong:
        PAGE.write_text(page(nights.nights, held))
        progress.print(f"every row is as it should be; written to {PAGE.relative_to(ROOT)}")
    return 1 if wrong else 0


def cells(night: Night) -> tuple[str, ...]:
    due = "-" if night.due is None else str(night.due)
    numbers = (night.requests, night.loaded, f"{night.rows:,}", night.unchanged, night.failed, night.settled)
    code = "killed" if night.code < 0 else str(night.code)
    return (f"{night.at:%Y-%m-%d}", str(night.campaigns), due, *map(str, numbers), code, night.bad)


def table(nights: Sequence[Night]) -> Table:
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in HEADINGS:
        made.add_column(heading, justify="left" if heading in {"night", "what was bad"} else "right")
    for night in nights:
        made.add_row(*cells(night))
    return made


def count(nights: Nights) -> tuple[int, int]:
    """Campaigns and rows that were compared."""
    warehouse = Warehouse(nights.path)
    tables = ("clicks", "delivery", "alt_delivery", "recipient", "sent", "unsent")
    return warehouse.count("campaigns"), sum(map(warehouse.count, tables))


def page(nights: Sequence[Night], held: tuple[int, int]) -> str:
    good = [night for night in nights[1:] if not night.bad]
    lines = [
        "| " + " | ".join(HEADINGS) + " |",
        "| --- |" + " ---: |" * (len(HEADINGS) - 2) + " --- |",
        *("| " + " | ".join(cells(night)) + " |" for night in nights),
    ]
    return TEXT.format(
        version=version("passona-warehouse"),
        nights=len(nights),
        campaigns=held[0],
        rows=f"{held[1]:,}",
        first=nights[0].requests,
        least=min(night.requests for night in good),
        most=max(night.requests for night in good),
        sent=SENT,
        table="\n".join(lines),
    )


TEXT = """# Thirty nights

<!-- Made by `make nights` (benchmarks/nights.py); not written by hand. -->

A live account of the sandbox (`passona sandbox --live`), and one `passona load` a night, both by one clock that
leaps from night to night: campaigns are created, send for hours, are given up after two days, are clicked for four
weeks, are deleted or leave the list. One more is a draft without any date, which is sent on the day before night
{sent}. Seven nights are bad: the server is down, the token is revoked, the list is empty because the token's team is
another, the disk is full, the machine's clock is 400 days ahead, the load is killed with -9 while it writes, half of
the reports are answered with 500. The clocks go forward on 29 March.

After the last night every row of {campaigns} campaigns, {rows} rows in all, is compared with what the account has
at that instant; of campaigns that were deleted, with what it had when they were last there. Nothing differs, or
this page would not have been written.

- **requests** are those that came to the server. On a good night they are the pages of the campaign list and the
  pages of the reports that are due (500 rows a page), and not one more; that is checked for each night. The first
  night reads what is ten weeks old, {first} requests; after that a good night takes {least} to {most}.
- **due** are the reports that may still change: of a campaign that has not started the recipients, of a draft
  without dates all; of the others five reports until three days after their end, the clicks until thirty days after
  the last one. **settled** are
  those that were found final that night: they are never asked for again, which is checked, too.
- **unchanged** reports were read, and are the same as before: nothing is written.
- On the night of the empty list the shrink guard holds it: every campaign stays listed, and all that is due is due
  the next night. On the night of the wrong clock the server's counts, and the night is like any other.
- A night in which half of the reports fail takes many requests, because each of the failing ones is tried eight
  times, in case the server recovers.
- **failed** counts what the ledger says is not loaded as it should be. It is due the next night, unless its campaign
  has left the list by then: nobody can ask for it any more, its old rows stay, and the ledger goes on saying so.
- Versions: passona-warehouse {version}.

{table}
"""


if __name__ == "__main__":
    sys.exit(main())
