"""Search the files that a run wrote for traces of people: every byte of every file, and every stored value.

DuckDB and Parquet compress texts, so searching their bytes alone proves little; their values are read as well.
"""

import html
import re
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from passona.warehouse.connection import quoted
from passona_sandbox import Account
from passona_sandbox.words import words

PHONES = {"Phone_Number", "Recipient", "Mobile"}
VALUES = {"FieldValues", "Field_Values"}
PERSONAL = PHONES | VALUES | {"Message_Copy", "User_Agent", "Link_Destination"}
_DIGITS = re.compile(rb"[0-9]{8,}")


@dataclass(frozen=True)
class People:
    """What must not be found. `marks`: parts of names and messages that occur nowhere else in the account."""

    phones: frozenset[bytes]
    marks: frozenset[bytes]

    def traces(self, data: bytes) -> set[str]:
        """Return the phones and marks that occur in these bytes, shortened."""
        found = {mark for mark in self.marks if mark in data}
        lengths = {len(phone) for phone in self.phones}
        for run in set(_DIGITS.findall(data)):
            windows = {run[at : at + length] for length in lengths for at in range(len(run) - length + 1)}
            found |= windows & self.phones
        return {trace.decode("utf-8", "replace")[:40] for trace in found}


def people_of(account: Account) -> People:
    """Collect the phones, names and messages of an account's reports."""
    phones: set[bytes] = set()
    plain: set[str] = set()
    for uuid in (str(row["uuid"]) for row in account.campaigns()):
        for report in ("clicks", "delivery", "alt_delivery", "recipient", "sent", "unsent"):
            for row in account.rows(uuid, report):
                phones |= {str(row[key]).encode() for key in PHONES & row.keys() if row[key]}
                plain |= {str(value) for key, value in row.items() if key not in PERSONAL and value}
    text = "\n".join(plain) + "\n".join(str(row) for row in account.campaigns())
    names = {name for pair in words().names for some in pair for name in some} | {"long long", "ééééé"}
    reported = {name for name in names if len(name.encode()) >= 5 and name not in text}
    return People(frozenset(phones), frozenset(mark.encode() for mark in {*reported, "psms.io/"}))


def traces(folder: Path, people: People) -> dict[str, set[str]]:
    """Return the traces in each file below a folder. A warehouse is copied before it is read."""
    found = {}
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes()
        seen = people.traces(data)
        for text in _unpacked(file, folder):
            seen |= people.traces(text)
        if seen:
            found[str(file.relative_to(folder))] = seen
    return found


def _unpacked(file: Path, folder: Path) -> Iterator[bytes]:
    try:
        if file.suffix == ".duckdb":
            yield from stored_values(file, folder.with_name(f"{folder.name}.copy"))
        elif file.suffix == ".parquet":
            yield from _cells(pq.read_table(file).to_batches())
        elif file.suffix == ".arrow":
            with file.open("rb") as opened, pa.ipc.open_stream(opened) as reader:
                yield from _cells(reader)
    except (pa.ArrowException, OSError):
        return  # truncated by a kill; its bytes were searched


def _cells(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    for batch in batches:
        for column in batch.columns:
            yield "\n".join(map(str, column.to_pylist())).encode("utf-8", "replace")


def stored_values(file: Path, scratch: Path) -> Iterator[bytes]:
    scratch.mkdir(exist_ok=True)
    copy = scratch / file.name
    shutil.copy(file, copy)
    log = file.with_name(f"{file.name}.wal")
    if log.exists():
        shutil.copy(log, scratch / log.name)
    try:
        with duckdb.connect(str(copy)) as connection:
            for schema, table in connection.execute(
                "SELECT schema_name, table_name FROM duckdb_tables() WHERE NOT internal"
            ).fetchall():
                name = f"{quoted(schema)}.{quoted(table)}"
                for column, *_ in connection.execute(f"DESCRIBE {name}").fetchall():
                    rows = connection.execute(f"SELECT DISTINCT {quoted(column)}::VARCHAR FROM {name}").fetchall()  # noqa: S608  # quoted
                    yield "\n".join(str(value) for (value,) in rows).encode()
    finally:
        shutil.rmtree(scratch)


def spelled(text: str, phone: str) -> bool:
    """Return True if a text contains a British phone number, in any digits, separators and escapes.

    Shares no code with the program, so it cannot repeat the program's mistakes.
    """
    for seen in (text, html.unescape(unquote(unquote(text)).replace("\\u", "\\ u")), _unescaped(text)):
        digits = "".join(str(unicodedata.digit(c)) if unicodedata.digit(c, None) is not None else c for c in seen)
        for found in re.findall(r"[0-9](?:[\W_]*[0-9])*", re.sub(r"[^\w\s.,+()'/*-]", "", digits)):
            if phone[2:] in re.sub("[^0-9]", "", found):
                return True
    return False


def _unescaped(text: str) -> str:
    return html.unescape(re.sub(r"\\u[0-9a-f]{4}|\\[tnr]", " ", text))
