"""What was measured, as lines: in a table for people, and as a page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

HEADS = ("scenario", "ours", "other", "ratio", "bar", "")
# Where there is no terminal to tell: wide enough that no line of the table is broken.
WIDTH = 160


@dataclass(frozen=True)
class Bar:
    """What a ratio must be: `at_least` or at most `limit`."""

    limit: float
    at_least: bool = True

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"

    def met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.at_least else ratio <= self.limit


@dataclass(frozen=True)
class Line:
    """One line of the table. `met`: None where no bar is set. Units stand in the texts."""

    what: str
    ours: str = ""
    other: str = ""
    ratio: str = ""
    bar: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.met is None else "met" if self.met else "not met"
        return self.what, self.ours, self.other, self.ratio, self.bar, verdict


def compared(what: str, ours: float, other: float, unit: str, bar: Bar | None = None) -> Line:
    """A line that compares two figures: how often ours goes into the other, or, for `at most`, the reverse."""
    ratio = ours / other if bar and not bar.at_least else other / ours
    return Line(
        what,
        amount(ours, unit),
        amount(other, unit),
        f"{ratio:.2f}",
        str(bar) if bar else "",
        bar.met(ratio) if bar else None,
    )


def under(what: str, value: float, limit: float, unit: str, other: str = "") -> Line:
    """A line whose bar is a figure of its own."""
    return Line(what, amount(value, unit), other, bar=f"< {amount(limit, unit)}", met=value < limit)


def amount(value: float, unit: str) -> str:
    """A figure with its unit, with as many digits as mean something."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()


def show(lines: Sequence[Line]) -> None:
    """Prints the table."""
    table = Table(*HEADS, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[1:4]:
        column.justify = "right"
    for column in table.columns:
        column.no_wrap = column is not table.columns[0]
    for line in lines:
        table.add_row(*line.cells)
    Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False).print(table)


def as_markdown(lines: Iterable[Line]) -> str:
    """The lines as a table of a Markdown page."""
    alignment = ("---", "---:", "---:", "---:", "---", "---")
    rows = [HEADS, alignment, *(line.cells for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
