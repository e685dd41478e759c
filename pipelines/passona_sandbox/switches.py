"""How the server behaves: one frozen value, replaceable while it runs.

The command line and its help are made from these fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Links = Literal["bare", "rooted", "absolute", "foreign"]
ErrorShape = Literal["error", "message", "html"]
RetryAfter = Literal["seconds", "date", "none"]
Unknown = Literal["refused", "empty"]
Encoding = Literal["utf-8", "utf-8-sig", "utf-16", "cp1252"]


@dataclass(frozen=True)
class Switches:
    """The server's settings; the defaults are what the guide shows or Laravel does."""

    token: str = field(default="sandbox", metadata={"help": "the bearer token that is accepted"})
    per_page_limit: int = field(default=500, metadata={"help": "largest page size granted"})
    honour_per_page: bool = field(default=True, metadata={"help": "grant the page size that the client asks for"})
    per_page_error: int | None = field(
        default=None,
        metadata={"help": "status that answers a page size over the limit (none: grant the limit)"},
    )
    delivery_page_size: int = field(
        default=50, metadata={"help": "page size of delivery and alt_delivery when none is asked for"}
    )
    past_end_error: int | None = field(
        default=None, metadata={"help": "status that answers a page past the end (none: an empty page)"}
    )
    unknown_campaign: Unknown = field(
        default="refused", metadata={"help": "reports of an unknown campaign: 404, or without rows"}
    )
    links: Links = field(default="bare", metadata={"help": "how the links of reports are written"})
    foreign_host: str = field(
        default="https://staging.passona.co.uk", metadata={"help": "host that foreign links name"}
    )
    error_shape: ErrorShape = field(default="error", metadata={"help": "format of errors"})
    latency: float = field(default=0.0, metadata={"help": "seconds before each answer"})
    rate_limit: int | None = field(
        default=None,
        metadata={"help": "requests allowed in a window, the next is answered with 429 (none: any number)"},
    )
    rate_window: float = field(default=60.0, metadata={"help": "seconds of that window"})
    rate_headers: bool = field(
        default=True, metadata={"help": "send X-RateLimit-Limit and -Remaining where there is a limit"}
    )
    retry_after: RetryAfter = field(default="seconds", metadata={"help": "how a 429 says when to retry"})
    teams: tuple[str, ...] = field(
        default=(), metadata={"help": "uuids of the teams whose campaigns are shown (none: all)"}
    )
    mail_folder: str = field(
        default="", metadata={"help": "folder for mails with the links of reports (none: no mail)"}
    )
    csv_encoding: Encoding = field(default="utf-8", metadata={"help": "encoding of reports by mail"})
    csv_delimiter: str = field(default=",", metadata={"help": "delimiter of reports by mail"})
    csv_line_end: str = field(default="\r\n", metadata={"help": "line end of reports by mail"})
