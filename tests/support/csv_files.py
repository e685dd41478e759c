"""Fifty-odd .csv files that must not be loaded, and what is said of each. All of `recipient`, made in code."""

from __future__ import annotations

import gzip
import io
import zipfile
from dataclasses import dataclass

KEYS = ("Phone_Number", "Group_Name", "Group_Description", "Field_Names", "Field_Values")
HEADER = (",".join(KEYS) + "\r\n").encode()
# What must never be in any message.
PHONE, TEXT = "447700900123", "Secret Words"


def row(number: int = 0, group: str = "Group", value: str = "v") -> bytes:
    return f"{int(PHONE) + number},{group},{TEXT},Name,{value}\r\n".encode()


GOOD = HEADER + b"".join(row(number) for number in range(4))
ROWS = b"".join(row(number) for number in range(4, 8))
# 2.4 MB.
MANY = b"".join(row(number) for number in range(60_000))


@dataclass(frozen=True)
class BadFile:
    """`said`: a part of the one line that tells what is wrong."""

    name: str
    content: bytes
    said: str


def _zip(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("recipient.csv", content)
    return packed.getvalue()


def _header(*names: str) -> bytes:
    return (",".join(names) + "\r\n").encode()


def _utf16(content: bytes) -> bytes:
    return content.decode().encode("utf-16")


BAD_FILES = [
    # No .csv at all.
    BadFile("empty", b"", "an empty file"),
    BadFile("a byte order mark alone", b"\xef\xbb\xbf", "expected a header"),
    BadFile("blank lines alone", b"\r\n\r\n\r\n", "expected a header"),
    BadFile("an HTML page", b"<!DOCTYPE html>\n<html><body>Log in</body></html>\n", "an HTML page"),
    BadFile("an HTML page behind blanks", b"\n  <html><body>Log in</body></html>\n", "an HTML page"),
    BadFile("JSON", b'{"data": [{"Phone_Number": "447700900123"}]}\n', "JSON"),
    BadFile("a list in JSON", b'[{"Phone_Number": "447700900123"}]\n', "JSON"),
    BadFile("a zip archive", _zip(GOOD), "a zip archive"),
    BadFile("a PDF", b"%PDF-1.7\n%\xe2\xe3\n", "a PDF"),
    BadFile("Parquet", b"PAR1\x15\x04", "a Parquet file"),
    BadFile("an old Excel workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), "an Excel workbook"),
    BadFile("gzip twice", gzip.compress(gzip.compress(GOOD)), "gzip within gzip"),
    BadFile("zeros", bytes(4096), "expected a header"),
    BadFile("a letter", b"Dear all,\n\nhere are the figures.\n", "expected a header"),
    # Headers.
    BadFile("no header", row() + row(1), "expected a header"),
    BadFile("no header, one row", row(), "expected a header"),
    BadFile("another table's header", _header("id", "name", "email") + b"1,a,b\r\n", "expected a header"),
    BadFile(
        "too few of the keys", _header("Phone_Number", "Group_Name", "A", "B") + b"1,2,3,4\r\n", "expected a header"
    ),
    BadFile("a column twice", _header(*KEYS, "Group_Name") + b"1,2,3,4,5,6\r\n", "Group_Name 2 times"),
    BadFile("an unknown column twice", _header(*KEYS, "X", "X") + b"1,2,3,4,5,6,7\r\n", "a header of different names"),
    BadFile("a column without a name", _header(*KEYS, "") + b"1,2,3,4,5,6\r\n", "a header of different names"),
    BadFile("a header with an open quote", b'"Phone_Number,Group_Name\r\n' + ROWS, "quotes do not fit"),
    BadFile("a header with a stray quote", b'"Phone"_Number,Group_Name\r\n' + ROWS, "quotes do not fit"),
    BadFile("a header parted by bars", GOOD.replace(b",", b"|"), "expected a header"),
    BadFile("a header without a line end", HEADER.rstrip(), "no line end"),
    BadFile("the header again in the middle", GOOD + HEADER + ROWS, "line 6 cannot be read: it is the header again"),
    BadFile("the header again at the end", GOOD + HEADER, "line 6 cannot be read: it is the header again"),
    # Cut off.
    BadFile("cut in the middle of a row", GOOD + row()[:20], "line 6 cannot be read"),
    BadFile("cut in the last value", GOOD + row(value="Johnson")[:-4], "no line end, so it may be cut off"),
    BadFile("cut before the last line end", GOOD[:-2], "no line end, so it may be cut off"),
    BadFile(
        "cut in a quoted value", GOOD + b'447700900123,"Gro', "line 6 cannot be read: a quote in it is never closed"
    ),
    BadFile("cut in a letter", GOOD + "447700900123,Café".encode()[:-1], "line 6 cannot be read"),
    BadFile("gzip cut off", gzip.compress(MANY)[:-5000], "expected a header"),
    BadFile("gzip cut off in its last bytes", gzip.compress(GOOD + MANY)[:-4], "damaged or cut off"),
    BadFile(
        "gzip with a wrong sum", gzip.compress(GOOD)[:-8] + bytes(4) + gzip.compress(GOOD)[-4:], "damaged or cut off"
    ),
    BadFile("gzip with garbage in it", b"\x1f\x8b\x08\x00garbage garbage", "damaged or cut off"),
    BadFile("UTF-16 cut in a letter", _utf16(GOOD)[:-1], "damaged or cut off"),
    BadFile("zeros where rows were", GOOD + bytes(4096), "line 6 cannot be read"),
    # Quotes.
    BadFile(
        "a quote never closed",
        HEADER + b'1,"2,3,4,5\r\n' + ROWS,
        "line 2 cannot be read: a quote in it is never closed",
    ),
    BadFile(
        "a quote closed lines later", HEADER + b'1,"2,3,4,5\r\n' + ROWS + b'1,"2",3,4,5\r\n', "line 2 cannot be read"
    ),
    BadFile(
        "a quote never closed, far up",
        HEADER + b'1,"2,3,4,5\r\n' + MANY * 2,
        "line 2 cannot be read: it goes on for more",
    ),
    BadFile("text behind a closing quote", GOOD + b'1,"2"x,3,4,5\r\n', "line 6 cannot be read: its quotes do not fit"),
    BadFile("quotes escaped as PHP may do", GOOD + b'1,"say \\"hi\\"",3,4,5\r\n', "line 6 cannot be read: its quotes"),
    # Rows.
    BadFile("a value too few", GOOD + b"1,2,3,4\r\n" + ROWS, "line 6 cannot be read: expected 5 values, got 4"),
    BadFile("a value too many", GOOD + b"1,2,3,4,5,6\r\n" + ROWS, "line 6 cannot be read: expected 5 values, got 6"),
    BadFile("an empty value too many", GOOD + b"1,2,3,4,5,\r\n", "line 6 cannot be read: expected 5 values, got 6"),
    BadFile(
        "a line end within a bare value", GOOD + b"1,2,a\nb,4,5\r\n", "line 6 cannot be read: expected 5 values, got 3"
    ),
    BadFile(
        "rows of another delimiter",
        HEADER + ROWS.replace(b",", b";"),
        "line 2 cannot be read: expected 5 values, got 1",
    ),
    BadFile("a message from the server in it", GOOD + b"Fatal error: memory exhausted\r\n", "line 6 cannot be read"),
    BadFile("a far row", GOOD + MANY + b"1,2\r\n" + MANY, "line 60006 cannot be read: expected 5 values, got 2"),
    BadFile(
        "10 MB in one value", GOOD + b"1," + b"x" * 10_000_000 + b",3,4,5\r\n", "line 6 cannot be read: it goes on"
    ),
    BadFile(
        "10 MB in one quoted value",
        GOOD + b'1,"' + (b"x" * 99 + b"\n") * 100_000 + b'",3,4,5\r\n',
        "line 6 cannot be read: it goes on",
    ),
    # Encodings.
    BadFile(
        "UTF-8 and Windows-1252 in one",
        GOOD + row(value="é") + b"1,caf\xe9,3,4,5\r\n",
        "line 7 cannot be read: it has bytes",
    ),
    BadFile("bytes that no encoding has", GOOD + b"1,\x81\x8d,3,4,5\r\n", "line 6 cannot be read: it has bytes"),
    BadFile("a mark of UTF-8 before Windows-1252", b"\xef\xbb\xbf" + GOOD + b"1,caf\xe9,3,4,5\r\n", "it has bytes"),
    BadFile("UTF-16 that turns into UTF-8", _utf16(GOOD) + ROWS, "cannot be read"),
]
