"""Where settings come from: dlt's own configuration (environment, secrets.toml, config.toml), nothing else."""

from __future__ import annotations

import dataclasses

from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
)
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue

from passona.errors import ConfigurationError
from passona.settings import Settings


@configspec
class PassonaConfiguration(BaseConfiguration):
    """The keys of section `sources.passona`, for dlt to resolve. Meanings and checks: `Settings`."""

    api_token: TSecretStrValue = None  # type: ignore[assignment]  # dlt: None means it must be found
    base_url: str = Settings.base_url
    timezone: str = Settings.timezone
    team_uuid: str | None = None
    page_size: int = Settings.page_size
    concurrency: int = Settings.concurrency
    requests_per_minute: int | None = None
    settle_days: int = Settings.settle_days
    clicks_settle_days: int = Settings.clicks_settle_days
    privacy: str = Settings.privacy
    retry_pause: float = Settings.retry_pause
    request_timeout: float = Settings.request_timeout

    def settings(self) -> Settings:
        return Settings(**{f.name: getattr(self, f.name) for f in dataclasses.fields(Settings)})


def load_settings() -> Settings:
    """The settings as dlt finds them, checked.

    :raises ConfigurationError: no token, a value of the wrong type, or one that cannot work.
    """
    try:
        found = resolve_configuration(PassonaConfiguration(), sections=("sources", "passona"))
    except ConfigFieldMissingException as error:
        raise ConfigurationError(
            "no API token: set SOURCES__PASSONA__API_TOKEN, or api_token under [sources.passona] "
            "in .dlt/secrets.toml (see .dlt/example.secrets.toml)"
        ) from error
    except ConfigValueCannotBeCoercedException as error:
        raise ConfigurationError(
            f"sources.passona.{error.field_name} cannot be read as {_type_name(error.hint)}: "
            f"mend it in .dlt/config.toml or in SOURCES__PASSONA__{error.field_name.upper()}"
        ) from error
    except ConfigurationException as error:
        raise ConfigurationError(f"configuration of sources.passona cannot be read: {type(error).__name__}") from error
    return found.settings()


def _type_name(hint: object) -> str:
    return getattr(hint, "__name__", str(hint))
