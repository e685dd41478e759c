"""The floor: load the six reports of a campaign into DuckDB as text, with the least work possible in Python.

    python benchmarks/floor_load.py BASE_URL TOKEN CAMPAIGN DATABASE

Threads with requests and orjson, rows straight into DuckDB through Arrow. It does not use dlt, and it types,
splits, verifies and retries nothing. A missing or repeated page goes unnoticed.
"""

from __future__ import annotations

import argparse
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import requests

REPORTS = ("clicks", "delivery", "alt_delivery", "recipient", "sent", "unsent")
# The default concurrency of the program.
THREADS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base_url", "token", "campaign", "database"):
        parser.add_argument(name)
    arguments = parser.parse_args()
    local = threading.local()

    def page(report: str, number: int) -> dict[str, Any]:
        if not hasattr(local, "session"):
            local.session = requests.Session()
            local.session.headers["Authorization"] = f"Bearer {arguments.token}"
        address = f"{arguments.base_url}reporting/{arguments.campaign}/{report}"
        response = local.session.get(address, params={"page": number})
        response.raise_for_status()
        document: dict[str, Any] = orjson.loads(response.content)
        return document

    with ThreadPoolExecutor(THREADS) as pool, duckdb.connect(arguments.database) as connection:
        firsts = {report: pool.submit(page, report, 1) for report in REPORTS}
        rest = {
            report: [pool.submit(page, report, number) for number in range(2, first.result()["meta"]["last_page"] + 1)]
            for report, first in firsts.items()
        }
        for report, first in firsts.items():
            rows = [row for future in (first, *rest.pop(report)) for row in future.result()["data"]]
            table = pa.Table.from_pylist(rows)
            connection.register("rows", table)
            connection.execute(f"CREATE TABLE {report} AS SELECT ? AS campaign_id, * FROM rows", [arguments.campaign])


if __name__ == "__main__":
    main()
