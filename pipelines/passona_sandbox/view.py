"""The rows of one report as they are at one moment: rows given or made up, with the edits so far."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

from passona_sandbox.edits import Edit
from passona_sandbox.reports import Row


@dataclass(frozen=True)
class View:
    """An unchanging look at a report; rows are made when asked for."""

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
        """The number of rows now."""
        return self.counts[-1]

    def row(self, index: int) -> Row:
        """Give the row at this place (from 0): a dict of the caller's own."""
        if not self.edits:
            return self.make(index)
        return self._edited(index, len(self.edits))

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Row]:
        """Give the rows of these places, lazily; places past the end are left out."""
        make = self.row if self.edits else self.make
        return map(make, range(start, self.count if stop is None else min(stop, self.count)))

    def _edited(self, index: int, edits: int) -> Row:
        if not edits:
            return self.make(index)
        edit = self.edits[edits - 1]
        found = edit.before(index, self.counts[edits - 1])
        return edit.change(self._edited(found, edits - 1) if isinstance(found, int) else found, index)
