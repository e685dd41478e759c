"""The rows of one report at one moment, with the edits so far."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property

from passona_sandbox.edits import Edit
from passona_sandbox.reports import Row


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
        return edit.change(self._edited(before, edits - 1) if isinstance(before, int) else before, index)
