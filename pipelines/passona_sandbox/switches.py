"""How the server behaves: one frozen value, replaceable while it runs."""

from dataclasses import dataclass
from typing import Literal

Links = Literal["bare", "rooted", "absolute", "foreign"]
ErrorShape = Literal["error", "message", "html"]
Unknown = Literal["refused", "empty"]


@dataclass(frozen=True)
class Switches:
    """The server's settings, described in the README; the defaults are what the guide shows or Laravel does."""

    token: str = "sandbox"  # noqa: S105  # no secret
    per_page_limit: int = 500
    honour_per_page: bool = True
    per_page_error: int | None = None
    past_end_error: int | None = None
    unknown_campaign: Unknown = "refused"
    links: Links = "bare"
    foreign_host: str = "https://staging.passona.co.uk"
    error_shape: ErrorShape = "error"
    latency: float = 0.0
    rate_limit: int | None = None
    rate_window: float = 60.0
    rate_headers: bool = True
    teams: tuple[str, ...] = ()
    mail_folder: str = ""
