"""What one run is told: the keys of `sources.passona`, checked once. Found by `configuration`.

Everything but the token has a default. Values that cannot work are refused here, before the first
request, with what to set instead.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from passona.config.privacy_settings import PrivacySettings
from passona.errors import ConfigurationError

# Digits that may be a phone's: errors name none.
_PHONE = re.compile(r"\+?[0-9](?:\W{0,2}[0-9]){5,}")
# Quotation marks that a shell or a file of variables left there, and what names a variable.
_NOT_IN_TOKENS = frozenset("\"'`${}<>%")
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Settings(PrivacySettings):
    """What one run needs to know of the account and of the user's wishes; what is kept of people: `Keeping`.

    `timezone`: IANA name of the zone of times without an offset. `page_size`: rows a page asked
    for. `concurrency`: requests in flight, all together. `requests_per_minute`: an upper bound of
    the user's, None for none. `settle_days`, `clicks_settle_days`: days after a campaign's end.
    `retry_pause`: seconds before the first repeat of a request; doubles with each.
    `request_timeout`: seconds one request may take in all, from the name server to the end of its body.
    """

    api_token: str = field(repr=False)
    base_url: str = "https://passona.co.uk/api/2.0/"
    timezone: str = "Europe/London"
    team_uuid: str | None = None
    page_size: int = 500
    concurrency: int = 8
    requests_per_minute: int | None = None
    settle_days: int = 3
    clicks_settle_days: int = 30
    retry_pause: float = 0.5
    request_timeout: float = 120.0

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "base_url", _checked_address(self.base_url))
        if not self.api_token or any(c.isspace() or not c.isprintable() for c in self.api_token):
            raise ConfigurationError("sources.passona.api_token is empty or has blanks in it; paste the token alone")
        if not self.api_token.isascii():
            raise ConfigurationError("sources.passona.api_token has characters that no token has")
        if not _NOT_IN_TOKENS.isdisjoint(self.api_token):
            raise ConfigurationError(
                "sources.passona.api_token: expected the token alone, got quotation marks around it, or the name of a "
                "variable that was not expanded (${TOKEN}); paste the token itself"
            )
        check_zone(self.timezone)
        if self.team_uuid is not None:
            object.__setattr__(self, "team_uuid", campaign_uuid(self.team_uuid, "sources.passona.team_uuid"))
        _check_range("page_size", self.page_size, 1, 10_000)
        _check_range("concurrency", self.concurrency, 1, 64)
        if self.requests_per_minute is not None:
            _check_range("requests_per_minute", self.requests_per_minute, 1, 100_000)
        _check_range("settle_days", self.settle_days, 0, 3650)
        _check_range("clicks_settle_days", self.clicks_settle_days, 0, 3650)
        _check_range("retry_pause", self.retry_pause, 0, 60)
        _check_range("request_timeout", self.request_timeout, 0.1, 3600)
        self._check_retention()

    def _check_retention(self) -> None:
        """What is still asked for cannot be given up yet: the next load would bring it back."""
        longest = max(self.settle_days, self.clicks_settle_days)
        if self.retain_days is not None and self.retain_days <= longest:
            raise ConfigurationError(
                f"sources.passona.retain_days: {self.retain_days} is not more than {longest}, the days that reports "
                "are asked for after a campaign's end (settle_days, clicks_settle_days)"
            )


def campaign_uuid(text: str, where: str = "campaign") -> str:
    """A uuid in its canonical form (lower case, with dashes), or an error that names where it stood."""
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError as error:
        raise ConfigurationError(
            f"{where}: {_PHONE.sub('***', text.strip())[:60]!r} is not a uuid "
            "(expected something like dc8a7564-fb1e-11e9-abb5-0242ac120008)"
        ) from error


def _checked_address(text: str) -> str:
    """The base address with one closing slash. http is for loopback alone: a token is a password."""
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        good = False
    if not good:
        raise ConfigurationError(
            f"sources.passona.base_url: {text!r} is no http address; the vendor's is https://passona.co.uk/api/2.0/"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("sources.passona.base_url may hold scheme, host, port and path, nothing else")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(
            f"sources.passona.base_url: http would send the token in clear to {parts.hostname}; use https"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def check_zone(name: str) -> None:
    """Nothing, where there is a zone of this IANA name.

    :raises ConfigurationError: there is none.
    """
    # The command line knows this module, and must start without pendulum.
    import pendulum
    from pendulum.tz.exceptions import InvalidTimezone

    try:
        pendulum.timezone(name)
    except (InvalidTimezone, ValueError, OSError) as error:
        raise ConfigurationError(
            f"sources.passona.timezone: no zone is called {name!r}; use an IANA name such as Europe/London"
        ) from error


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ConfigurationError(f"sources.passona.{name}: {value} is not between {low} and {high}")
