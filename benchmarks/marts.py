"""The marts on both engines: one account into a DuckDB file and into Postgres; every value compared.

    python benchmarks/marts.py [--rows 4000]

    pages -> passona load, into each -> passona transform, on each -> marts -> DuckDB, which compares them

Ends with 1 where a value differs.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg2
from processes import run, serving

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support import postgres_server  # found by the line above

MARTS = ("campaigns", "messages", "clicks", "links", "devices", "campaign_hours", "campaign_statuses",
         "recipient_fields", "unsent_reasons")  # fmt: skip
# Rows that are made up; beyond them there are copies of the campaigns. It takes some 15 s to make them.
MADE_UP = 500_000
_BEGUN = time.monotonic()


@dataclass
class Engine:
    """One of the two. `place`: how passona finds it. `build`: builds and tests the models,
    and gives its seconds. `mart`: where DuckDB finds a mart of it, in SQL. `size`: its bytes on disk."""

    name: str
    place: dict[str, str]
    build: Callable[[], float]
    mart: Callable[[str], str]
    size: Callable[[], int]
    seconds: dict[str, float] = field(default_factory=dict)
    megabytes: dict[str, float] = field(default_factory=dict)
    differences: dict[str, int] = field(default_factory=dict)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=4_000, help="rows of all reports, about")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="passona-marts-", dir="/var/tmp") as name, ExitStack() as stack:
        folder = Path(name)
        engines = [duckdb_file(folder), stack.enter_context(postgres(folder))]
        loaded = load(engines, arguments.rows)
        for engine in engines:
            engine.seconds["models and tests"] = engine.build()
            engine.megabytes["on disk, marts too"] = engine.size() / 1e6
            tell(f"{engine.name}: models and their tests took {engine.seconds['models and tests']:.0f} s")
        counts = compare(folder, engines[0], engines[1:])
    print(f"\n{loaded}", *table(engines, counts), sep="\n", flush=True)
    return int(any(any(engine.differences.values()) for engine in engines))


def tell(line: str) -> None:
    print(f"{time.monotonic() - _BEGUN:5.0f} s  {line}", flush=True)


def load(engines: Sequence[Engine], rows: int) -> str:
    """Loads the account into each; says how much it was."""
    made_up, copies = min(rows, MADE_UP), max(1, round(rows / MADE_UP))
    with serving("--special", rows=made_up, campaigns=5, copies=copies, per_page_limit=500) as address:
        source = {"SOURCES__PASSONA__API_TOKEN": "sandbox", "SOURCES__PASSONA__BASE_URL": address}
        for engine in engines:
            ended = run([sys.executable, "-m", "passona", "load", "--json"], source | engine.place)
            engine.seconds["load"] = ended.seconds
            engine.megabytes["on disk, loaded"] = engine.size() / 1e6
            written = sum(report["rows"] for report in ended.document["reports"].values())
            reported = f"{written:,} rows of {ended.document['campaigns']} campaigns"
            tell(f"{engine.name}: loaded {reported} in {ended.seconds:.0f} s")
    return reported


def duckdb_file(folder: Path) -> Engine:
    file = folder / "warehouse.duckdb"
    place = {"DESTINATION__WAREHOUSE__CREDENTIALS": str(file)}
    return Engine(
        "DuckDB",
        place,
        lambda: transform(place),
        lambda mart: f"warehouse.analytics.{mart}",
        lambda: file.stat().st_size,
    )


def transform(place: dict[str, str]) -> float:
    return run([sys.executable, "-m", "passona", "transform"], place).seconds


@contextmanager
def postgres(folder: Path) -> Iterator[Engine]:
    """A Postgres server that ends with the block."""
    with postgres_server.server(durable=True) as address:
        place = {
            "DESTINATION__WAREHOUSE__DESTINATION_TYPE": "postgres",
            "DESTINATION__WAREHOUSE__CREDENTIALS": f"{address}/postgres",
        }

        def mart(name: str) -> str:
            file = folder / f"{name}.csv"
            with closing(psycopg2.connect(place["DESTINATION__WAREHOUSE__CREDENTIALS"])) as raw, raw.cursor() as cursor:
                cursor.execute("SET TimeZone = 'UTC'")
                with file.open("wb") as written:
                    cursor.copy_expert(
                        f"COPY analytics.{name} TO STDOUT (FORMAT csv, HEADER, NULL '\\N', FORCE_QUOTE *)", written
                    )
            return f"read_csv('{file}', all_varchar = true, nullstr = '\\N', allow_quoted_nulls = false)"

        def size() -> int:
            with closing(psycopg2.connect(place["DESTINATION__WAREHOUSE__CREDENTIALS"])) as raw, raw.cursor() as cursor:
                cursor.execute("SELECT pg_database_size(current_database())")
                return int(cursor.fetchone()[0])

        yield Engine("Postgres", place, lambda: transform(place), mart, size)


def compare(folder: Path, first: Engine, others: Sequence[Engine]) -> dict[str, int]:
    """Rows of each mart in the first. How many rows the others have alone or lack is noted with them."""
    counts = {}
    with duckdb.connect(config={"temp_directory": str(folder / "compared"), "memory_limit": "12GB"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute(f"ATTACH '{first.place['DESTINATION__WAREHOUSE__CREDENTIALS']}' AS warehouse (READ_ONLY)")
        for mart in MARTS:
            ours = first.mart(mart)
            described = connection.execute(f"DESCRIBE {ours}").fetchall()
            ((counts[mart],),) = connection.execute(f"SELECT count(*) FROM {ours}").fetchall()
            # When it was loaded, which was at another time into each.
            names = {name: type_ for name, type_, *_ in described if name != "verified_at"}
            columns = ", ".join(f'CAST("{name}" AS {type_}) AS "{name}"' for name, type_ in names.items())
            for engine in others:
                engine.differences[mart] = differing(connection, columns, ours, engine.mart(mart), f"{mart}: ")
            tell(f"compared {mart}")
    return counts


def differing(connection: duckdb.DuckDBPyConnection, columns: str, ours: str, theirs: str, what: str) -> int:
    """How many rows only one of two relations has, as often as it has them; the first three are printed.

    Rows are set against each other only where the sums of their hashes (64 bits each) differ: for millions that
    takes minutes and much memory.
    """
    mine, others = (f"(SELECT {columns} FROM {relation})" for relation in (ours, theirs))
    sums = {connection.execute(f"SELECT count(*), sum(hash(r)) FROM {side} AS r").fetchone() for side in (mine, others)}
    if len(sums) == 1:
        return 0
    found = 0
    for which, one, other in (("DuckDB", mine, others), ("the other", others, mine)):
        only = f"({one} EXCEPT ALL {other})"
        ((count,),) = connection.execute(f"SELECT count(*) FROM {only}").fetchall()
        found += count
        for row in connection.execute(f"FROM {only} ORDER BY ALL LIMIT 3").fetchall() if count else ():
            print(f"{what}{which} alone: {row}", flush=True)
    assert found, f"{what}the sums of hashes differ, the rows do not"
    return found


def table(engines: Sequence[Engine], counts: dict[str, int]) -> Iterator[str]:
    yield "".join([f"{'':<20}", *(f"{engine.name:>20}" for engine in engines)])
    for step in engines[0].seconds:
        yield "".join([f"{step:<20}", *(f"{engine.seconds[step]:>18.0f} s" for engine in engines)])
    for what in engines[0].megabytes:
        yield "".join([f"{what:<20}", *(f"{engine.megabytes[what]:>17,.0f} MB" for engine in engines)])
    for mart, count in counts.items():
        cells = [f"{engine.differences[mart]:>12} differ" for engine in engines[1:]]
        yield "".join([f"{mart:<20}{count:>15,} rows", *(f"{cell:>20}" for cell in cells)])


if __name__ == "__main__":
    sys.exit(main())
