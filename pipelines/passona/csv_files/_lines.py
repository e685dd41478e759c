"""A .csv line by line, slowly: which line cannot be read, and why. Asked only where the fast reader stumbled.

    text -> lines -> records, each good or with its fault

Python's own reader, strict: a quote that is not closed where its value ends is a fault. Behind a line that
cannot be read the next line begins anew, so that one open quote costs one line.
"""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from passona.csv_files._text import Text
from passona.csv_files.form import Form, plain_name

# A row of a report is some hundred bytes, the longest text message with all its fields some thousand. What
# goes on for megabytes is a quote that is never closed, or no report; and such a row is held in memory whole.
LARGEST_ROW = 4 * 1024 * 1024
_ENDS = ("\n", "\r")
_NO_TEXT = re.compile("[\udc80-\udcff]")  # what "surrogateescape" makes of bytes that are no UTF-8


@dataclass(frozen=True)
class Line:
    """One record's text, or that of the header. `number`: of its first line, from 1.

    `fault`: why it cannot be read, None if it can.
    """

    number: int
    text: str
    fault: str | None = None


class _Lines:
    """Physical lines with their numbers; those of a record that failed can be given back, but for the first."""

    def __init__(self, text: io.TextIOBase, number: int) -> None:
        self._text = text
        self._waiting: deque[str] = deque()
        self.taken: list[str] = []
        self._size = 0
        self.number = number
        # Whether the next piece goes on with a line that was too long to be read at once.
        self.torn = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self._size > LARGEST_ROW:
            raise StopIteration  # the reader takes it for the end within a quoted value
        line = self._waiting.popleft() if self._waiting else self._text.readline(LARGEST_ROW + 1)
        if not line:
            raise StopIteration
        self.taken.append(line)
        self._size += len(line)
        return line

    def begin(self) -> None:
        self.number += sum(line.endswith(_ENDS) for line in self.taken)
        self.torn = bool(self.taken) and not self.taken[-1].endswith(_ENDS)
        self.taken, self._size = [], 0

    def give_back(self) -> None:
        """Only the first line of what was taken stays taken."""
        self._waiting.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]

    @property
    def too_long(self) -> bool:
        return self._size > LARGEST_ROW


def lines_of(text: Text, form: Form) -> Iterator[Line]:
    """The header and the records, in order; blank lines are left out."""
    raw: Any = _Raw(text)  # the stubs want more of a stream than to be read
    stream = io.TextIOWrapper(io.BufferedReader(raw), encoding="utf-8", errors="surrogateescape", newline="")
    lines = _Lines(stream, 1 + form.above)
    reader = csv.reader(lines, delimiter=form.delimiter, strict=True)
    names = {plain_name(name) for name in form.header}
    begun = False
    with _field_limit():
        while True:
            lines.begin()
            record, fault = _next(reader, lines, len(form.cells))
            if not lines.taken:
                return
            if begun and record and {plain_name(cell) for cell in record[: len(form.header)]} <= names:
                fault = "it is the header again (two files in one?)"
            if begun and record and not fault and any(record[len(form.header) :]):
                fault = "it has a value in a column without a name (expected a header of different names)"
            if lines.torn:
                fault = "it is the rest of a line that is too long"
            begun = begun or bool(record)
            if fault:
                lines.give_back()
            if record != []:
                yield Line(lines.number, "".join(lines.taken), fault)


def _next(reader: Iterator[list[str]], lines: _Lines, width: int) -> tuple[list[str] | None, str | None]:
    """The next record and its fault; [] for a blank line and at the end, None where there is none to be had."""
    try:
        record = next(reader, [])
    except csv.Error as error:
        if lines.too_long:
            return None, f"it goes on for more than {LARGEST_ROW} characters (a quote that is never closed?)"
        if "unexpected end" in str(error):
            return None, "a quote in it is never closed"
        return None, "its quotes do not fit (within a quoted value a quote is written twice)"
    return record, _fault(record, lines, width) if record else None


def _fault(record: list[str], lines: _Lines, width: int) -> str | None:
    if lines.too_long:
        return f"it goes on for more than {LARGEST_ROW} characters"
    if not lines.taken[-1].endswith(_ENDS):
        return "it is the last and has no line end, so it may be cut off (end it, if it is whole)"
    if len(record) != width:
        return f"expected {width} values, got {len(record)}"
    if any(_NO_TEXT.search(line) for line in lines.taken):
        return "it has bytes that are no UTF-8 (if you know the encoding, say it with --encoding)"
    return None


class _Raw(io.RawIOBase):
    """`Text` as Python's own readers want it."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]  # any writable buffer
        piece = self._text.read(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)


@contextmanager
def _field_limit() -> Iterator[None]:
    before = csv.field_size_limit(LARGEST_ROW * 2)
    try:
        yield
    finally:
        csv.field_size_limit(before)
