"""Read one .csv into a spool, or refuse it.

    CsvFile -> Form -> records -> cells (restored) -> Spool

A file counts whole or not at all, unless the user has the lines that cannot be read written to another file.
Memory is that of a few blocks, however large the file.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import pyarrow as pa

from passona.csv_files._records import DAMAGES, BadLine, blocks_of, open_text, unpacked
from passona.csv_files.cells import Quality, restore_cells
from passona.csv_files.form import HEAD_BYTES, Form, form_of
from passona.errors import FileRefused
from passona.reports.definitions import Report
from passona.source.spool import Spool


@dataclass(frozen=True)
class Contents:
    """All rows of a file in a spool. `rejected`: lines that were left out."""

    spool: Spool
    quality: Quality
    rejected: int = 0


@dataclass(frozen=True)
class CsvFile:
    """A file to import. `name`: for messages. `made_at`: when the report was made, in UTC.

    `vouched`: True if the user or the server states that time; False if it is the file's own, that of its last copy.
    """

    path: Path
    name: str
    made_at: datetime
    vouched: bool = False

    def form(self, wanted: Report | None = None, encoding: str | None = None) -> Form:
        """Return the form of this file.

        :raises FileRefused: it holds no report, or not the wanted one.
        """
        try:
            with unpacked(self.path) as file:
                return form_of(file.read(HEAD_BYTES), wanted, encoding)
        except FileRefused as refusal:
            raise self.refused(str(refusal)) from None
        except DAMAGES as error:
            raise self._damaged(error) from None

    def refused(self, reason: str) -> FileRefused:
        return FileRefused(f"{self.name}: {reason}; nothing of it is loaded, the old rows stay")

    def _damaged(self, error: Exception) -> FileRefused:
        if isinstance(error, UnicodeDecodeError) and error.reason != "truncated data":
            return self.refused("it has bytes that are no text in this encoding; name another with --encoding")
        return self.refused(f"it is damaged or cut off ({type(error).__name__}); fetch it again")

    def read(
        self,
        form: Form,
        make_spool: Callable[[], Spool],
        on_rows: Callable[[int], None] = lambda _: None,
        rejects: Path | None = None,
    ) -> Contents:
        """Read all rows into a new spool.

        `on_rows`: called with the rows read so far. `rejects`: a new file for the lines that cannot be read; without
        it such a line refuses the whole file.

        :raises FileRefused: it cannot be read.
        """
        spool, quality, rejected = make_spool(), Quality(), _Rejects(self, rejects)
        try:
            with open_text(self.path, form) as text:
                for block in blocks_of(text, form, rejected.add):
                    columns = (pa.array(cells, pa.string()) for cells in zip(*block, strict=True))
                    cells, block_quality = restore_cells(form.report, dict(zip(form.header, columns, strict=False)))
                    quality.add(block_quality)
                    spool.take_columns(cells)
                    on_rows(len(spool))
            spool.finish()
        except BaseException as error:
            spool.drop()
            if isinstance(error, DAMAGES):
                raise self._damaged(error) from None
            raise
        finally:
            rejected.close()
        return Contents(spool, quality, rejected.count)


class _Rejects:
    """Write lines that cannot be read to a new file that only its owner can read, or refuse the file they are in."""

    def __init__(self, file: CsvFile, path: Path | None) -> None:
        self._source, self._path = file, path
        self._file: IO[bytes] | None = None
        self.count = 0

    def add(self, line: BadLine) -> None:
        if self._path is None or line.is_header:
            raise self._source.refused(
                f"line {line.number} cannot be read: {line.fault}; its text has {len(line.text)} characters "
                "(--reject-to FILE writes such lines there and loads the others)"
            )
        if self._file is None:
            self._path.touch(0o600, exist_ok=False)
            self._file = self._path.open("wb")
        self._file.write(line.text.encode("utf-8", "surrogateescape"))
        self.count += 1

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
