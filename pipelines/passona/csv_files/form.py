"""Detect encoding, delimiter, header and report of a .csv from its bytes. Pure.

    first bytes -> Form

The guide says only that the headers of these files are the keys of the JSON. A byte order mark or zero bytes mean
UTF-16; anything else is UTF-8 unless the user names its encoding. The delimiter is the one that splits the first line
into a report's keys, and these keys identify the report. Some programs write a line of their own above the header
(sep=; or #TYPE ...), or unnamed columns behind its last.
"""

import codecs
import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from passona.errors import FileRefused
from passona.reports.definitions import REPORTS, Report

# Enough for any header, which takes some hundred bytes.
HEAD_BYTES = 64 * 1024
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}

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
# A line above the header: `sep=;` for Excel, `#TYPE ...` from PowerShell.
_ABOVE = re.compile(r'(?:"?sep=(?P<sep>[^\w\s"]|\t)"?[,;\t]*|"?#TYPE [^\r\n]*)(?:\r\n|\r|\n)', re.IGNORECASE)
# Characters that some programs leave around a name.
AROUND = " \t\u00a0\u200b\ufeff"
AROUND_NAMES = f'{AROUND}\x1a="'
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


@dataclass(frozen=True)
class Form:
    """How to read a file. `header`: column names; `cells`: the header's values as they stand, unnamed ones included.

    `mark`: bytes before the header (byte order mark, a program's own line); `above`: lines before it.
    """

    encoding: str
    delimiter: str
    header: tuple[str, ...]
    report: Report
    cells: tuple[str, ...]
    mark: int = 0
    above: int = 0

    @cached_property
    def plain_names(self) -> frozenset[str]:
        return frozenset(map(plain_name, self.header))


def form_of(head: bytes, wanted: Report | None = None, encoding: str | None = None) -> Form:
    """Return the form of a file that begins with `head`.

    `wanted`: the only acceptable report, None for any. `encoding`: named by the user.

    :raises FileRefused: this is no .csv of a report, or not of the wanted one.
    """
    if not head:
        raise FileRefused("expected a header and rows, got an empty file")
    for start, kind in _OTHER_KINDS.items():
        if head.startswith(start):
            raise FileRefused(f"expected a .csv, got {kind}")
    mark, marked = _mark(head)
    if encoding == "utf-16":
        encoding = _by_zeros(head) or "utf-16-le"
    used = encoding or marked or _by_zeros(head) or "utf-8"
    text = head[mark:].decode(used, errors="replace").lstrip("\r\n")
    if text.lstrip()[:1] in ("<", "{", "["):
        raise FileRefused(f"expected a .csv, got {'an HTML page' if text.lstrip()[0] == '<' else 'JSON'}")
    above = _ABOVE.match(text)
    if above:
        mark = head.index(above[0].encode(used)) + len(above[0].encode(used))
        text = text[above.end() :].lstrip("\r\n")
    delimiter, cells = _header(text, above["sep"] if above else None)
    header = _names(cells)
    _check_header(header)
    report = _report(header, wanted, text, delimiter)
    lines = len(head[:mark].decode(used, errors="replace").splitlines()) if above else 0
    return Form(used, delimiter, header, report, cells, mark, lines)


def _mark(head: bytes) -> tuple[int, str | None]:
    """Return the length of the byte order marks at the beginning, and their encoding."""
    for mark, encoding in _MARKS.items():
        count = 0
        while head.startswith(mark, count):  # some programs add a second one
            count += len(mark)
        if count:
            return count, encoding
    return 0, None


def _by_zeros(head: bytes) -> str | None:
    """Detect UTF-16 without a mark: nearly every other byte of its header is zero."""
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[::2])):
        if zeros[:64].count(0) * 2 > len(zeros[:64]):
            return encoding
    return None


def _header(text: str, marked: str | None) -> tuple[str, tuple[str, ...]]:
    """Return the delimiter that splits the first line into most keys of a report, and the values.

    `marked`: the delimiter in the line above.
    """
    rows = []
    for delimiter in (*DELIMITERS, *({marked} if marked else ())):
        try:
            row = tuple(next(csv.reader(_LINE.findall(text), delimiter=delimiter, strict=True), ()))
        except csv.Error:
            continue
        rows.append((max(fit(_names(row), report) for report in REPORTS.values()), delimiter, row))
    if not rows:
        raise FileRefused("expected a header, got a first line whose quotes do not fit")
    _, delimiter, row = max(rows, key=lambda each: each[0])
    return delimiter, row


def _names(cells: Iterable[str]) -> tuple[str, ...]:
    """Return the column names without surrounding marks, and without unnamed columns at the end."""
    names = [cell.strip(AROUND).removeprefix('="').strip('"').strip(AROUND) for cell in cells]
    while names and not names[-1]:
        names.pop()
    return tuple(names)


def plain_name(name: str) -> str:
    """Return a column name in lower case without surrounding marks."""
    return name.strip(AROUND_NAMES).lower()


def _check_header(header: tuple[str, ...]) -> None:
    known = {key for report in REPORTS.values() for key in report.sorted_keys}
    twice = sorted(name for name in known if header.count(name) > 1)
    if twice:
        raise FileRefused(f"expected each column once, got {twice[0]} {header.count(twice[0])} times in the header")
    if len(set(header)) < len(header) or not all(header):
        # The message names none of them: without a header the first line is a row.
        raise FileRefused(f"expected a header of different names, got {len(header)} columns, some equal or without one")


def fit(header: Iterable[str], report: Report) -> float:
    """Return the share of keys that a header and a report have in common, from 0 to 1."""
    names, keys = set(header), set(report.sorted_keys)
    return len(names & keys) / len(names | keys)


def _report(header: tuple[str, ...], wanted: Report | None, text: str, delimiter: str) -> Report:
    best = max(REPORTS.values(), key=lambda report: fit(header, report))
    score = fit(header, best)
    equal = [report for report in REPORTS.values() if fit(header, report) == score]
    # Columns may be new or missing, as keys of the JSON may; fewer than half in common is another table.
    if score < 0.5:
        names = f"the keys of {wanted.name}" if wanted else "the keys of one of the six reports"
        got = f"{len(header)} columns with other names"
        raise FileRefused(f"expected a header with {names}, got {_line_of_header(text, delimiter) or got}")
    if wanted is not None and wanted not in equal:
        raise FileRefused(f"expected a header of {wanted.name}, got that of {best.name}")
    if wanted is None and len(equal) > 1:
        raise FileRefused(f"the header fits {' and '.join(r.name for r in equal)}; say which with --report")
    return wanted or best


def _line_of_header(text: str, delimiter: str) -> str | None:
    """Return where the header is if it is not in the first line."""
    for number, line in enumerate(_LINE.findall(text)[1:20], 2):
        names = _names(line.rstrip("\r\n").split(delimiter))
        if max(fit((name.strip('"') for name in names), report) for report in REPORTS.values()) >= 0.5:
            return f"it in line {number} (remove the lines above it)"
    return None
