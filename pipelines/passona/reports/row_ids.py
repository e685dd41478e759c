"""`row_id` and `digest`: the identity of a row, and of a report's content.

A row's id is a BLAKE2b digest of campaign, report and the row's texts in the order of their keys ("" as null, numbers
as text, keys unknown to the guide last). JSON and .csv yield the same id, in any order of pages. The second, third, ...
of equal rows get a digest of that id and their ordinal (`Ordinals`), so ids are unique.

A report's digest is a sum over the ids without ordinals. It identifies the multiset of rows in any order, and can be
computed while pages arrive.
"""

from __future__ import annotations

import hashlib
import sys
from array import array
from collections import Counter
from collections.abc import Iterable
from typing import Any, cast

import orjson
import pyarrow as pa
import pyarrow.compute as pc

# 128 bits: in a report of a billion rows, the probability of a collision is below 1 in 10**20.
ID_BYTES = 16
_WORD = 2**64


def row_ids(report: str, campaign_id: str, rows: Iterable[tuple[object, ...]], key: bytes = b"") -> list[str]:
    """Return the ids, in hexadecimal, of rows as texts in the order of their keys. `key`: empty for unkeyed ids."""
    start = hashlib.blake2b(orjson.dumps((campaign_id, report)), digest_size=ID_BYTES, key=key)
    ids = []
    for row in rows:
        digest = start.copy()
        digest.update(orjson.dumps(row, option=orjson.OPT_SORT_KEYS))
        ids.append(digest.hexdigest())
    return ids


def listed(ids: pa.Array[Any]) -> list[str]:
    """Return a column of ids, which has no null, as a list."""
    return cast("list[str]", ids.to_pylist())


def digest_of(ids: list[str]) -> str:
    return hashlib.blake2b("".join(ids).encode(), digest_size=ID_BYTES).hexdigest()


class Fingerprint:
    """Collects the ids of a report; returns its digest and the ids that may repeat.

    Keeps 8 bytes a row: half of each id is enough to find repeats.
    """

    def __init__(self) -> None:
        self._halves = array("Q")
        self._sums = [0, 0]

    def __len__(self) -> int:
        return len(self._halves)

    def add(self, ids: list[str]) -> None:
        words = array("Q", bytes.fromhex("".join(ids)))
        for half in (0, 1):
            self._sums[half] = (self._sums[half] + sum(words[half::2])) % _WORD
        self._halves.extend(words[::2])

    def digest(self) -> str:
        """Return 128 bits in hexadecimal, equal for equal content in any order."""
        return hashlib.blake2b(repr((len(self), self._sums)).encode(), digest_size=ID_BYTES).hexdigest()

    def repeated(self) -> frozenset[int]:
        """Return the first halves of ids that may occur more than once."""
        return frozenset(word for part in range(self._parts()) for word in _repeated(self._halves, part, self._parts()))

    def _parts(self) -> int:
        # In parts of some 200,000 ids, so that memory does not grow with the report.
        return 1 + len(self) // 200_000


def _repeated(words: array[int], part: int, parts: int) -> list[int]:
    numbers = pa.Array.from_buffers(pa.uint64(), len(words), [None, pa.py_buffer(words)])
    if parts > 1:
        whole = pc.multiply(pc.divide(numbers, pa.scalar(parts, pa.uint64())), pa.scalar(parts, pa.uint64()))
        numbers = numbers.filter(pc.equal(pc.subtract(numbers, whole), pa.scalar(part, pa.uint64())))
    counts = pc.value_counts(numbers)
    repeated = counts.field("values").filter(pc.greater(counts.field("counts"), pa.scalar(1)))
    return cast("list[int]", repeated.to_pylist())


def stored_digest(ids: Iterable[str]) -> str:
    """Return the digest of a report from the ids in its table, where equal rows have ordinals."""
    stored = set(ids)
    numbered: set[str] = set()
    equals: list[str] = []
    for row_id in stored:
        ordinal = 2
        while (other := _numbered_id(row_id, ordinal)) in stored:
            numbered.add(other)
            equals.append(row_id)
            ordinal += 1
    fingerprint = Fingerprint()
    fingerprint.add([*(stored - numbered), *equals])
    return fingerprint.digest()


def _numbered_id(row_id: str, ordinal: int) -> str:
    return hashlib.blake2b(f"{row_id} {ordinal}".encode(), digest_size=ID_BYTES).hexdigest()


class Ordinals:
    """Numbers equal rows in one pass over a report, piece by piece."""

    def __init__(self, repeated: frozenset[int]) -> None:
        self._repeated = repeated
        self._seen: Counter[str] = Counter()

    def number(self, ids: pa.Array[Any]) -> pa.Array[Any]:
        """Return unique ids: the second and later of equal rows get their own."""
        if not self._repeated:
            return ids
        return pa.array([self._numbered(row_id) for row_id in listed(ids)], pa.string())

    def repeats(self, row_id: str) -> bool:
        """Return True if another row may have the same id."""
        return int.from_bytes(bytes.fromhex(row_id[:16]), sys.byteorder) in self._repeated

    def _numbered(self, row_id: str) -> str:
        if not self.repeats(row_id):
            return row_id
        self._seen[row_id] += 1
        ordinal = self._seen[row_id]
        return row_id if ordinal == 1 else _numbered_id(row_id, ordinal)
