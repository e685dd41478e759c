"""Where a walk is kept until it is verified: in memory first, then in a file that only its owner can read.

A spool takes the pages of one report in order and returns them as Arrow batches. Beyond `MEMORY_BYTES` it continues in
a file (Arrow's stream format, mode 0600), so memory stays flat however large the report is. Each batch carries the
number of its last page, so that a walk that was killed can be resumed behind it.
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

# A few megabytes: most reports stay below and never touch the disk; a dozen concurrent walks take 50 MB.
MEMORY_BYTES = 4 * 1024 * 1024
# Rows per batch: enough to make Arrow's fixed cost negligible, few enough that a killed walk of 50 rows a page repeats
# no more than 40 pages.
BATCH_ROWS = 2_000
# Pages per batch, for servers that grant few rows a page.
BATCH_PAGES = 50
# Rows per piece of Arrow: enough to make dlt's fixed cost (10 ms) negligible; with its fields a piece is some 20 MB.
PIECE_ROWS = 20_000
# An older file is not resumed: statuses change in the middle of a report while its first and last page stay the same.
LONGEST_AGE = timedelta(hours=6)
_AT = b"at"


class Spool:
    """The pages of one walk, in order.

    `at`: when page 1 was requested (UTC). `last_page`: the last page in it. `first`: a digest of page 1, which tells a
    later walk whether the report is still the same. `new_keys`, `missing_keys`: how its rows differ from the guide.
    `odd`: a value is of another type than the guide's. `privacy`: what may be stored about people. `suppressed`: number
    of rows left out because they belong to forgotten people. `accounts`: how many are loaded at once: their spools
    share the memory of one.
    """

    def __init__(
        self,
        report: Report,
        campaign_id: str,
        path: Path,
        at: datetime | None = None,
        privacy: Privacy = CLEAR,
        *,
        accounts: int = 1,
    ) -> None:
        self.report, self.campaign_id, self.path, self.privacy = report, campaign_id, path, privacy
        self.at = at or datetime.now(UTC)
        self._accounts = accounts
        self._memory_bytes, self._batch_rows = MEMORY_BYTES // accounts, BATCH_ROWS // accounts
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

    def restarted(self, at: datetime) -> Spool:
        """Return an empty spool of the same report, whose walk begins at this time."""
        return Spool(self.report, self.campaign_id, self.path, at, self.privacy, accounts=self._accounts)

    def __len__(self) -> int:
        """Return the number of rows, including those that are not in a batch yet."""
        return len(self.fingerprint) + len(self._rows)

    @property
    def memory(self) -> int:
        """Bytes of its batches in memory."""
        return sum(batch.nbytes for batch, *_ in self._batches)

    def add(self, page: Page) -> None:
        if page.number == 1:
            self._begin(page)
        kept = self.privacy.without_forgotten(self.report, page.rows)
        self.suppressed += len(page.rows) - len(kept)
        self._rows += kept
        self._pages += 1
        if len(self._rows) >= self._batch_rows or self._pages >= BATCH_PAGES:
            self._flush(page.number)
        self.last_page = page.number

    def take_columns(self, columns: Mapping[str, pa.Array[Any]]) -> None:
        """Add the next rows of a .csv, as columns of text."""
        kept = self.privacy.columns_without_forgotten(self.report, columns)
        self.suppressed += len(next(iter(columns.values()))) - len(next(iter(kept.values())))
        self._take(column_texts(self.report, self.campaign_id, kept, self.privacy))

    def finish(self) -> None:
        """Write the last batch after the last page."""
        self._flush(self.last_page)
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield all batches in order; may be called more than once."""
        if self._file is None:
            yield from (batch for batch, *_ in self._batches)
            return
        with self.path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            yield from reader

    def pieces(self) -> Iterator[list[pa.RecordBatch]]:
        """Yield the batches in pieces of PIECE_ROWS or slightly more."""
        piece: list[pa.RecordBatch] = []
        for batch in self.batches():
            piece.append(batch)
            if sum(map(len, piece)) >= PIECE_ROWS:
                yield piece
                piece = []
        if piece:
            yield piece

    def drop(self) -> None:
        """Release everything and delete its file."""
        self.release()
        self.path.unlink(missing_ok=True)

    def release(self) -> None:
        """Release everything but leave its file, if any, for a later walk."""
        self._batches, self._rows = [], []
        if self._file is not None:
            self._file.close()

    def resume(self, page: Page, after: datetime | None = None) -> bool:
        """Take over the file of a killed walk if page 1 still shows the same total and the same rows.

        `after`: a walk that did not begin after this is not resumed. Whole batches count, a torn end is cut off.
        Return True if there were pages; then `last_page` tells where to continue, and `at` when the killed walk began:
        its rows are that old. Otherwise the file is gone and the spool unchanged.
        """
        if not self.path.exists():
            return False
        old = self.path.with_suffix(".old")
        self.path.replace(old)
        self._begin(page)
        try:
            began = _began(old, vendor_schema(self.report), self._identity())
            # A start in the future comes from a wrong clock.
            if began is None or not began <= self.at <= began + LONGEST_AGE or (after is not None and began <= after):
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
        """Return True if `page`, the last resumed page fetched again, is unchanged.

        Rows that came or went on an earlier page would have moved it.
        """
        ids = self._ids(page)
        return self._tail[len(self._tail) - len(ids) :] == ids

    def _begin(self, page: Page) -> None:
        self.total, self.per_page = page.total, page.per_page
        self.first = digest_of(self._ids(page))

    def _ids(self, page: Page) -> list[str]:
        kept = self.privacy.without_forgotten(self.report, page.rows)
        return listed(self._texts(kept).batch.column(ROW_ID))

    def _texts(self, rows: Sequence[Row]) -> VendorTexts:
        return vendor_texts(self.report, self.campaign_id, rows, self.privacy)

    def _flush(self, last_page: int) -> None:
        if not self._pages:
            return
        rows, self._rows, self._pages = self._rows, [], 0
        self._take(self._texts(rows), last_page)

    def _take(self, texts: VendorTexts, last_page: int = 0) -> None:
        self.new_keys |= texts.new_keys
        self.missing_keys |= texts.missing_keys
        self._keep(texts.batch, last_page)

    def _keep(self, batch: pa.RecordBatch, last_page: int) -> None:
        self.fingerprint.add(listed(batch.column(ROW_ID)))
        self._note_drift(batch.column(REST))
        if self._writer is not None:
            _write(self._writer, batch, last_page, self.suppressed)
            return
        self._batches.append((batch, last_page, self.suppressed))
        if self.memory > self._memory_bytes:
            self._spill()

    def _note_drift(self, rest: pa.Array[Any]) -> None:
        if rest.null_count < len(rest):
            keys = {key for text in rest.to_pylist() if text is not None for key in json.loads(text)}
            new_keys = keys.difference(self.report.sorted_keys)
            self.new_keys |= new_keys
            self.odd |= new_keys != keys

    def _spill(self) -> None:
        """Move the batches from memory to a file that only its owner can read."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        # Unbuffered: what is written survives a kill of this process.
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        # The metadata of the columns: what a later walk must agree with, and the age of the file.
        metadata = self._identity() | {_AT: self.at.isoformat().encode()}
        self._writer = pa.ipc.new_stream(self._file, vendor_schema(self.report).with_metadata(metadata))
        batches, self._batches = self._batches, []
        for batch in batches:
            _write(self._writer, *batch)

    def _identity(self) -> dict[bytes, bytes]:
        parts = (self.report.name, self.campaign_id, self.total, self.per_page, self.first, self.privacy.identity)
        return {b"identity": json.dumps(parts).encode()}


def _write(writer: pa.RecordBatchStreamWriter, batch: pa.RecordBatch, last_page: int, suppressed: int) -> None:
    """Write a batch with the number of its last page, and of the rows suppressed up to there."""
    numbers = {b"last_page": last_page, b"suppressed": suppressed}
    writer.write_batch(batch, custom_metadata={name: str(number).encode() for name, number in numbers.items()})


def _began(path: Path, columns: pa.Schema, identity: dict[bytes, bytes]) -> datetime | None:
    """Return when the walk of a file began; None if its columns or identity are different, or it is torn."""
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            metadata = dict(reader.schema.metadata or {})
            same_columns = reader.schema.equals(columns)
        began = datetime.fromisoformat(metadata.pop(_AT, b"").decode())
    except (pa.ArrowException, OSError, ValueError):
        return None
    return began if same_columns and metadata == identity else None


def _whole_batches(path: Path) -> Iterator[tuple[pa.RecordBatch, int, int]]:
    """Yield the batches of a file with their last page and suppressed rows, up to its end, whole or torn."""
    try:
        with path.open("rb") as file, pa.ipc.open_stream(file) as reader:
            while True:
                batch, metadata = reader.read_next_batch_with_custom_metadata()
                yield batch, int(metadata["last_page"]), int(metadata["suppressed"])
    except (StopIteration, pa.ArrowException, OSError, KeyError, ValueError):
        return
