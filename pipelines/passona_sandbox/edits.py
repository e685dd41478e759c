"""Changes of a report's rows while it is being read, laid over the rows without touching them.

Each edit says how many rows there are after it, and where a place of the changed order lies in the order
before it. Offset paging over edited rows shifts as it does over a database that is being written to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from passona_sandbox.dice import Order
from passona_sandbox.reports import Row


class Edit(Protocol):
    """One change of an ordered set of rows."""

    def count(self, before: int) -> int:
        """Tell how many rows there are, given how many there were."""

    def before(self, index: int, count: int) -> int | Row:
        """Find the place that `index` had among the `count` rows before, or the row that is new there."""

    def change(self, row: Row, index: int) -> Row:
        """Give the row of this place (after the edit) as the edit leaves it."""


@dataclass(frozen=True)
class Insert:
    """A row arrives at a place (past the end: at the end); those after it move on."""

    index: int
    row: Row

    def count(self, before: int) -> int:
        """One more."""
        return before + 1

    def before(self, index: int, count: int) -> int | Row:
        """Shift what lies behind."""
        place = min(self.index, count)
        return dict(self.row) if index == place else index - (index > place)

    def change(self, row: Row, index: int) -> Row:
        """Leave rows as they are."""
        del index
        return row


@dataclass(frozen=True)
class Delete:
    """The row at a place leaves (past the end: none does); those after it move up."""

    index: int

    def count(self, before: int) -> int:
        """One fewer, if there was such a row."""
        return before - (self.index < before)

    def before(self, index: int, count: int) -> int | Row:
        """Shift what lies behind."""
        del count
        return index + (index >= self.index)

    def change(self, row: Row, index: int) -> Row:
        """Leave rows as they are."""
        del index
        return row


@dataclass(frozen=True)
class Shuffle:
    """All rows take another order."""

    die: int

    def count(self, before: int) -> int:
        """As many as before."""
        return before

    def before(self, index: int, count: int) -> int | Row:
        """Look the place up in the new order."""
        return Order(count, self.die).at(index)

    def change(self, row: Row, index: int) -> Row:
        """Leave rows as they are."""
        del index
        return row


@dataclass(frozen=True)
class StatusChange:
    """The row at a place takes another value under a key; number and order stay."""

    index: int
    key: str
    to: str

    def count(self, before: int) -> int:
        """As many as before."""
        return before

    def before(self, index: int, count: int) -> int | Row:
        """Leave places as they are."""
        del count
        return index

    def change(self, row: Row, index: int) -> Row:
        """Set the value in that one row."""
        return {**row, self.key: self.to} if index == self.index else row
