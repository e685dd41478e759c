"""Changes of a report's rows while it is being read, as a layer over the unchanged rows.

Offset paging over edited rows shifts as it does over a database that is being written to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from passona_sandbox.dice import Order
from passona_sandbox.reports import Row


@dataclass(frozen=True)
class Edit:
    """One change of an ordered set of rows.

    `count`: number of rows before -> after. `before`: place after, number of rows before -> place before, or the new
    row. `change`: row, place after -> row.
    """

    count: Callable[[int], int] = lambda count: count
    before: Callable[[int, int], int | Row] = lambda index, _: index
    change: Callable[[Row, int], Row] = lambda row, _: row


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
    """Put all rows in another order."""
    return Edit(before=lambda index, count: Order(count, die).at(index))


def set_value(place: int, key: str, value: str) -> Edit:
    """Change one value of the row at a place."""
    return Edit(change=lambda row, index: {**row, key: value} if index == place else row)
