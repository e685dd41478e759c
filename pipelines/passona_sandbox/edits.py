"""Views of a report, and changes of its rows while it is being read, as a layer over the unchanged rows.

Offset paging over edited rows shifts as it does over a database that is being written to.
"""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

from passona_sandbox.dice import Order
from passona_sandbox.reports import Row


@dataclass(frozen=True)
class Edit:
    """One change of an ordered set of rows.

    `count`: number of rows before -> after. `before`: place after, number of rows before -> place before, or the new
    row.
    """

    count: Callable[[int], int] = lambda count: count
    before: Callable[[int, int], int | Row] = lambda index, _: index


def insert(place: int, row: Row) -> Edit:
    """Insert a row at a place; past the end: at the end."""

    def before(index: int, count: int) -> int | Row:
        at = min(place, count)
        return dict(row) if index == at else index - (index > at)

    return Edit(count=lambda count: count + 1, before=before)


def delete(place: int) -> Edit:
    """Delete the row at a place; past the end: none."""
    return Edit(count=lambda count: count - (place < count), before=lambda index, _: index + (index >= place))


def shuffle(die: int) -> Edit:
    return Edit(before=lambda index, count: Order(count, die).at(index))


@dataclass(frozen=True)
class View:
    """An immutable view of a report; rows are made on demand."""

    rows_before: int
    make: Callable[[int], Row]
    edits: tuple[Edit, ...] = ()
    page_size: int | None = None  # fixed, whatever the client asks for
    revision: Hashable = 0  # of the account: equal revisions, equal rows

    @cached_property
    def counts(self) -> tuple[int, ...]:
        """Numbers of rows: before the first edit, after it, and so on."""
        counts = [self.rows_before]
        for edit in self.edits:
            counts.append(edit.count(counts[-1]))
        return tuple(counts)

    @property
    def count(self) -> int:
        return self.counts[-1]

    def row(self, index: int) -> Row:
        """Return a new dict."""
        if not self.edits:
            return self.make(index)
        return self._edited(index, len(self.edits))

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Yield the rows of these places; places past the end are left out."""
        make = self.row if self.edits else self.make
        return map(make, range(start, self.count if stop is None else min(stop, self.count)))

    def _edited(self, index: int, edits: int) -> Row:
        if not edits:
            return self.make(index)
        edit = self.edits[edits - 1]
        before = edit.before(index, self.counts[edits - 1])
        return self._edited(before, edits - 1) if isinstance(before, int) else before
