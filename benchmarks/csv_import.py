"""How fast `passona import-csv` is, beside DuckDB's own reader of the same file.

    python benchmarks/csv_import.py [--rows N] [--runs N]

A file of alt_delivery with four fields each. In turn: DuckDB's `read_csv` into a table of a file and nothing
more (no ids, no digest, no fields, no ledger); DuckDB alone making what the program makes, an id of each row and
its field rows, with nothing verified: the least that any program on DuckDB could take; and `passona import-csv`
into a new warehouse. Whole processes, medians. 5,000,000 rows take some 4 GB of disk.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from machine import machine, versions
from processes import Ended, run, script
from rounds import Rounds, megabytes, new_warehouse, say, seconds

CAMPAIGN = "dc8a7564-fb1e-11e9-abb5-0242ac120008"
# The bar: how many times as long as DuckDB alone.
BAR = 4.0
_FIRST = ("John", "Ann", "José", "Zoë", "Mary Jane", "Ли", "Omar")
_TOWNS = ("Glasgow", "London", "Leeds", "Perth")
_AT_ONCE = 10_000


def main() -> int:
    arguments = _arguments()
    if arguments.alone:
        return _read_alone(*arguments.alone, fields=arguments.fields)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "alt_delivery.csv"
        write_file(file, arguments.rows)
        say(f"{arguments.rows:,} rows, {file.stat().st_size / 1e6:,.0f} MB")
        found = Rounds(arguments.runs).in_turn(
            {
                "read_csv into a table": lambda: _duckdb(file),
                "DuckDB alone, ids and field rows too": lambda: _duckdb(file, "--fields"),
                "passona import-csv": lambda: _passona(file),
            }
        )
    alone, least, ours = (seconds(runs) for runs in found.values())
    print(machine(), versions(), sep="\n")
    for name, runs in found.items():
        print(f"{name}: {seconds(runs):.1f} s, {arguments.rows / seconds(runs):,.0f} rows/s, {megabytes(runs):.0f} MB")
    print(f"{ours / alone:.1f} times as long as read_csv; the bar is {BAR:g}")
    print(f"{ours / least:.1f} times as long as DuckDB alone with ids and field rows")
    return 0 if ours <= BAR * alone else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--runs", type=int, default=3, help="runs of each, of which the median counts")
    parser.add_argument("--alone", nargs=2, type=Path, metavar=("FILE", "DATABASE"), help=argparse.SUPPRESS)
    parser.add_argument("--fields", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def write_file(path: Path, rows: int) -> None:
    """A report as the server would mail it."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("MessageId,Mobile,FieldNames,FieldValues,MessageSent,MessageUpdate,Status\r\n")
        for first in range(0, rows, _AT_ONCE):
            file.writelines(_lines(range(first, min(first + _AT_ONCE, rows))))


def _lines(numbers: range) -> Iterator[str]:
    for n in numbers:
        sent = f"2024-01-10 {n // 3600 % 24:02}:{n // 60 % 60:02}:{n % 60:02}"
        names = f"{_FIRST[n % 7]},{_FIRST[n * 3 % 7]}son{n % 1000},{_TOWNS[n % 4]},C{n * 7919 % 1_000_003}"
        message = f"{n * 2_654_435_761 % 2**32:08x}-fb1e-11e9-abb5-0242ac120008"
        status = "Success" if n % 17 else "Failed"
        yield f'{message},4471{n:08},"First Name,Last Name,Town,Code","{names}",{sent},{sent},{status}\r\n'


def _duckdb(file: Path, *arguments: str) -> Ended:
    with new_warehouse() as warehouse:
        return run([*script("csv_import.py"), "--alone", file, warehouse, *arguments])


def _read_alone(file: Path, database: Path, *, fields: bool) -> int:
    import duckdb

    with duckdb.connect(str(database)) as connection:
        if not fields:
            connection.execute("CREATE TABLE alt_delivery AS FROM read_csv(?)", [str(file)])
            return 0
        connection.execute(
            f"CREATE TABLE alt_delivery AS SELECT '{CAMPAIGN}' AS campaign_id, md5(read::VARCHAR) AS row_id, * "
            "FROM read_csv(?) AS read",
            [str(file)],
        )
        connection.execute(
            "CREATE TABLE alt_delivery__fields AS SELECT campaign_id, row_id, unnest(range(1, 1 + len(names))) AS "
            "position, unnest(names) AS name, unnest(field_values) AS value FROM (SELECT *, "
            "string_split(FieldNames, ',') AS names, string_split(FieldValues, ',') AS field_values FROM alt_delivery)"
        )
    return 0


def _passona(file: Path) -> Ended:
    with new_warehouse() as warehouse:
        command = [sys.executable, "-m", "passona", "import-csv", "--json", file, "--campaign", CAMPAIGN]
        return run(command, {"DESTINATION__WAREHOUSE__CREDENTIALS": str(warehouse)})


if __name__ == "__main__":
    sys.exit(main())
