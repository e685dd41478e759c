"""Load reports with dlt's `rest_api` source, configured as a competent user would: the loader to compare with.

    python benchmarks/rest_api_load.py BASE_URL TOKEN CAMPAIGN DATABASE --report clicks --report delivery ...

Without options, lists of names and values stay texts. `--lists` turns them into nested rows with a map.
`--tuned` is what an expert would do: lists as well, Parquet files, and normalisation on every core.

Prints `ready` when it starts, and one line of JSON when it ends: the error, if there was one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import dlt
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator
from dlt.sources.rest_api import rest_api_source
from requests import HTTPError, Response

# The two ways to let dlt replace old rows.
KEYS: dict[str, dict[str, Any]] = {
    "merge": {"merge_key": "campaign_id"},
    "primary": {"primary_key": ["campaign_id", "MessageId"]},
}
# The columns with names and values, in the reports that have them.
LISTS = {
    "alt_delivery": ("FieldNames", "FieldValues"),
    "recipient": ("Field_Names", "Field_Values"),
    "unsent": ("FieldNames", "FieldValues"),
}
# Rows per file with --tuned: small enough that every core has files to normalise.
FILE_ROWS = "10000"


class RootLink(JSONLinkPaginator):
    """Resolve the API's links, which are relative to the host root but lack the leading slash."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        link = self._next_reference
        if link and "://" not in link:
            self._next_reference = "/" + link.lstrip("/")


def load(arguments: argparse.Namespace) -> None:
    """Run the pipeline; its errors propagate."""
    source = rest_api_source(
        {
            "client": {
                "base_url": arguments.base_url,
                "auth": {"type": "bearer", "token": arguments.token},
                "headers": {"Accept": "application/json"},
                "paginator": RootLink(next_url_path="links.next"),
            },
            "resource_defaults": {"write_disposition": "merge", "parallelized": True, **KEYS[arguments.key]},
            "resources": [
                {
                    "name": report,
                    "endpoint": {
                        "path": f"reporting/{arguments.campaign}/{report}",
                        "params": {"per_page": arguments.per_page} if arguments.per_page else {},
                        "data_selector": "data",
                    },
                    "processing_steps": [{"map": step} for step in maps(report, arguments)],
                }
                for report in arguments.report
            ],
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "rest_api",
            pipelines_dir=folder,
            destination=dlt.destinations.duckdb(arguments.database),
            dataset_name="reports",
        )
        pipeline.run(source, loader_file_format="parquet" if arguments.tuned else None)


def maps(report: str, arguments: argparse.Namespace) -> list[Callable[[dict[str, Any]], dict[str, Any]]]:
    """Return the functions that change each row of a report."""

    def with_campaign(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"campaign_id": arguments.campaign}

    def with_fields(row: dict[str, Any]) -> dict[str, Any]:
        names, values = ((row.pop(key) or "").split(",") for key in LISTS[report])
        pairs = enumerate(zip(names, values, strict=False), 1)
        return row | {"fields": [{"position": n, "name": name, "value": value} for n, (name, value) in pairs]}

    nested = (arguments.lists or arguments.tuned) and report in LISTS
    return [with_campaign, with_fields] if nested else [with_campaign]


def format_error(error: BaseException) -> str:
    """Name the innermost error, with its HTTP status if it has one."""
    while (inner := error.__cause__ or error.__context__) is not None and not isinstance(error, HTTPError):
        error = inner
    status = f" {error.response.status_code}" if isinstance(error, HTTPError) else ""
    return f"{type(error).__name__}{status}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base_url", "token", "campaign", "database"):
        parser.add_argument(name)
    parser.add_argument("--report", action="append", required=True)
    parser.add_argument("--key", choices=KEYS, default="merge")
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--per-page", type=int)
    parser.add_argument("--seconds", default="20", help="timeout of a request")
    arguments = parser.parse_args()
    # Pauses between retries are as short as in the load that it is compared with; their number is dlt's default.
    os.environ |= {
        "RUNTIME__REQUEST_BACKOFF_FACTOR": "0.002",
        "RUNTIME__REQUEST_TIMEOUT": arguments.seconds,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }
    if arguments.tuned:
        os.environ |= {"NORMALIZE__WORKERS": str(os.cpu_count()), "DATA_WRITER__FILE_MAX_ITEMS": FILE_ROWS}
    print("ready", flush=True)
    error = None
    try:
        load(arguments)
    except Exception as exception:  # noqa: BLE001  # any error is the result
        error = format_error(exception)
    print(json.dumps({"error": error}))
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
