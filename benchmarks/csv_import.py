"""`passona import-csv` compared with DuckDB's own reader of the same file.

The file is an alt_delivery report with four fields per row. Three contenders alternate: `read_csv` into a table
and nothing more (no ids, digest, fields or ledger); DuckDB writing the same tables as the program, unverified, which
is the least that any program based on DuckDB can take; and `passona import-csv` into a new warehouse.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from processes import Measured, passona, run
from results import Bar, Line, compared
from rounds import Rounds, megabytes, new_warehouse, seconds

CAMPAIGN = "dc8a7564-fb1e-11e9-abb5-0242ac120008"
ROWS = 5_000_000
READ = "CREATE TABLE alt_delivery AS FROM read_csv('{file}')"
READ_WITH_FIELDS = f"""
    CREATE TABLE alt_delivery AS
    SELECT '{CAMPAIGN}' AS campaign_id, md5(file::VARCHAR) AS row_id, * FROM read_csv('{{file}}') AS file;
    CREATE TABLE alt_delivery__fields AS
    SELECT campaign_id, row_id, unnest(range(1, 1 + len(names))) AS position,
           unnest(names) AS name, unnest(field_values) AS value
    FROM (SELECT *, string_split(FieldNames, ',') AS names, string_split(FieldValues, ',') AS field_values
          FROM alt_delivery)"""
RUN_SQL = "import sys, duckdb; duckdb.connect(sys.argv[1]).execute(sys.argv[2])"
_FIRST = ("John", "Ann", "José", "Zoë", "Mary Jane", "Ли", "Omar")
_TOWNS = ("Glasgow", "London", "Leeds", "Perth")
_BATCH = 10_000


def import_csv(rounds: Rounds) -> Iterator[Line]:
    """Import a file of 5,000,000 rows, which takes 4 GB of disk."""
    rows = rounds.scaled(ROWS)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "alt_delivery.csv"
        write_file(file, rows)
        runs = rounds.alternate(
            {
                "read_csv": partial(_duckdb, file, READ),
                "read_csv with ids and fields": partial(_duckdb, file, READ_WITH_FIELDS),
                "import-csv": partial(_passona, file),
            }
        )
    read, least, ours = runs.values()
    scenario = f"import-csv, {rows:,} rows (ours / other)"
    for other, loads, bar in (("read_csv", read, Bar(4, at_least=False)), ("DuckDB with ids and fields", least, None)):
        yield compared(f"{scenario}: time; other: {other}", seconds(ours), seconds(loads), "s", bar)
    yield compared(f"{scenario}: memory; other: read_csv", megabytes(ours), megabytes(read), "MB")


def write_file(path: Path, rows: int) -> None:
    """Write a report in the format in which the server mails it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("MessageId,Mobile,FieldNames,FieldValues,MessageSent,MessageUpdate,Status\r\n")
        for first in range(0, rows, _BATCH):
            file.writelines(_lines(range(first, min(first + _BATCH, rows))))


def _lines(numbers: range) -> Iterator[str]:
    for n in numbers:
        sent = f"2024-01-10 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}"
        names = f"{_FIRST[n % 7]},{_FIRST[n * 3 % 7]}son{n % 1000},{_TOWNS[n % 4]},C{n * 7919 % 1_000_003}"
        message = f"{n * 2_654_435_761 % 2**32:08x}-fb1e-11e9-abb5-0242ac120008"
        status = "Success" if n % 17 else "Failed"
        yield f'{message},4471{n:08},"First Name,Last Name,Town,Code","{names}",{sent},{sent},{status}\r\n'


def _duckdb(file: Path, sql: str) -> Measured:
    with new_warehouse() as database:
        return run([sys.executable, "-c", RUN_SQL, database, sql.format(file=file)])


def _passona(file: Path) -> Measured:
    with new_warehouse() as warehouse:
        return passona(warehouse, "import-csv", "--json", file, "--campaign", CAMPAIGN, "--report", "alt_delivery")
