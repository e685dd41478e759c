"""What a .csv is: its encoding, delimiter, header and report, told by its bytes. Pure.

    first bytes -> Form        all bytes -> evidence for an encoding

The guide says of these files only that their headers are the keys of the JSON. So nothing is taken for
granted: a byte order mark or zero bytes tell UTF-16, all else is UTF-8 until its bytes are none; the
delimiter is the one that makes a report's keys of the first line; the six reports are told apart by them.
Programs put a line of their own above it (sep=; or #TYPE ...), and columns without a name behind its last.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from passona.errors import FileRefused
from passona.reports.definitions import REPORTS, Report

# Bytes by which a file is known: a header is some hundred; a first line longer than this is none.
HEAD_BYTES = 64 * 1024
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "cp850", "mac-roman")

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
_OTHER_KINDS = {
    b"PK\x03\x04": "a zip archive or an Excel workbook",
    b"%PDF": "a PDF",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an Excel workbook",
    b"\x1f\x8b": "gzip within gzip",
    b"\x00\x05\x16\x07": "what macOS notes of a file (._name) and not the file",
    b"{\\rtf": "a text document",
}
_MEANINGLESS = frozenset(b"\x81\x8d\x8f\x90\x9d")  # bytes that Windows-1252 does not know
# A line above the header: `sep=;` for Excel, `#TYPE ...` from PowerShell.
_ABOVE = re.compile(r'(?:"?sep=(?P<sep>[^\w\s"]|\t)"?[,;\t]*|"?#TYPE [^\r\n]*)(?:\r\n|\r|\n)', re.IGNORECASE)
# What some programs leave around a name.
AROUND = " \t\u00a0\u200b\ufeff"
AROUND_NAMES = f'{AROUND}\x1a="'
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]+")


@dataclass(frozen=True)
class Form:
    """How a file is to be read. `header`: names of its columns; `cells`: as they stand there, those without a name too.

    `mark`: bytes above the header, a byte order mark and a line that is none of the report; `above`: lines up to that.
    `is_marked`: a byte order mark gives the encoding.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    report: Report
    cells: tuple[str, ...]
    mark: int = 0
    above: int = 0
    is_marked: bool = False


def form_of(head: bytes, wanted: Report | None = None, encoding: str | None = None) -> Form:
    """The form of a file that begins with `head`.

    `wanted`: the report it has to be, None for whichever its header fits. `encoding`: the user's word for it.

    :raises FileRefused: it is no .csv of a report, or of another one.
    """
    if not head:
        raise FileRefused("expected a header and rows, got an empty file")
    for start, kind in _OTHER_KINDS.items():
        if head.startswith(start):
            raise FileRefused(f"expected a .csv, got {kind}")
    mark, marked = _mark(head)
    if encoding == "utf-16":
        encoding = _by_zeros(head) or "utf-16-le"  # which of the two, a mark or the bytes tell
    found = encoding or marked or _by_zeros(head) or "utf-8"
    text = head[mark:].decode(found, errors="replace").lstrip("\r\n")
    if text.lstrip()[:1] in ("<", "{", "["):
        raise FileRefused(f"expected a .csv, got {'an HTML page' if text.lstrip()[0] == '<' else 'JSON'}")
    above = _ABOVE.match(text)
    if above:
        mark = head.index(above[0].encode(found)) + len(above[0].encode(found))
        text = text[above.end() :].lstrip("\r\n")
    delimiter, cells = _header(text, above["sep"] if above else None)
    header = _names(cells)
    _check_header(header)
    report = _report(header, wanted, text, delimiter)
    lines = len(head[:mark].decode(found, errors="replace").splitlines()) if above else 0
    return Form(found, delimiter, header, report, cells, mark, lines, marked is not None)


def _mark(head: bytes) -> tuple[int, str | None]:
    """The length of the byte order marks that a file begins with, and the encoding that they tell."""
    for mark, encoding in _MARKS.items():
        count = 0
        while head.startswith(mark, count):  # a program that adds one does not look whether there is one
            count += len(mark)
        if count:
            return count, encoding
    return 0, None


def _by_zeros(head: bytes) -> str | None:
    """UTF-16 without a mark: nearly every other byte of a header in it is zero."""
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros[:64].count(0) * 2 > len(zeros[:64]):
            return encoding
    return None


def _header(text: str, marked: str | None) -> tuple[str, tuple[str, ...]]:
    """The delimiter that makes the most of a report's keys of the first line, and the header it makes. `told`: by the
    line above it.
    """
    found = []
    for delimiter in (*DELIMITERS, *({marked} if marked else ())):
        try:
            row = tuple(next(csv.reader(_LINE.findall(text), delimiter=delimiter, strict=True), ()))
        except csv.Error:
            continue
        found.append((max(fit(_names(row), report) for report in REPORTS.values()), delimiter, row))
    if not found:
        raise FileRefused("expected a header, got a first line whose quotes do not fit")
    _, delimiter, row = max(found, key=lambda each: each[0])
    return delimiter, row


def _names(cells: Iterable[str]) -> tuple[str, ...]:
    """The names of the columns, without what stands around them, and without those that have none at the end."""
    names = [cell.strip(AROUND).removeprefix('="').strip('"').strip(AROUND) for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def plain_name(name: str) -> str:
    """A name without what stands around it, in small letters."""
    return name.strip(AROUND_NAMES).lower()


def _check_header(header: tuple[str, ...]) -> None:
    known = {key for report in REPORTS.values() for key in report.sorted_keys}
    twice = sorted(name for name in known if header.count(name) > 1)
    if twice:
        raise FileRefused(f"expected each column once, got {twice[0]} {header.count(twice[0])} times in the header")
    if len(set(header)) < len(header) or not all(header):
        # Their names are not told: without a header the first line is a row.
        raise FileRefused(f"expected a header of different names, got {len(header)} columns, some equal or without one")


def fit(header: Iterable[str], report: Report) -> float:
    """How well a header fits a report: keys in both, of all that are in either."""
    names, keys = set(header), set(report.sorted_keys)
    return len(names & keys) / len(names | keys)


def _report(header: tuple[str, ...], wanted: Report | None, text: str, delimiter: str) -> Report:
    best = max(REPORTS.values(), key=lambda report: fit(header, report))
    score = fit(header, best)
    equal = [report for report in REPORTS.values() if fit(header, report) == score]
    # Half of the keys: columns may be new or missing, as keys of the JSON may; less is another table.
    if score < 0.5:
        names = f"the keys of {wanted.name}" if wanted else "the keys of one of the six reports"
        got = f"{len(header)} columns of which that cannot be said"
        raise FileRefused(f"expected a header with {names}, got {_line_of_header(text, delimiter) or got}")
    if wanted is not None and wanted not in equal:
        raise FileRefused(f"expected a header of {wanted.name}, got that of {best.name}")
    if wanted is None and len(equal) > 1:
        raise FileRefused(f"the header fits {' and '.join(r.name for r in equal)}; say which with --report")
    return wanted or best


def _line_of_header(text: str, delimiter: str) -> str | None:
    """Where else the header stands, if it does not stand where it should."""
    for number, line in enumerate(_LINE.findall(text)[1:20], 2):
        names = _names(line.rstrip("\r\n").split(delimiter))
        if max(fit((name.strip('"') for name in names), report) for report in REPORTS.values()) >= 0.5:
            return f"it in line {number} (remove the lines above it)"
    return None


def encoding_of(pieces: Iterable[bytes]) -> str | None:
    """UTF-8 or Windows-1252, by the evidence of all bytes of a file; None if it is neither.

    Letters beyond ASCII are whole sequences in UTF-8, and hardly ever look so in Windows-1252. A file with both
    is damaged, or of two makes.
    """
    whole = broken = 0
    for run in _runs(pieces):
        try:
            run.decode("utf-8")
            whole += 1
        except UnicodeDecodeError:
            broken += 1
            if not _MEANINGLESS.isdisjoint(run):
                return None
    if not broken:
        return "utf-8"
    return None if whole else "cp1252"


def _runs(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """All runs of bytes beyond ASCII, whole, whichever pieces they lie in."""
    tail = b""
    for piece in pieces:
        data = tail + piece
        end = len(data)
        while end and data[end - 1] >= 0x80:
            end -= 1
        yield from _BEYOND_ASCII.findall(data[:end])
        tail = data[end:]
    if tail:
        yield tail
