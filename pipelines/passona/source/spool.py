"""Where a walk waits until it is verified: memory first, then a file of its owner alone.

A spool takes the pages of one report in order and gives them back as Arrow batches. Beyond
`MEMORY_BYTES` it goes on in a file (Arrow's stream format, mode 0600), so memory stays flat however
large the report is. Each batch tells the last page that is in it, so a walk that was killed can go
on behind it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from passona.masking.policy import CLEAR, Privacy
from passona.reports.decoding import Row
from passona.reports.definitions import Report
from passona.reports.row_ids import Fingerprint, digest_of, listed
from passona.source.pages import Page
from passona.source.rows import REST, ROW_ID, VendorTexts, column_texts, vendor_schema, vendor_texts

# A few megabytes: most reports stay below and never touch the disk; a dozen walks at once are 50 MB.
MEMORY_BYTES = 4 * 1024 * 1024
# Rows a batch: enough that Arrow's fixed cost per batch is lost in it, few enough that a killed
# walk of 50 rows a page repeats no more than 40 pages.
BATCH_ROWS = 2_000
# Rows a piece of Arrow: dlt's cost per piece (10 ms) is lost in it, and a piece with its fields is some 20 MB.
PIECE_ROWS = 20_000
# Pages a batch, for servers that grant few rows a page.
BATCH_PAGES = 50
# An older file is not taken up: statuses change in the middle of a report while its ends stay the same.
# A job that failed at night is begun again in the morning.
LONGEST_AGE = timedelta(hours=6)
_AT = b"at"


class Spool:
    """The pages of one walk, in order.

    `at`: when its first page was asked for (UTC). `last_page`: the last page in it. `first`: a digest of
    page 1, by which a later walk tells whether the report is still the same. `new_keys`,
    `missing_keys`: how its rows drifted from the guide. `odd`: whether a value is of another type.
    `privacy`: what it keeps of people. `suppressed`: rows that it does not take, of people who are kept out.
    """

    def __init__(
        self, report: Report, campaign_id: str, path: Path, at: datetime | None = None, privacy: Privacy = CLEAR
    ) -> None:
        self.report, self.campaign_id, self.path, self.privacy = report, campaign_id, path, privacy
        self.at = at or datetime.now(UTC)
        self.suppressed = 0
        self.fingerprint = Fingerprint()
        self.last_page = 0
        self.first = ""
        self.total = 0
        self.per_page = 0
        self.new_keys: set[str] = set()
        self.missing_keys: set[str] = set()
        self.odd = False
        self._tail: list[str] = []
        self._rows: list[Row] = []
        self._pages = 0
        self._batches: list[tuple[pa.RecordBatch, int, int]] = []
        self._file: IO[bytes] | None = None
        self._writer: pa.RecordBatchStreamWriter | None = None

    def __len__(self) -> int:
        """Rows, those of the last pages included that are not in a batch yet."""
        return len(self.fingerprint) + len(self._rows)

    @property
    def on_disk(self) -> bool:
        return self._file is not None

    @property
    def memory(self) -> int:
        """Bytes of its batches in memory."""
        return sum(batch.nbytes for batch, *_ in self._batches)

    def add(self, page: Page) -> None:
        """Takes the next page."""
        if page.number == 1:
            self._begin(page)
        kept = self.privacy.without_forgotten(self.report, page.rows)
        self.suppressed += len(page.rows) - len(kept)
        self._rows += kept
        self._pages += 1
        if len(self._rows) >= BATCH_ROWS or self._pages >= BATCH_PAGES:
            self._flush(page.number)
        self.last_page = page.number

    def take_columns(self, columns: Mapping[str, pa.Array[Any]]) -> None:
        """Takes the next rows of a .csv, as columns of text."""
        kept = self.privacy.columns_without_forgotten(self.report, columns)
        self.suppressed += len(next(iter(columns.values()))) - len(next(iter(kept.values())))
        self.take(column_texts(self.report, self.campaign_id, kept, self.privacy))

    def take(self, texts: VendorTexts, last_page: int = 0) -> None:
        """Takes the next rows, ready as they are; of a .csv, which has no pages, `last_page` stays 0."""
        self.new_keys |= texts.new_keys
        self.missing_keys |= texts.missing_keys
        self._keep(texts.batch, last_page)

    def finish(self) -> None:
        """All pages are in: what is left becomes a batch."""
        self._flush(self.last_page)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All batches in order; may be read again and again."""
        if self._file is None:
            yield from (batch for batch, *_ in self._batches)
            return
        with self.path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            yield from reader

    def pieces(self) -> Iterator[list[pa.RecordBatch]]:
        """The same in pieces of PIECE_ROWS or somewhat more: the fewer, the less each row costs in Arrow."""
        piece: list[pa.RecordBatch] = []
        for batch in self.batches():
            piece.append(batch)
            if sum(map(len, piece)) >= PIECE_ROWS:
                yield piece
                piece = []
        if piece:
            yield piece

    def drop(self) -> None:
        """Ends it, and leaves no file."""
        self.release()
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Ends it, and leaves its file, if it has one, for a later walk."""
        self._batches, self._rows = [], []
        if self._file is not None:
            self._file.close()

    def _flush(self, last_page: int) -> None:
        if not self._pages:
            return
        texts = self._texts(self._rows)
        self._rows, self._pages = [], 0
        self.take(texts, last_page)

    def _texts(self, rows: Sequence[Row]) -> VendorTexts:
        return vendor_texts(self.report, self.campaign_id, rows, self.privacy)

    def _keep(self, batch: pa.RecordBatch, last_page: int) -> None:
        self._absorb(batch)
        if self._writer is not None:
            _write(self._writer, batch, last_page, self.suppressed)
            return
        self._batches.append((batch, last_page, self.suppressed))
        if self.memory > MEMORY_BYTES:
            self._spill()

    def _absorb(self, batch: pa.RecordBatch) -> None:
        self.fingerprint.add(listed(batch.column(ROW_ID)))
        rest = batch.column(REST)
        if rest.null_count < len(rest):
            keys = {key for text in rest.to_pylist() if text is not None for key in json.loads(text)}
            new_keys = keys.difference(self.report.sorted_keys)
            self.new_keys |= new_keys
            self.odd |= new_keys != keys

    def _spill(self) -> None:
        """Moves what is in memory to a file that only its owner can read."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        # Unbuffered: what is written survives a kill of this process.
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._writer = pa.ipc.new_stream(self._file, self._schema())
        batches, self._batches = self._batches, []
        for batch in batches:
            _write(self._writer, *batch)

    def _schema(self) -> pa.Schema:
        """The columns of its file, and as their metadata what a later walk must agree in, and its age."""
        return vendor_schema(self.report).with_metadata(self._identity() | {_AT: self.at.isoformat().encode()})

    def _identity(self) -> dict[bytes, bytes]:
        names = {
            b"report": self.report.name,
            b"campaign_id": self.campaign_id,
            b"total": str(self.total),
            b"per_page": str(self.per_page),
            b"first": self.first,
            b"privacy": self.privacy.identity,
        }
        return {name: value.encode() for name, value in names.items()}

    def resume(self, page: Page, after: datetime | None = None) -> bool:
        """Takes up the file of a killed walk, if page 1 still shows the same total and the same rows.

        `after`: a file of a walk that did not begin after it is of no use. Whole batches count, a torn
        end is cut off. True if pages were found; then `last_page` tells where to go on, and `at` when
        the killed walk began: its rows are that old. Otherwise the file is gone and the spool as it was.
        """
        if not self.path.exists():
            return False
        old = self.path.with_suffix(".old")
        self.path.replace(old)
        self._begin(page)
        try:
            began = _began(old, vendor_schema(self.report), self._identity())
            if began is None or not _is_recent(began, self.at) or (after is not None and began <= after):
                return False
            for batch, last_page, suppressed in _whole_batches(old):
                self.at, self.suppressed = began, suppressed
                self._keep(batch, last_page)
                self.last_page = last_page
                self._tail = listed(batch.column(ROW_ID))[-self.per_page :]
        finally:
            old.unlink()
        return self.last_page > 0

    def goes_on(self, page: Page) -> bool:
        """Whether `page`, the last of those that were taken up, asked for anew, is still the same.

        Rows that came or went on a page before it would have moved it.
        """
        ids = self._ids(page)
        return self._tail[len(self._tail) - len(ids) :] == ids

    def _begin(self, page: Page) -> None:
        self.total, self.per_page = page.total, page.per_page
        self.first = digest_of(self._ids(page))

    def _ids(self, page: Page) -> list[str]:
        kept = self.privacy.without_forgotten(self.report, page.rows)
        return listed(self._texts(kept).batch.column(ROW_ID))


def _is_recent(began: datetime, now: datetime) -> bool:
    """Whether a walk began within the last LONGEST_AGE: one in the future was dated by a wrong clock."""
    return timedelta() <= now - began <= LONGEST_AGE


def _write(writer: pa.RecordBatchStreamWriter, batch: pa.RecordBatch, last_page: int, suppressed: int) -> None:
    """A batch with the last page in it, and the rows suppressed up to there."""
    numbers = {b"last_page": last_page, b"suppressed": suppressed}
    writer.write_batch(batch, custom_metadata={name: str(number).encode() for name, number in numbers.items()})


def _began(path: Path, columns: pa.Schema, identity: dict[bytes, bytes]) -> datetime | None:
    """When the walk of a file began, None if it is of other columns or another identity, or torn."""
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            found = dict(reader.schema.metadata or {})
            same_columns = reader.schema.equals(columns)
        began = datetime.fromisoformat(found.pop(_AT, b"").decode())
    except (pa.ArrowException, OSError, ValueError):
        return None
    return began if same_columns and found == identity else None


def _whole_batches(path: Path) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    """The batches of a spool's file as `_write` was given them, as far as they are whole."""
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            while True:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
                yield batch, int(metadata["last_page"]), int(metadata["suppressed"])
    except (StopIteration, pa.ArrowException, OSError, KeyError, ValueError):
        return  # the end, whole or torn
