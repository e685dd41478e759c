"""One campaign loaded by a Singer tap and target, set up as a competent user would: what we are compared with.

    PEER_VENV/bin/python benchmarks/singer_load.py BASE_URL TOKEN CAMPAIGN DATABASE

The tap is made with Meltano's SDK and is this process; the target is jwills' target-duckdb, a process of its own
at the other end of a pipe, as in `tap | target`. They live in an environment of their own: peer-requirements.txt.
Prints at its end one line of JSON: the peak resident megabytes of each, and the target's exit code.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urljoin

from requests import Response
from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.pagination import BaseHATEOASPaginator
from singer_sdk.streams.rest import HTTPRequest, PageContext

FIELDS = {
    "clicks": "Phone_Number Link_Name Link_Destination Clicked_At User_Agent Device_Type OS_Version Browser_Version",
    "delivery": "SMS_ID Sender Recipient Message_Copy Status Expiry_Date",
    "alt_delivery": "MessageId Mobile FieldNames FieldValues MessageSent MessageUpdate Status",
    "recipient": "Phone_Number Group_Name Group_Description Field_Names Field_Values",
    "sent": "MessageId Brand SentOn RecipientCount TemplateApiId TemplateName Message",
    "unsent": "MessageId Mobile FieldNames FieldValues Reason",
}


class Links(BaseHATEOASPaginator):
    """Follows `links.next`, which is relative to the host root and lacks the slash that says so."""

    def get_next_url(self, response: Response) -> str | None:
        link = response.json()["links"]["next"]
        return urljoin(response.url, "/" + link.lstrip("/")) if link else None


class Report(RESTStream[Any]):
    """One report of one campaign; its rows have no key."""

    def __init__(self, tap: Tap, name: str) -> None:
        fields = (
            th.Property(field, th.IntegerType if field == "RecipientCount" else th.StringType)
            for field in FIELDS[name].split()
        )
        super().__init__(tap, name, th.PropertiesList(*fields).to_dict(), f"reporting/{{campaign}}/{name}")

    @property
    def url_base(self) -> str:
        return str(self.config["base_url"])

    @cached_property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=self.config["token"])

    @property
    def http_headers(self) -> dict[str, str]:
        return {"Accept": "application/json"}

    def parse_response(self, response: Response) -> Iterator[dict[str, Any]]:
        """The rows. The SDK's own way, `records_jsonpath`, takes more time."""
        yield from response.json()["data"]

    def get_new_paginator(self) -> Links:
        return Links()

    def get_http_request(self, *, page: PageContext) -> HTTPRequest:
        request = super().get_http_request(page=page)
        if page.next_page_token:
            request.url = page.next_page_token.geturl()
        return request


class PassonaTap(Tap):
    """The six reports of a campaign, one after another, as Singer taps do it."""

    name = "tap-passona"
    message_writer_class = MsgSpecWriter
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList(
        *(th.Property(name, th.StringType, required=True) for name in ("base_url", "token", "campaign"))
    ).to_dict()

    def discover_streams(self) -> list[Report]:
        return [Report(self, name) for name in FIELDS]


def load(arguments: argparse.Namespace) -> int:
    """Runs `tap | target`: the target's exit code. The tap's errors are let through."""
    source = {name: getattr(arguments, name) for name in ("base_url", "token", "campaign")}
    destination = {
        "path": arguments.database,
        "default_target_schema": "reports",
        "primary_key_required": False,
        "batch_size_rows": 100_000,
    }
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "target.json"
        config.write_text(json.dumps(destination | {"temp_dir": folder}))
        with (
            subprocess.Popen(
                [Path(sys.executable).with_name("target-duckdb"), "--config", config],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                encoding="utf-8",
            ) as target,
            redirect_stdout(target.stdin),
        ):
            PassonaTap(config=source).sync_all()
        return target.returncode


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("base_url", "token", "campaign", "database"):
        parser.add_argument(name)
    code = load(parser.parse_args())
    peaks = {"tap": resource.RUSAGE_SELF, "target": resource.RUSAGE_CHILDREN}
    megabytes = {name: round(resource.getrusage(who).ru_maxrss / 1024) for name, who in peaks.items()}
    print(json.dumps({"megabytes": megabytes, "target": code}))
    return code


if __name__ == "__main__":
    sys.exit(main())
