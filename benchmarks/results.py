"""Measurements as lines of a table, for the terminal and for a Markdown page."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

HEADINGS = ("scenario", "ours", "other", "ratio", "bar", "")
# Without a terminal: wide enough that no line of the table wraps.
WIDTH = 160


@dataclass(frozen=True)
class Bar:
    """The required ratio: at least `limit`, or at most."""

    limit: float
    at_least: bool = True

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.limit:g}"

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.at_least else ratio <= self.limit


@dataclass(frozen=True)
class Line:
    """One line of the table; all texts include their units. `met` is None if there is no bar."""

    scenario: str
    ours: str = ""
    other: str = ""
    ratio: str = ""
    bar: str = ""
    met: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        verdict = "" if self.met is None else "met" if self.met else "not met"
        return self.scenario, self.ours, self.other, self.ratio, self.bar, verdict


def compared(scenario: str, ours: float, other: float, unit: str, bar: Bar | None = None) -> Line:
    """Compare two figures: other / ours, or ours / other if the bar is an upper limit."""
    ratio = ours / other if bar and not bar.at_least else other / ours
    return Line(
        scenario,
        amount(ours, unit),
        amount(other, unit),
        f"{ratio:.2f}",
        str(bar) if bar else "",
        bar.is_met(ratio) if bar else None,
    )


def below(scenario: str, value: float, limit: float, unit: str, other: str = "") -> Line:
    """Compare one figure with an absolute limit."""
    return Line(scenario, amount(value, unit), other, bar=f"< {amount(limit, unit)}", met=value < limit)


def amount(value: float, unit: str) -> str:
    """Format a figure with its unit and as many digits as are significant."""
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 10 else 2 if value >= 0.1 else 3
    return f"{value:,.{digits}f} {unit}".rstrip()


def show(lines: Sequence[Line]) -> None:
    """Print the table."""
    table = Table(*HEADINGS, box=None, pad_edge=False, header_style="bold")
    for column in table.columns[1:4]:
        column.justify = "right"
    for column in table.columns[1:]:
        column.no_wrap = True
    for line in lines:
        table.add_row(*line.cells)
    Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False, markup=False).print(table)


def as_markdown(lines: Iterable[Line]) -> str:
    """Format the lines as a Markdown table."""
    alignment = ("---", "---:", "---:", "---:", "---", "---")
    rows = [HEADINGS, alignment, *(line.cells for line in lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)
