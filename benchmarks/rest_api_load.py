"""Reports loaded by dlt's own `rest_api` source, set up as a competent user would: what we are compared with.

    python benchmarks/rest_api_load.py BASE_URL TOKEN CAMPAIGN DATABASE --report clicks --report delivery ...

As it comes its lists of names and values stay texts; with `--lists` they become nested rows by a map.
`--tuned` is what an expert would do: the lists too, files are Parquet, and every core normalises.

Prints `ready` when it begins, and at its end one line of JSON: the error, if there was one.
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

# What stands between equal rows and old ones: the two ways in which dlt can be told to merge.
KEYS: dict[str, dict[str, Any]] = {
    "merge": {"merge_key": "campaign_id"},
    "primary": {"primary_key": ["campaign_id", "MessageId"]},
}


# Names and values of the reports that have them.
LISTS = {
    "alt_delivery": ("FieldNames", "FieldValues"),
    "recipient": ("Field_Names", "Field_Values"),
    "unsent": ("FieldNames", "FieldValues"),
}
# Files of so many rows, so that each core has some to normalise.
FILE_ROWS = "10000"


class RootLink(JSONLinkPaginator):
    """The API's links are relative to the host root and lack the slash that says so; dlt would append them."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        link = self._next_reference
        if link and "://" not in link:
            self._next_reference = "/" + link.lstrip("/")


def load(arguments: argparse.Namespace) -> None:
    """Runs the pipeline; its errors are let through."""

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
                    "processing_steps": [{"map": step} for step in steps(report, arguments)],
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


def steps(report: str, arguments: argparse.Namespace) -> list[Callable[[dict[str, Any]], dict[str, Any]]]:
    """What is done with each row of a report."""

    def with_campaign(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"campaign_id": arguments.campaign}

    def with_fields(row: dict[str, Any]) -> dict[str, Any]:
        names, values = ((row.pop(key) or "").split(",") for key in LISTS[report])
        pairs = enumerate(zip(names, values, strict=False), 1)
        return row | {"fields": [{"position": n, "name": name, "value": value} for n, (name, value) in pairs]}

    nested = (arguments.lists or arguments.tuned) and report in LISTS
    return [with_campaign, with_fields] if nested else [with_campaign]


def format_error(error: BaseException) -> str:
    """The innermost error: its name, and the status where it has one."""
    while (inner := error.__cause__ or error.__context__) is not None and not isinstance(error, HTTPError):
        error = inner
    status = f" {error.response.status_code}" if isinstance(error, HTTPError) else ""
    return f"{type(error).__name__}{status}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base_url", "token", "campaign", "database"):
        parser.add_argument(name)
    parser.add_argument("--report", action="append", required=True)
    parser.add_argument("--key", choices=KEYS, default="merge")
    parser.add_argument("--lists", action="store_true")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--per-page", type=int)
    parser.add_argument("--seconds", default="20")
    arguments = parser.parse_args()
    # The waits between tries are cut as in the load that this is compared with; their number is dlt's own.
    os.environ |= {
        "RUNTIME__REQUEST_BACKOFF_FACTOR": "0.002",
        "RUNTIME__REQUEST_TIMEOUT": arguments.seconds,
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
    }
    if arguments.tuned:
        os.environ |= {"NORMALIZE__WORKERS": str(os.cpu_count()), "DATA_WRITER__FILE_MAX_ITEMS": FILE_ROWS}
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    error = None
    try:
        load(arguments)
    except Exception as exception:  # noqa: BLE001  # whatever it is, it is the result
        error = format_error(exception)
    sys.stdout.write(json.dumps({"error": error}) + "\n")
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
