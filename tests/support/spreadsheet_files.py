"""Files of `clicks` as spreadsheets, shells and exporters leave them, and what has to become of each. Made in code.

All of them mean the same four clicks (`ROWS`), if they mean any. Read by tests/loading/test_spreadsheets.py and by
`make spellings`, which writes docs/spreadsheets.md.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

KEYS = (
    "Phone_Number", "Link_Name", "Link_Destination", "Clicked_At", "User_Agent", "Device_Type", "OS_Version",
    "Browser_Version",
)  # fmt: skip
_AGENT = "Mozilla/5.0 (Linux; Android 10; SM-G960F) AppleWebKit/537.36 (KHTML, like Gecko)"
ROWS: tuple[tuple[str, ...], ...] = (
    ("447700900123", "Café, menu", "https://e.org/?a=1;b=2", "2020-06-08 13:50:06", _AGENT, "WebKit", "10", "83.0"),
    ("447700900456", 'The "offer"', "https://e.org/", "2020-06-18 09:05:00", _AGENT, "", "10", "83.0.4103.106"),
    ("447700900789", "two\nlines", "https://e.org/", "2020-06-08 13:50:06", "", "", "", ""),
    ("447700900123", "Home", "https://e.org/", "2020-12-01 23:59:59", _AGENT, "Phone", "9", "1"),
)
Row = Sequence[str]
Outcome = Literal["exact", "refused", "recorded"]
PHONE, TIME = 0, 3


@dataclass(frozen=True)
class File:
    """One file. `left_by`: what leaves such files. `outcome`: what has to become of it, `said`: a part of the line that
    tells it. `options`: of the import. `name`: that of the file.
    """

    what: str
    left_by: str
    content: bytes
    outcome: Outcome
    said: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    name: str = "clicks.csv"


def text_of(rows: Sequence[Row] = ROWS, header: Row = KEYS, end: str = "\r\n", **form: Any) -> str:
    """A .csv of these rows."""
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator=end, **form).writerows([header, *rows])
    return written.getvalue()


def sheet(rows: Sequence[Row] = ROWS, header: Row = KEYS, end: str = "\r\n", **form: Any) -> bytes:
    return text_of(rows, header, end, **form).encode()


def changed(place: int, change: Callable[[str], str], some: Sequence[int] = range(4)) -> list[Row]:
    """The rows with one column changed, in some of them."""
    return [
        (*row[:place], change(row[place]), *row[place + 1 :]) if number in some else row
        for number, row in enumerate(ROWS)
    ]


def british(time: str) -> str:
    """08/06/2020 13:50, as Excel shows a time, and saves it."""
    year, month, day, hour, minute = re.findall(r"\d+", time)[:5]
    return f"{day}/{month}/{year} {hour}:{minute}"


def american(time: str) -> str:
    year, month, day, hour, minute, second = re.findall(r"\d+", time)
    half = "AM" if int(hour) < 12 else "PM"
    return f"{int(month)}/{int(day)}/{year} {(int(hour) - 1) % 12 + 1}:{minute}:{second} {half}"


def threes(phone: str, mark: str) -> str:
    return mark.join(re.findall("...", phone))


def zipped(content: bytes, name: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


GOOD = sheet()
EXCEL, CALC, SHEETS, NUMBERS = "Excel", "LibreOffice", "Google Sheets", "Numbers"
RECORDED, MANGLED = "row_issues has what came", "as a spreadsheet leaves them"
SIX = "{:.5E}"


def short(phone: str) -> str:
    """4.47701E+11, as Excel shows twelve digits, and saves them."""
    return SIX.format(float(phone))


FILES = (
    # What is only written otherwise.
    File("as it was mailed", "Passona", GOOD, "exact"),
    File("with a byte-order mark", f"{EXCEL}, CSV UTF-8", b"\xef\xbb\xbf" + GOOD, "exact"),
    File("with two byte-order marks", "a script that always adds one", b"\xef\xbb\xbf" * 2 + GOOD, "exact"),
    File("in Windows-1252", f"{EXCEL}, CSV", text_of().encode("cp1252"), "refused", "bytes that are not UTF-8"),
    File("in Windows-1252, and --encoding says so", f"{EXCEL}, CSV", text_of().encode("cp1252"), "exact", "read as cp1252", {"encoding": "cp1252"}),
    File("in cp850, and --encoding says so", f"{EXCEL}, CSV (MS-DOS)", text_of().encode("cp850"), "exact", "read as cp850", {"encoding": "cp850"}),
    File("in Mac Roman, and --encoding says so", f"{EXCEL} for Mac, CSV (Macintosh)", text_of().encode("mac-roman"), "exact", "read as mac-roman", {"encoding": "mac-roman"}),
    File("in UTF-16, tabs", f"{EXCEL}, Unicode text", text_of(delimiter="\t").encode("utf-16"), "exact", "utf-16-le"),
    File("in UTF-16 without a mark", "PowerShell 5, >", text_of().encode("utf-16-le"), "exact", "utf-16-le"),
    File("semicolons", f"{EXCEL} in Germany", sheet(delimiter=";"), "exact", "semicolon"),
    File("tabs", "copied from a sheet", sheet(delimiter="\t"), "exact", "tab", name="clicks.tsv"),
    File("line ends of the old Mac", f"{EXCEL} for Mac, CSV (Macintosh)", GOOD.replace(b"\r\n", b"\r"), "exact"),
    File("line ends of Unix", NUMBERS, sheet(end="\n"), "exact"),
    File("line ends of both kinds", "an editor", GOOD.replace(b"\r\n", b"\n", 2), "exact"),
    File("every value quoted", "PowerShell, Export-Csv", sheet(quoting=csv.QUOTE_ALL), "exact"),
    File("blank lines between", "a script", b"\r\n" + GOOD.replace(b"\r\n447", b"\r\n\r\n447"), "exact"),
    File("gzip", "gzip", gzip.compress(GOOD), "exact", name="clicks.csv.gz"),
    File("columns in another order", "somebody", sheet([row[::-1] for row in ROWS], KEYS[::-1]), "exact"),
    File("a first line sep=;", f"saved for {EXCEL}", b"sep=;\r\n" + sheet(delimiter=";"), "exact", "semicolon"),
    File("a first line sep=,", f"saved for {EXCEL}", b"\xef\xbb\xbfsep=,\r\n" + GOOD, "exact"),
    File("a first line sep=| and bars", f"saved for {EXCEL}", b"sep=|\r\n" + sheet(delimiter="|"), "exact", "delimited by |"),
    File(
        "a first line sep= in UTF-16", f"saved for {EXCEL}", ("sep=\t\r\n" + text_of(delimiter="\t")).encode("utf-16"),
        "exact", "utf-16-le",
    ),
    File(
        "a first line #TYPE", "PowerShell 5, Export-Csv",
        b"#TYPE System.Management.Automation.PSCustomObject\r\n" + sheet(quoting=csv.QUOTE_ALL), "exact",
    ),
    File("a final ^Z", "DOS, copy", GOOD + b"\x1a", "exact"),
    File("a final ^Z and a line end", "DOS, an editor", GOOD + b"\x1a\r\n", "exact"),
    File("columns without a name at the end", EXCEL, sheet([(*r, "", "") for r in ROWS], (*KEYS, "", "")), "exact"),
    File("lines of commas at the end", EXCEL, GOOD + b",,,,,,,\r\n" * 3, "exact", "blank lines are skipped: 3"),
    File("lines of commas between", EXCEL, GOOD.replace(b"\r\n447", b"\r\n,,,,,,,\r\n447"), "exact", "skipped: 4"),
    File("lines of empty quotes at the end", CALC, GOOD + b'"","","","","","","",""\n', "exact", "skipped: 1"),
    File("lines of empty formulas at the end", "an exporter for Excel", GOOD + b'="","=""""",,,,,,\r\n' * 2, "exact", "skipped: 2"),
    File("spaces around the names", "somebody", sheet(header=[f" {key} " for key in KEYS]), "exact"),
    File(
        "a byte-order mark within the quotes", "JavaScript",
        sheet(header=("\ufeff" + KEYS[0], *KEYS[1:]), quoting=csv.QUOTE_ALL), "exact",
    ),
    File(
        "a byte-order mark before the first row", "cat header.csv rows.csv",
        sheet([]) + b"\xef\xbb\xbf" + GOOD.partition(b"\r\n")[2], "exact",
    ),
    # What a spreadsheet did to phones without loss.
    File("phones 447700900123.0", "pandas", sheet(changed(PHONE, "{}.0".format)), "exact", "read as what they were: 4"),
    File("phones 447700900123.00", EXCEL, sheet(changed(PHONE, "{}.00".format, [1])), "exact", "read as what they were: 1"),
    File("phones 447700900123,00", f"{CALC} in Germany", sheet(changed(PHONE, "{},00".format), delimiter=";"), "exact", "read as what they were: 4"),
    File(
        "phones 4.47700900123E+11", f"{CALC}, scientific", sheet(changed(PHONE, lambda p: f"{float(p):.11E}")), "exact",
        "read as what they were: 4",
    ),
    File(
        "phones 4,47700900123E+11", f"{EXCEL} in Germany",
        sheet(changed(PHONE, lambda p: f"{float(p):.11E}".replace(".", ",")), delimiter=";"), "exact", "read as what they were: 4",
    ),
    File("phones 447,700,900,123", EXCEL, sheet(changed(PHONE, lambda p: threes(p, ","))), "exact", "read as what they were: 4"),
    File(
        "phones 447.700.900.123,00", f"{EXCEL} in Germany",
        sheet(changed(PHONE, lambda p: threes(p, ".") + ",00"), delimiter=";"), "exact", "read as what they were: 4",
    ),
    File(
        "phones with narrow spaces", f"{EXCEL} in France",
        sheet(changed(PHONE, lambda p: threes(p, "\u202f")), delimiter=";"), "exact", "read as what they were: 4",
    ),
    File("phones with apostrophes between", f"{EXCEL} in Switzerland", sheet(changed(PHONE, lambda p: threes(p, "'"))), "exact", "read as what they were: 4"),
    File('phones ="447700900123"', f"an exporter for {EXCEL}", sheet(changed(PHONE, '="{}"'.format)), "exact", "read as what they were: 4"),
    File(
        'every value ="..."', f"an exporter for {EXCEL}",
        sheet([['="' + cell.replace('"', '""') + '"' for cell in row] for row in ROWS]),
        "exact", "read as what they were: ",
    ),
    File("phones '447700900123", f"typed into {EXCEL}", sheet(changed(PHONE, "'{}".format)), "exact", "read as what they were: 4"),
    File("spaces around phones", "a fixed-width export", sheet(changed(PHONE, " {}\u00a0".format)), "exact", "read as what they were: 4"),
    # What a spreadsheet lost.
    File("phones 4.47701E+11", EXCEL, sheet(changed(PHONE, short)), "refused", f"4 of 4 phones cannot be read, {MANGLED}"),
    File(
        "the same, with --accept-mangled", EXCEL, sheet(changed(PHONE, short)), "recorded", RECORDED,
        {"accept_mangled": True},
    ),
    File("one phone 4.47701E+11", EXCEL, sheet(changed(PHONE, short, [1])), "recorded", "1 of 4 phones cannot be read"),
    File(
        "phones 4,47701E+11", f"{EXCEL} in Germany", sheet(changed(PHONE, lambda p: short(p).replace(".", ",")), delimiter=";"),
        "refused", "4 of 4 phones",
    ),
    File(
        "phones 447701000000", f"{EXCEL}, of a file it had saved before",
        sheet(changed(PHONE, lambda p: f"{float(short(p)):.0f}")), "refused", "4 of 4 phones are rounded",
    ),
    File("phones ########", "a printed sheet", sheet(changed(PHONE, lambda _: "########")), "refused", "4 of 4 phones"),
    File("one phone #N/A", f"{EXCEL}, a lookup", sheet(changed(PHONE, lambda _: "#N/A", [2])), "recorded", "1 of 4 phones"),
    File("phones -907779", f"{EXCEL}, which computed 44-7700-900123", sheet(changed(PHONE, lambda _: "-907779")), "refused", "4 of 4 phones"),
    File("one phone 4", "a count in the wrong column", sheet(changed(PHONE, lambda _: "4", [2])), "recorded", "1 of 4 phones"),
    File("times 2020-18-06 09:05:00", "a script", sheet(changed(TIME, lambda _: "2020-18-06 09:05:00")), "refused", "4 of 4 times"),
    File("one time 2020-18-06 09:05:00", "a script", sheet(changed(TIME, lambda _: "2020-18-06 09:05:00", [1])), "recorded", "1 of 4 times"),
    File("times 08/06/2020 13:50", f"{EXCEL} in Britain", sheet(changed(TIME, british)), "refused", "4 of 4 times cannot be read"),
    File(
        "the same, with --accept-mangled", f"{EXCEL} in Britain", sheet(changed(TIME, british)), "recorded", RECORDED,
        {"accept_mangled": True},
    ),
    File("one time 08/06/2020 13:50", "somebody", sheet(changed(TIME, british, [0])), "recorded", "1 of 4 times cannot be read"),
    File("times 6/8/2020 1:50:06 PM", f"{EXCEL} in America", sheet(changed(TIME, american)), "refused", "4 of 4 times"),
    File("times without seconds", SHEETS, sheet(changed(TIME, lambda time: time[:-3])), "refused", "4 of 4 times"),
    File("times 43990.5764", f"{EXCEL}, as numbers", sheet(changed(TIME, lambda _: "43990.5764")), "refused", "4 of 4 times"),
    File("times ########", "a column that was too narrow", sheet(changed(TIME, lambda _: "########")), "refused", "4 of 4 times"),
    File("times and phones lost", EXCEL, sheet([(short(r[0]), *r[1:3], british(r[3]), *r[4:]) for r in ROWS]), "refused", "4 of 4 phones and 4 of 4 times"),
    File("phones TRUE", EXCEL, sheet(changed(PHONE, lambda _: "TRUE")), "refused", "4 of 4 phones cannot be read"),
    File("phones Err:502", CALC, sheet(changed(PHONE, lambda _: "Err:502")), "refused", "4 of 4 phones cannot be read"),
    File("one phone #¡VALOR!", f"{EXCEL} in Spain", sheet(changed(PHONE, lambda _: "#¡VALOR!", [2])), "recorded", "1 of 4 phones"),
    File("phones 4٫47701E+11", f"{EXCEL} in Egypt", sheet(changed(PHONE, lambda p: short(p).replace(".", "٫"))), "refused", "4 of 4 phones"),
    File("a line of spaces at the end", "a fixed-width export", GOOD + b" , , , , , , , \r\n", "exact", "skipped: 1"),
    # What is cut off, or two files in one.
    File("without the last line end", SHEETS, GOOD[:-2], "refused", "line 6 cannot be read: it is the last and has no line end"),
    File("cut off", "a full disk", GOOD[:-30], "refused", "line 6 cannot be read"),
    File("two files in one", "cat", GOOD + GOOD, "refused", "line 7 cannot be read: it is the header again"),
    File("two files with marks in one", "cat", (b"\xef\xbb\xbf" + GOOD) * 2, "refused", "line 7 cannot be read: it is the header again"),
    File("two files in one, other spaces", "cat", GOOD + sheet(header=[f" {key}" for key in KEYS]), "refused", "line 7 cannot be read: it is the header again"),
    File("two files in one, small letters", "cat", GOOD + sheet(header=[key.lower() for key in KEYS]), "refused", "line 7 cannot be read: it is the header again"),
    File("two files in one, other order", "cat", GOOD + sheet([row[::-1] for row in ROWS], KEYS[::-1]), "refused", "line 7 cannot be read: it is the header again"),
    File("two files in one, ^Z between", "DOS, copy /b", GOOD + b"\x1a" + GOOD, "refused", "line 7 cannot be read: it is the header again"),
    File("a sum below", "somebody", GOOD + b"Total,4\r\n", "refused", "line 7 cannot be read: expected 8 values, got 2"),
    File("a title above", "a report tool", b"Clicks of June\r\n\r\n" + GOOD, "refused", "remove the lines above it"),
    File("a value behind the last column", EXCEL, sheet([(*r, "x", "") for r in ROWS], (*KEYS, "", "")), "refused", "a column without a name"),
    File("numbers before the rows", "pandas, R", sheet([(str(n), *r) for n, r in enumerate(ROWS)], ("", *KEYS)), "refused", "some equal or without one"),
    File("a row with a value too many", "somebody", GOOD + b"447700900123,a,b,,c,d,e,f,g\r\n", "refused", "line 7 cannot be read"),
    File("a quote that is never closed", "an editor", GOOD + b'447700900123,"a,b,,c,d,e,f\r\n', "refused", "line 7 cannot be read"),
    File("every line one quoted value", f"{EXCEL}, saved twice", sheet([[line] for line in text_of(ROWS[:2]).splitlines()[1:]], [",".join(KEYS)]), "refused", "expected a header"),
    File("names in small letters", "a database", sheet(header=[key.lower() for key in KEYS]), "refused", "expected a header"),
    File("UTF-8 and Windows-1252 in one", "cat", GOOD + text_of(ROWS[:1]).encode("cp1252").partition(b"\r\n")[2], "refused", "line 7 cannot be read: it has bytes"),
    # What is no .csv.
    File("._clicks.csv", "macOS, on a stick", b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X" + bytes(100), "refused", "what macOS notes of a file", name="._clicks.csv"),
    File("an Excel workbook called .csv", "renaming", zipped(GOOD, "xl/workbook.xml"), "refused", "an Excel workbook"),
    File("a zip", "mail programs", zipped(GOOD, "clicks.csv"), "refused", "a zip archive"),
    File("a table in HTML", "web tools", b"<html><table><tr><td>447700900123", "refused", "an HTML page"),
    File("nothing", "a full disk", b"", "refused", "an empty file"),
)  # fmt: skip
