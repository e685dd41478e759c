"""The bytes of a .csv as UTF-8 text: unpacked, decoded, and looked at while they pass.

    file -> gzip -> encoding -> UTF-8, for Arrow's reader; and what that reader would not notice

Arrow takes a quote that does not end its value, and a value that never ends, without a word. `Quotes` looks
for both; the last byte tells whether the last line was ended.
"""

from __future__ import annotations

import codecs
import gzip
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from passona.csv_files.form import HEAD_BYTES, Form

PIECE_BYTES = 1024 * 1024
_GZIP = b"\x1f\x8b"
# Marks of the byte order where a line begins: of a file that was put behind another.
_INNER_MARKS = {b"\n\xef\xbb\xbf": b"\n", b"\r\xef\xbb\xbf": b"\r"}
# What may be the beginning of such a mark, or ^Z, with which DOS ends a file.
_DOUBTFUL_END = re.compile(rb"(?:[\r\n](?:\xef\xbb?)?|\x1a+[\r\n]*)\Z")
_QUOTE = pa.scalar(ord('"'), pa.uint8())
# What an unpacked or decoded stream raises where it is cut off or damaged.
DAMAGES = (EOFError, gzip.BadGzipFile, zlib.error, UnicodeError)


@contextmanager
def unpacked(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of a file, unpacked if they are gzip's."""
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        if packed:
            with gzip.open(file) as inner:
                yield cast("IO[bytes]", inner)
        else:
            yield file


def head_of(path: Path) -> bytes:
    """The first bytes of a file, unpacked."""
    with unpacked(path) as file:
        return file.read(HEAD_BYTES)


def pieces_of(path: Path) -> Iterator[bytes]:
    """All bytes of a file, unpacked, piece by piece."""
    with unpacked(path) as file:
        while piece := file.read(PIECE_BYTES):
            yield piece


class Text:
    """A file's text as UTF-8, for a reader that asks for bytes.

    `damage`: what cut it short. `ended`: whether its last line is. `quotes`: whether they stand where they should.
    """

    closed = False

    def __init__(self, file: IO[bytes], form: Form) -> None:
        self._file = file
        self._file.seek(form.mark)
        self._decoder = None if form.encoding == "utf-8" else codecs.getincrementaldecoder(form.encoding)()
        self._waiting = self._doubtful = b""
        self._last = b"\n"
        self.quotes = Quotes(form.delimiter)
        self.damage: Exception | None = None

    @property
    def ended(self) -> bool:
        return self._last in b"\r\n"

    def read(self, size: int = PIECE_BYTES) -> bytes:
        """The next bytes, at most so many; nothing at the end, or where it is damaged."""
        if not self._waiting:
            self._waiting = self._cleaned(size)
            self.quotes.look(self._waiting)
            self._last = self._waiting[-1:] or self._last
        piece, self._waiting = self._waiting[:size], self._waiting[size:]
        return piece

    def close(self) -> None:
        self.closed = True

    def _cleaned(self, size: int) -> bytes:
        """The next bytes without marks of the byte order where lines begin, and without ^Z at the end."""
        while piece := self._next(size):
            data = self._doubtful + piece
            for mark, end in _INNER_MARKS.items():
                data = data.replace(mark, end)
            doubtful = _DOUBTFUL_END.search(data)
            self._doubtful = doubtful[0] if doubtful else b""
            if known := data[: len(data) - len(self._doubtful)]:
                return known
        data, self._doubtful = self._doubtful, b""
        return b"" if data.startswith(b"\x1a") else data

    def _next(self, size: int) -> bytes:
        try:
            if self._decoder is None:
                return self._file.read(size)
            text = ""
            while not text and (piece := self._file.read(size)):
                text = self._decoder.decode(piece)
            return (text or self._decoder.decode(b"", final=True)).encode()
        except DAMAGES as error:
            self.damage = error
            return b""


class Quotes:
    """Whether every quote opens a value, closes one, or stands doubled within one (RFC 4180), over a file's pieces.

    Of the quotes of such a file every second one, from the first, stands behind a delimiter, a line end or a
    quote, and the others before one.
    """

    def __init__(self, delimiter: str) -> None:
        self._beside = pa.array(list(b'\r\n"' + delimiter.encode()), pa.uint8())
        self._held = b"\n"
        self._open = False
        self.fit = True

    def look(self, piece: bytes) -> None:
        """Takes the next piece; an empty one is the end."""
        data = self._held + (piece or b"\n")
        # The last byte waits for the one behind it.
        self._held = data[-2:]
        if self.fit and data.find(b'"', 1, len(data) - 1) > 0:
            self.fit = self._fits(data)
        if not piece and self._open:
            self.fit = False

    def _fits(self, data: bytes) -> bool:
        found: pa.Array[Any] = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
        quotes = pc.equal(found.slice(1, len(data) - 2), _QUOTE)
        before = pc.is_in(found.slice(0, len(data) - 2).filter(quotes), value_set=self._beside)
        behind = pc.is_in(found.slice(2).filter(quotes), value_set=self._beside)
        count = len(before)
        # Bits by turns: whether a quote opens.
        turns = (b"\xaa" if self._open else b"\x55") * (count // 8 + 1)
        opens: pa.Array[Any] = pa.Array.from_buffers(pa.bool_(), count, [None, pa.py_buffer(turns)])
        self._open ^= count % 2 == 1
        return bool(pc.all(pc.if_else(opens, before, behind)).as_py())
