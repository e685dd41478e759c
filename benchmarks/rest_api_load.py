"""One report loaded by dlt's own `rest_api` source, set up as a competent user would: what we are compared with.

    python benchmarks/rest_api_load.py BASE_URL TOKEN CAMPAIGN DATABASE --key merge [--per-page N] [--seconds S]

Prints `ready` when it begins, and at its end one line of JSON: the error, if there was one.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
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


class RootLink(JSONLinkPaginator):
    """The API's links are relative to the host root and lack the slash that says so; dlt would append them."""

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        super().update_state(response, data)
        link = self._next_reference
        if link and "://" not in link:
            self._next_reference = "/" + link.lstrip("/")


def load(arguments: argparse.Namespace) -> None:
    """Runs the pipeline; its errors are let through."""

    def with_campaign(row: dict[str, Any]) -> dict[str, Any]:
        return row | {"campaign_id": arguments.campaign}

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
                    "name": "alt_delivery",
                    "endpoint": {
                        "path": f"reporting/{arguments.campaign}/alt_delivery",
                        "params": {"per_page": arguments.per_page} if arguments.per_page else {},
                        "data_selector": "data",
                    },
                    "processing_steps": [{"map": with_campaign}],
                }
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
        pipeline.run(source)


def told(error: BaseException) -> str:
    """The innermost error: its name, and the status where it has one."""
    while (inner := error.__cause__ or error.__context__) is not None and not isinstance(error, HTTPError):
        error = inner
    status = f" {error.response.status_code}" if isinstance(error, HTTPError) else ""
    return f"{type(error).__name__}{status}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base_url", "token", "campaign", "database"):
        parser.add_argument(name)
    parser.add_argument("--key", choices=KEYS, required=True)
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
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    error = None
    try:
        load(arguments)
    except Exception as exception:  # noqa: BLE001  # whatever it is, it is the result
        error = told(exception)
    sys.stdout.write(json.dumps({"error": error}) + "\n")
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
