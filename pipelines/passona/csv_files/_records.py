"""The records of a .csv, read by Python's strict reader; each line that cannot be read is reported with the reason.

    file -> open_text (gzip, encoding) -> physical lines -> records

After a line that cannot be read, the next line starts a new record, so one open quote costs one line.
"""

import csv
import gzip
import io
import re
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from passona.csv_files.form import Form, plain_name

# Characters. A row of a report takes some hundred, the longest message with all its fields some thousand. A row of
# megabytes is an open quote or no report, and a row is in memory whole.
LARGEST_ROW = 4 * 1024 * 1024
# Errors of a stream that is cut off or damaged.
DAMAGES = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeError)
_GZIP = b"\x1f\x8b"
_ENDS = ("\n", "\r")
_BYTE_ORDER_MARK = "\ufeff"
_DOS_END = "\x1a"
_UNDECODED = re.compile("[\udc80-\udcff]")  # "surrogateescape" makes these of bytes that are not UTF-8

Record = list[str]


@dataclass(frozen=True)
class BadLine:
    """A line that cannot be read. `number`: from 1. `fault`: why."""

    number: int
    text: str
    fault: str
    is_header: bool


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        is_packed = file.read(2) == _GZIP
        file.seek(0)
        if is_packed:
            with gzip.open(file) as inner:
                yield cast("IO[bytes]", inner)
        else:
            yield file


@contextmanager
def open_text(path: Path, form: Form) -> Iterator[io.TextIOWrapper]:
    """Open a file as text, from its header on, with its line ends as they are."""
    errors = "surrogateescape" if form.encoding == "utf-8" else "strict"
    with unpacked(path) as file:
        file.seek(form.mark)
        with io.TextIOWrapper(file, form.encoding, errors, newline="") as text:
            yield text


class _Lines:
    """Physical lines for `csv.reader`. `record`: those of the current record; `number`: of its first line, from 1.

    `is_torn`: the current line is the rest of one that is longer than LARGEST_ROW.
    """

    def __init__(self, text: io.TextIOBase, number: int) -> None:
        self._text = text
        self._returned: deque[str] = deque()
        self.record: list[str] = []
        self.size = 0
        self.number = number
        self.is_torn = False

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if self.size > LARGEST_ROW:
            raise StopIteration  # for the reader, the end within a quoted value
        line = self._returned.popleft() if self._returned else self._text.readline(LARGEST_ROW + 1)
        if not line:
            raise StopIteration
        if not self.record and line[0] == _BYTE_ORDER_MARK:  # of a file that was appended to another
            line = line[1:]
        self.record.append(line)
        self.size += len(line)
        return line

    def start_record(self) -> None:
        if self.record:
            self.is_torn = not self.record[-1].endswith(_ENDS)
            self.number += len(self.record) - self.is_torn
        self.record, self.size = [], 0

    def return_rest(self) -> None:
        """Return all lines of this record but the first, to be read again."""
        self._returned.extendleft(reversed(self.record[1:]))
        del self.record[1:]


def blocks_of(text: io.TextIOBase, form: Form, reject: Callable[[BadLine], None]) -> Iterator[list[Record]]:
    """Yield the records below the header in blocks of some megabytes, without blank lines.

    `reject`: called with each line that cannot be read; may raise.
    """
    csv.field_size_limit(2 * LARGEST_ROW)
    lines = _Lines(text, 1 + form.above)
    reader = csv.reader(lines, delimiter=form.delimiter, strict=True)
    block: list[Record] = []
    size, is_header = 0, True
    while True:
        lines.start_record()
        record, fault = _next(reader, lines, form, is_header=is_header)
        if fault:
            lines.return_rest()
            reject(BadLine(lines.number, "".join(lines.record), fault, is_header))
        elif not lines.record:
            break
        elif record and is_header:
            is_header = False
        elif record:
            block.append(record)
            size += lines.size
        if size > LARGEST_ROW:
            yield block
            block, size = [], 0
    if block:
        yield block


def _next(reader: Iterator[Record], lines: _Lines, form: Form, *, is_header: bool) -> tuple[Record, str | None]:
    """Return the next record and its fault; no values for a blank line and at the end."""
    try:
        record = next(reader, [])
    except csv.Error as error:
        if lines.size > LARGEST_ROW:
            return [], f"it goes on for more than {LARGEST_ROW} characters (a quote that is never closed?)"
        if "unexpected end" in str(error):
            return [], "a quote in it is never closed"
        return [], "its quotes do not fit (within a quoted value a quote is written twice)"
    if lines.is_torn and lines.record:
        return record, "it is the rest of a line that is too long"
    if not record or (len(record) == 1 and record[0] and not record[0].strip(_DOS_END)):
        return [], None
    return record, _fault_of(record, lines, form, is_header=is_header)


def _fault_of(record: Record, lines: _Lines, form: Form, *, is_header: bool) -> str | None:
    if lines.size > LARGEST_ROW:
        return f"it goes on for more than {LARGEST_ROW} characters"
    if not lines.record[-1].endswith(_ENDS):
        return "it is the last and has no line end, so it may be cut off (end it, if it is whole)"
    if len(record) != len(form.cells):
        return f"expected {len(form.cells)} values, got {len(record)}"
    if not all(map(str.isascii, lines.record)) and any(map(_UNDECODED.search, lines.record)):
        return "it has bytes that are not UTF-8 (name its encoding with --encoding; Excel on Windows writes cp1252)"
    return None if is_header else _fault_of_values(record, form)


def _fault_of_values(record: Record, form: Form) -> str | None:
    width = len(form.header)
    if plain_name(record[0]) in form.plain_names and form.plain_names.issuperset(map(plain_name, record[:width])):
        return "it is the header again (two files in one?)"
    if len(record) > width and any(record[width:]):
        return "it has a value in a column without a name (expected a header of different names)"
    return None
