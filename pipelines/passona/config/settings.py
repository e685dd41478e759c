"""The keys of `sources.passona`, checked. `configuration` reads them.

Everything except the token has a default. Values that cannot work are refused before the first request.
"""

import re
import uuid
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from passona.config.privacy_settings import PrivacySettings
from passona.errors import ConfigurationError

# Digits that may be a phone's, masked in errors.
_PHONE = re.compile(r"\+?[0-9](?:\W{0,2}[0-9]){5,}")
# No blanks, no quotation marks from a shell or an env file, no syntax of variables.
_TOKEN = re.compile(r"""[^\x00-\x20\x7f-\U0010ffff"'`${}<>%]+""")
_RANGES = {
    "page_size": (1, 10_000),
    "concurrency": (1, 64),
    "requests_per_minute": (1, 100_000),
    "settle_days": (0, 3650),
    "clicks_settle_days": (0, 3650),
    "retry_pause": (0, 60),
    "request_timeout": (0.1, 3600),
}
DEFAULT_ACCOUNT = "default"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True)
class Settings(PrivacySettings):
    """The settings of one account.

    `account`: its name; plain `sources.passona` is `default`. `other_accounts`: that are configured, too. `timezone`:
    IANA name of the zone of times without an offset. `page_size`: rows to request per page. `concurrency`: total
    requests in flight. `requests_per_minute`: an upper bound, None for none. `settle_days`, `clicks_settle_days`: days
    after a campaign's end. `retry_pause`: seconds before the first retry of a request; doubles each time.
    `request_timeout`: total seconds of a request, DNS lookup and body included.
    """

    api_token: str = field(repr=False)
    account: str = DEFAULT_ACCOUNT
    other_accounts: tuple[str, ...] = ()
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
        if not _TOKEN.fullmatch(self.api_token):
            raise ConfigurationError(
                f"{self.token_key}: expected the token alone, got nothing, blanks, quotation marks around it, "
                "or the name of a variable that was not expanded (${TOKEN}); paste the token itself"
            )
        check_zone(self.timezone)
        if self.team_uuid is not None:
            object.__setattr__(self, "team_uuid", campaign_uuid(self.team_uuid, "sources.passona.team_uuid"))
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise ConfigurationError(f"sources.passona.{name}: {value} is not between {low} and {high}")
        self._check_retention()

    @property
    def label(self) -> str | None:
        """The name of the account in messages; None if it is the only one and has no name."""
        return self.account if self.other_accounts or self.account != DEFAULT_ACCOUNT else None

    @property
    def all_accounts(self) -> tuple[str, ...]:
        """The names of all accounts that are configured."""
        return (self.account, *self.other_accounts)

    @property
    def token_key(self) -> str:
        """The full name of the key `api_token` of this account."""
        middle = "" if self.account == DEFAULT_ACCOUNT else f"accounts.{self.account}."
        return f"sources.passona.{middle}api_token"

    def _check_retention(self) -> None:
        """Refuse to erase data that reports still load: the next load would restore it."""
        longest = max(self.settle_days, self.clicks_settle_days)
        if self.retain_days is not None and self.retain_days <= longest:
            raise ConfigurationError(
                f"sources.passona.retain_days: {self.retain_days} is not more than {longest}, the days that reports "
                "are loaded after a campaign's end (settle_days, clicks_settle_days)"
            )


def campaign_uuid(text: str, where: str = "campaign") -> str:
    """Return a uuid in canonical form (lower case, with dashes).

    :raises ConfigurationError: the text is no uuid; names `where` it came from.
    """
    try:
        return str(uuid.UUID(text.strip()))
    except ValueError as error:
        raise ConfigurationError(
            f"{where}: {_PHONE.sub('***', text.strip())[:60]!r} is not a uuid "
            "(expected something like dc8a7564-fb1e-11e9-abb5-0242ac120008)"
        ) from error


def _checked_address(text: str) -> str:
    """Return the base address with one trailing slash."""
    try:
        parts = urlsplit(text.strip())
        good = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # half an IPv6 address, a port that is no number
        good = False
    if not good:
        raise ConfigurationError(
            f"sources.passona.base_url: {text!r} is not an http address; the vendor's is https://passona.co.uk/api/2.0/"
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("sources.passona.base_url may contain only scheme, host, port and path")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigurationError(
            f"sources.passona.base_url: http would send the token in clear to {parts.hostname}; use https"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}/"


def check_zone(name: str) -> None:
    """Check the IANA name of a time zone.

    :raises ConfigurationError: there is no such zone.
    """
    # Importing the command line must not import pendulum.
    import pendulum
    from pendulum.tz.exceptions import InvalidTimezone

    try:
        pendulum.timezone(name)
    except (InvalidTimezone, ValueError, OSError) as error:
        raise ConfigurationError(
            f"sources.passona.timezone: no zone is called {name!r}; use an IANA name such as Europe/London"
        ) from error
