"""One .csv into a spool: read by Arrow, checked for what Arrow would not notice, refused or taken whole.

    CsvFile -> Form -> Text -> Arrow's reader -> rows.column_texts -> Spool

Memory is that of a few blocks, however large the file. Where the file cannot be read the slow reader
(`csv_lines`) tells the line. Such lines can be taken aside, if the user says so; all else is all or nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from passona.csv_files._lines import LARGEST_ROW, Line, lines_of
from passona.csv_files._text import DAMAGES, Text, head_of, pieces_of, unpacked
from passona.csv_files.cells import Quality, restore_cells
from passona.csv_files.form import AROUND_NAMES, Form, encoding_of, form_of, plain_name
from passona.errors import FileRefused
from passona.reports.definitions import Report
from passona.source.spool import Spool

# A row may lie across two blocks and no more, so this is what a row may take; and some 20,000 rows are
# enough that the cost of a block is lost in theirs.
BLOCK_BYTES = LARGEST_ROW


@dataclass(frozen=True)
class Contents:
    """All rows of a file in a spool, and what a spreadsheet did to them.

    `form`: the form they were read by, whose encoding all bytes speak for.
    """

    spool: Spool
    form: Form
    quality: Quality


@dataclass(frozen=True)
class CsvFile:
    """A file to import. `name`: as people know it. `made_at`: when the report was made, in UTC.

    `vouched`: whether somebody who knows says so (the user, the server), or it is the file's own time, which
    is that of its last copy.
    """

    path: Path
    name: str
    made_at: datetime
    vouched: bool = False

    def form(self, wanted: Report | None = None, encoding: str | None = None) -> Form:
        """What kind of file it is.

        :raises FileRefused: it is none of a report, or of another one.
        """
        try:
            return form_of(head_of(self.path), wanted, encoding)
        except FileRefused as refusal:
            raise self.refused(str(refusal)) from None
        except DAMAGES as error:
            raise self._damaged(error) from None

    def refused(self, reason: str) -> FileRefused:
        return FileRefused(f"{self.name}: {reason}; nothing of it is loaded, the old rows stay")

    def _damaged(self, error: Exception) -> FileRefused:
        return self.refused(f"it is damaged or cut off ({type(error).__name__}); fetch it again")

    def read(
        self,
        form: Form,
        spool: Callable[[], Spool],
        encoding: str | None = None,
        heard: Callable[[int], None] = lambda _: None,
    ) -> Contents:
        """Read all rows into a new spool.

        `encoding`: the user's word for it. `heard`: who hears how many rows are read.

        :raises FileRefused: it cannot be read whole.
        """
        taken, quality = spool(), Quality()
        try:
            whole = self._fill(taken, form, quality, heard)
            if whole:
                return Contents(taken, form, quality)
            sure = self.sure(form, encoding)
            if sure != form:
                taken.drop()
                return self.read(sure, spool, sure.encoding, heard)
            self._explain(form, doubtful=whole is False)
        except BaseException:
            taken.drop()
            raise
        return Contents(taken, form, quality)

    def sure(self, form: Form, encoding: str | None = None) -> Form:
        """The form with the encoding that all bytes speak for, where neither the file nor the user names one."""
        if form.encoding != "utf-8" or form.is_marked or encoding or encoding_of(pieces_of(self.path)) != "cp1252":
            return form
        return self.form(form.report, "cp1252")

    def _fill(self, spool: Spool, form: Form, quality: Quality, heard: Callable[[int], None]) -> bool | None:
        """Takes the rows into a spool. True: all of them, beyond doubt; False: doubtful; None: not all."""
        whole: bool | None = None
        with unpacked(self.path) as file:
            text = Text(file, form)
            try:
                for texts in _columns(text, form):
                    cells, of_these = restore_cells(form.report, texts)
                    quality.add(of_these)
                    spool.take_columns(cells)
                    heard(len(spool))
                spool.finish()
                whole = text.quotes.fit and text.ended
            except (pa.ArrowInvalid, UnicodeDecodeError):
                pass  # told afterwards, with the line
        if text.damage is not None:
            raise self._damaged(text.damage)
        return whole

    def _explain(self, form: Form, *, doubtful: bool) -> None:
        """Raises what is wrong with the first line that cannot be read. `doubtful`: there may be nothing wrong."""
        with unpacked(self.path) as file:
            fault = next((line for line in lines_of(Text(file, form), form) if line.fault), None)
        if fault is not None:
            raise self.refused(
                f"line {fault.number} cannot be read: {fault.fault}; its text has {len(fault.text)} characters "
                "(--reject-to FILE takes such lines aside)"
            )
        if not doubtful:
            raise self.refused("it cannot be read")

    def sifted(self, form: Form, to: Path, rejects: Path) -> tuple[CsvFile, Form, int]:
        """A copy at `to` without the lines that cannot be read, which go to `rejects`; its form; their number.

        :raises FileRefused: it is damaged.
        """
        count = 0
        with unpacked(self.path) as file, _private(to) as good, _private(rejects) as bad:
            text = Text(file, form)
            for line in lines_of(text, form):
                count += line.fault is not None
                (good if line.fault is None else bad).write(_bytes(line))
        if text.damage is not None:
            raise self._damaged(text.damage)
        return replace(self, path=to), replace(form, encoding="utf-8", mark=0, above=0), count


def _bytes(line: Line) -> bytes:
    return line.text.encode("utf-8", errors="surrogateescape")


def _private(path: Path) -> Any:
    """A new file that only its owner can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _columns(text: Text, form: Form) -> Iterator[dict[str, pa.Array[Any]]]:
    """The columns of each block of rows.

    :raises pa.ArrowInvalid: a row that is none.
    """
    source: Any = text  # it reads as files do, which is all that Arrow asks for
    places = [str(place) for place in range(len(form.cells))]
    with arrow_csv.open_csv(
        source,
        read_options=arrow_csv.ReadOptions(block_size=BLOCK_BYTES, column_names=places),
        parse_options=arrow_csv.ParseOptions(delimiter=form.delimiter, newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(column_types=dict.fromkeys(places, pa.string())),
    ) as reader:
        header_due = True
        for batch in reader:
            if header_due and len(batch) and [column[0].as_py() for column in batch.columns] != [*form.cells]:
                raise pa.ArrowInvalid("another header than the one that was seen")
            rows = batch.slice(1) if header_due else batch
            header_due = header_due and not len(batch)
            if _header_again(rows, form.header):
                raise pa.ArrowInvalid("the header again")
            if any(pc.any(pc.not_equal(cells, pa.scalar(""))).as_py() for cells in rows.columns[len(form.header) :]):
                raise pa.ArrowInvalid("a value in a column without a name")
            if len(rows):
                yield dict(zip(form.header, rows.columns, strict=False))


def _header_again(rows: pa.RecordBatch, header: tuple[str, ...]) -> bool:
    """Whether a row is the header, in whatever order and letters, with whatever a program left around its names."""
    names: Any = pa.array(sorted({plain_name(name) for name in header}))
    again = None
    columns: list[Any] = rows.columns[: len(header)]
    for cells in columns:
        # Of names none is longer; texts are not looked at letter by letter.
        short = pc.if_else(pc.less(pc.binary_length(cells), pa.scalar(100)), cells, pa.scalar("?"))
        plain = pc.utf8_lower(pc.utf8_trim(short, characters=AROUND_NAMES))
        same = pc.is_in(plain, value_set=names)
        again = same if again is None else pc.and_(again, same)
        if not pc.any(again).as_py():
            return False
    return True
