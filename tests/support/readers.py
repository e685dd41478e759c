"""Readers of a published copy, each a process of its own: they open it, compare rows with the ledger, let it go.

    python readers.py COPY NUMBER SECONDS    until standard input ends; SECONDS between two polls of each

A line for each new content that a reader finds: its number, the versions that the rows are of, what is wrong.
They are forked before DuckDB makes threads, because twenty interpreters take longer to start than the test.
"""

from __future__ import annotations

import os
import select
import sys

import duckdb

LEDGER = """
    SELECT campaign_id, row_count, digest FROM passona.report_ledger
    WHERE report = 'alt_delivery' AND verified_at IS NOT NULL
      AND _dlt_load_id IN (SELECT load_id FROM passona._dlt_loads WHERE status = 0) ORDER BY ALL"""
ROWS = """
    SELECT campaign_id, count(*), string_agg(DISTINCT status, '+' ORDER BY status) FROM passona.alt_delivery
    GROUP BY campaign_id ORDER BY ALL"""


def poll(path: str) -> tuple[str, str]:
    """The versions of the rows, and what is wrong."""
    with duckdb.connect(path, read_only=True, config={"threads": 1}) as connection:
        ledger = connection.execute(LEDGER).fetchall()
        rows = connection.execute(ROWS).fetchall()
    versions = ",".join(version for _, _, version in rows)
    counted = [(campaign, count) for campaign, count, _ in rows] == [(campaign, count) for campaign, count, _ in ledger]
    return versions, "" if counted else f"rows {rows} ledger {ledger}"


def read(path: str, number: int, pause: float) -> None:
    """Polls until standard input ends."""
    before, polls = None, 0
    while not select.select([0], [], [], pause)[0]:
        try:
            found = poll(path)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test is to know of it
            found = ("", f"{type(error).__name__}: {error}".replace("\n", " "))
        polls += 1
        if found != before:
            tell(number, *found)
            before = found
    tell(number, "polls", str(polls))


def tell(*words: object) -> None:
    os.write(1, ("\t".join(map(str, words)) + "\n").encode())


if __name__ == "__main__":
    for number in range(int(sys.argv[2])):
        if os.fork() == 0:
            read(sys.argv[1], number, float(sys.argv[3]))
            os._exit(0)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            break
