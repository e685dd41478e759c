"""Where settings come from: dlt's own configuration (environment, secrets.toml, config.toml), nothing else."""

from __future__ import annotations

import dataclasses
import os
from typing import Any, TypeVar

import dlt
from dlt.common.configuration import configspec, resolve_configuration
from dlt.common.configuration.exceptions import (
    ConfigFieldMissingException,
    ConfigurationException,
    ConfigValueCannotBeCoercedException,
)
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.exceptions import MissingDependencyException
from dlt.common.storages.configuration import FilesystemConfiguration
from dlt.common.storages.fsspec_filesystem import fsspec_from_config
from dlt.common.typing import TSecretStrValue

from passona.errors import ConfigurationError
from passona.keeping import Keeping
from passona.settings import Settings, check_zone

# What this program depends on in dlt, for its own process. Nothing is told to dlt's makers (only the
# contract's requests are sent); the load id in every row is what the ledger is believed by; a copy of
# the last load must not stay in the staging tables, nor in the files of packages that are in; dlt's
# log quotes the database's errors, which may quote a row; and a signal ends the program at once, where
# dlt would note it and may forget it.
_FIXED = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID": "true",
    "LOAD__TRUNCATE_STAGING_DATASET": "true",
    "LOAD__DELETE_COMPLETED_JOBS": "true",
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    "RUNTIME__INTERCEPT_SIGNALS": "false",
}
# A job that fails is given up at once, for the run to say so; and jobs one after another need a third
# less memory than side by side, and on one connection no more time. Set only where dlt's sections [load]
# in the environment and in config.toml say nothing.
_USUAL = {"LOAD__RAISE_ON_MAX_RETRIES": "1", "LOAD__WORKERS": "1"}

_Found = TypeVar("_Found", bound=BaseConfiguration)


def configure_dlt() -> None:
    """Sets, for this process, the settings of dlt that loads rest on. Before anything else of dlt is used."""
    os.environ.update(_FIXED)
    for name, value in _USUAL.items():
        if dlt.config.get(name.lower().replace("__", ".")) is None:
            os.environ[name] = value


@configspec
class KeepingConfiguration(BaseConfiguration):
    """The keys of section `sources.passona` on what is kept of people. Meanings and checks: `Keeping`."""

    privacy: str = Keeping.privacy
    privacy_key: TSecretStrValue | None = None
    privacy_former_keys: list[TSecretStrValue] | None = None
    privacy_fields: list[str] | None = None
    retain_days: int | None = None
    retain_mode: str = Keeping.retain_mode
    published: list[str] | None = None

    def keeping(self) -> Keeping:
        return Keeping(**_given(self, Keeping))


@configspec
class PassonaConfiguration(KeepingConfiguration):
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
    retry_pause: float = Settings.retry_pause
    request_timeout: float = Settings.request_timeout

    def settings(self) -> Settings:
        return Settings(**_given(self, Settings))


def _given(found: BaseConfiguration, kind: type[Keeping]) -> dict[str, Any]:
    """The values of a dataclass's fields; lists as what cannot be changed."""
    values = {f.name: getattr(found, f.name) for f in dataclasses.fields(kind)}
    lists = ("privacy_former_keys", "privacy_fields", "published")
    return values | {name: tuple(values[name] or ()) for name in lists}


def load_settings(**known: str) -> Settings:
    """The settings as dlt finds them, checked. `known`: keys that need not be looked for.

    :raises ConfigurationError: no token, a value of the wrong type, or one that cannot work.
    """
    return _resolved(PassonaConfiguration(), **known).settings()


def load_keeping() -> Keeping:
    """What is kept of people alone, for verbs that need no token.

    :raises ConfigurationError: a value of the wrong type, or one that cannot work.
    """
    return _resolved(KeepingConfiguration()).keeping()


def load_retain_days() -> int | None:
    """`retain_days` alone, for who reads the warehouse and needs no key.

    :raises ConfigurationError: it is no number of days.
    """
    return Keeping(retain_days=_resolved(KeepingConfiguration()).retain_days).retain_days


def _resolved(empty: _Found, **known: str) -> _Found:
    configure_dlt()
    try:
        return resolve_configuration(empty, sections=("sources", "passona"), explicit_value=known)
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


def load_settings_without_token() -> Settings:
    """The settings for what asks nothing of the API: the token is not even looked for.

    :raises ConfigurationError: a value of the wrong type, or one that cannot work.
    """
    return load_settings(api_token="none")  # noqa: S106  # stands for none


def object_store(address: str) -> tuple[Any, str]:
    """The file system (fsspec) of an address such as s3://bucket/folder, and the path in it.

    Its credentials are those that dlt's own filesystem source would have: `credentials` in section
    `sources.filesystem`, or what the store's own tools have left on this machine.

    :raises ConfigurationError: a package is not installed, or there are no credentials.
    """
    scheme = address.partition("://")[0]
    try:
        found = resolve_configuration(FilesystemConfiguration(bucket_url=address), sections=("sources", "filesystem"))
        return fsspec_from_config(found)
    except MissingDependencyException as error:
        packages = " ".join(f'"{name}"' for name in error.dependencies)
        raise ConfigurationError(f"{scheme}:// needs what is not installed: pip install {packages}") from error
    except ConfigurationException as error:
        raise ConfigurationError(
            f"{scheme}:// needs credentials: set them under [sources.filesystem.credentials] in .dlt/secrets.toml"
        ) from error
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{scheme}:// is no object store that is known here") from error


def load_timezone() -> str:
    """The account's zone alone, for verbs that need no token.

    :raises ConfigurationError: there is no such zone.
    """
    configure_dlt()
    name = dlt.config.get("sources.passona.timezone", str) or Settings.timezone
    check_zone(name)
    return name


def _type_name(hint: object) -> str:
    return getattr(hint, "__name__", str(hint))
