"""The same account into a DuckDB file and into Postgres: loads and models, side by side.

    python benchmarks/engines.py [--rows 300000]

    sandbox -> a first load -> a load that finds nothing due changed -> one campaign anew -> transform

Each is a whole process; memory is the loader's own, not the server's. Postgres is one of its own, as a
distribution sets it up (all writes on disk before they count), with the cores shared by all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
from bare_client import first_campaign
from processes import Ended, run, sandbox

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.postgres_server import server  # found by the line above

STEPS = {
    "first load": ("load",),
    "the next, nothing has changed": ("load",),
    "one campaign anew": ("load", "--refresh", "{campaign}"),
    "transform": ("transform",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=300_000)
    rows = parser.parse_args().rows
    with sandbox("--rows", str(rows)) as address, duckdb_file() as file, postgres() as database:
        found = {name: measure(address, place) for name, place in (("DuckDB", file), ("Postgres", database))}
        sizes = {"DuckDB": Path(file["DESTINATION__WAREHOUSE__CREDENTIALS"]).stat().st_size, "Postgres": size(database)}
    written = found["DuckDB"]["first load"].document
    rows = sum(report["rows"] for report in written["reports"].values())
    print(f"{rows:,} rows of {written['campaigns']} campaigns")
    print(f"{'':<32}{'DuckDB':>10}{'':>8}{'Postgres':>10}")
    for step in STEPS:
        cells = "".join(f"{ended[step].seconds:>8.1f} s{ended[step].megabytes:>5.0f} MB" for ended in found.values())
        print(f"{step:<32}{cells}")
    print(f"{'on disk':<32}" + "".join(f"{bytes_ / 1e6:>15.0f} MB" for bytes_ in sizes.values()))


def measure(address: str, place: dict[str, str]) -> dict[str, Ended]:
    """Every step on one warehouse, in order."""
    environment = place | {"SOURCES__PASSONA__API_TOKEN": "sandbox", "SOURCES__PASSONA__BASE_URL": address}
    campaign = first_campaign(address)
    taken = {}
    for step, (verb, *arguments) in STEPS.items():
        given = [argument.format(campaign=campaign) for argument in arguments]
        taken[step] = run([sys.executable, "-m", "passona", verb, "--json", *given], environment)
    return taken


@contextmanager
def duckdb_file() -> Iterator[dict[str, str]]:
    """A DuckDB file that ends with the block, as the environment names it."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        yield {"DESTINATION__WAREHOUSE__CREDENTIALS": f"{folder}/warehouse.duckdb"}


@contextmanager
def postgres() -> Iterator[dict[str, str]]:
    """A Postgres server that ends with the block, as the environment names it."""
    with server(durable=True) as address:
        yield {
            "DESTINATION__WAREHOUSE__DESTINATION_TYPE": "postgres",
            "DESTINATION__WAREHOUSE__CREDENTIALS": f"{address}/postgres",
        }


def size(place: dict[str, str]) -> int:
    """Bytes of the database."""
    with closing(psycopg2.connect(place["DESTINATION__WAREHOUSE__CREDENTIALS"])) as raw, raw.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database())")
        ((found,),) = cursor.fetchall()
    return int(found)


if __name__ == "__main__":
    main()
