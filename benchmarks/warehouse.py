"""How long `passona transform` takes, and how much memory: all of a big warehouse, then one campaign more.

    python benchmarks/warehouse.py [--messages 10000000] [--folder FOLDER]

    sandbox -> one load -> copies of its campaigns by SQL -> transform -> a load of one campaign -> transform

All tests of the dbt project run both times. The folder (a temporary one if none is named) takes some 7 GB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import duckdb
from bare_client import first_campaign
from processes import Ended, load, run, sandbox

BASE_ROWS = 338_400  # some 100,000 messages in five campaigns
MORE_ROWS = BASE_ROWS // 5
# What must be another in every copy of a table beside campaign_id.
IDS = {
    "clicks": ("row_id",),
    "delivery": ("row_id", "sms_id"),
    "alt_delivery": ("row_id", "message_id"),
    "alt_delivery__fields": ("row_id",),
    "recipient": ("row_id",),
    "recipient__fields": ("row_id",),
    "sent": ("row_id",),
    "unsent": ("row_id",),
    "unsent__fields": ("row_id",),
    "row_issues": ("row_id",),
    "report_ledger": (),
    "campaigns": (),
    "campaigns__contact_groups": (),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000_000)
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    if arguments.folder:
        measure(arguments.folder / "warehouse.duckdb", arguments.messages)
    else:
        with tempfile.TemporaryDirectory() as folder:
            measure(Path(folder) / "warehouse.duckdb", arguments.messages)


def measure(path: Path, messages: int) -> None:
    """Makes the warehouse at `path`, builds it twice and prints what that took."""
    with sandbox("--rows", str(BASE_ROWS)) as address:
        load(address, path)
    multiply(path, messages)
    print(f"{path.stat().st_size / 2**30:.1f} GiB: {counted(path)}", flush=True)
    whole = format_error("all campaigns", transform(path))
    with sandbox("--rows", str(MORE_ROWS), "--campaigns", "1", "--seed", "2") as address:
        load(address, path, first_campaign(address))
    added = format_error("one campaign more", transform(path))
    print(f"the second took {100 * added / whole:.1f} % of the time")


def transform(path: Path) -> Ended:
    """One `passona transform`, whole process."""
    environment = {"DESTINATION__WAREHOUSE__CREDENTIALS": str(path)}
    return run([sys.executable, "-m", "passona", "transform", "--json"], environment)


def multiply(path: Path, messages: int) -> None:
    """Copies of all campaigns under other ids, until there are so many messages."""
    with duckdb.connect(str(path)) as connection:
        ((base,),) = connection.execute("SELECT count(*) FROM passona.delivery").fetchall()
        for table in IDS:
            connection.execute(f"CREATE TEMP TABLE base_{table} AS SELECT * FROM passona.{table}")
        for copy in range(1, messages // base + 1):
            for table, ids in IDS.items():
                changes = ", ".join(
                    f"md5({name} || '{copy}')::UUID::VARCHAR AS {name}" for name in ("campaign_id", *ids)
                )
                connection.execute(f"INSERT INTO passona.{table} SELECT * REPLACE ({changes}) FROM base_{table}")


def counted(path: Path) -> str:
    with duckdb.connect(str(path), read_only=True) as connection:
        counts = [
            f"{connection.execute(f'SELECT count(*) FROM passona.{table}').fetchall()[0][0]:,} {table}"
            for table in ("campaigns", "delivery", "alt_delivery", "clicks", "recipient", "recipient__fields")
        ]
    return ", ".join(counts)


def format_error(what: str, ended: Ended) -> float:
    """Prints what a transformation took, and gives the seconds."""
    document = ended.document
    print(
        f"{what}: {ended.seconds:.1f} s, {ended.megabytes:,.0f} MB at most; "
        f"{document['built']} built, {document['passed']} tests passed",
        flush=True,
    )
    return ended.seconds


if __name__ == "__main__":
    main()
