"""Read the settings from dlt's configuration, sections `sources.passona` and `destination.warehouse`.

    _lookup -> _misspellings (names checked) -> values by key -> Settings, PrivacySettings, or the warehouse's address

Nothing here changes the process: in a notebook or in Dagster, the environment and dlt stay as they are.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlt.common.configuration.exceptions import ConfigValueCannotBeCoercedException
from dlt.common.configuration.utils import deserialize_value

from passona.config._lookup import Section, Setting, as_document, plain_settings, read_settings
from passona.config._misspellings import ACCOUNTS, SOURCE, WAREHOUSE, find_ineffective, find_misspelled
from passona.config.privacy_settings import PrivacySettings
from passona.config.settings import DEFAULT_ACCOUNT, Settings, check_zone
from passona.errors import ConfigurationError

# The keys of `sources.passona`, in the order of `passona config`. Meanings and checks: `Settings`, `PrivacySettings`.
TYPES: Mapping[str, type] = {
    "api_token": str, "base_url": str, "timezone": str, "team_uuid": str, "page_size": int, "concurrency": int,
    "requests_per_minute": int, "retry_pause": float, "request_timeout": float, "settle_days": int,
    "clicks_settle_days": int, "privacy": str, "privacy_key": str, "privacy_former_keys": list, "privacy_fields": list,
    "retain_days": int, "retain_mode": str, "published": list,
}  # fmt: skip
DESTINATION = ("destination_type", "credentials")
SECRETS = {(*SOURCE, "api_token"), (*SOURCE, "privacy_key"), (*SOURCE, "privacy_former_keys"),
           (*WAREHOUSE, "credentials")}  # fmt: skip
KEYS = {SOURCE: tuple(TYPES), WAREHOUSE: DESTINATION}
_ALL = {(*section, key): (*section, key) in SECRETS for section, keys in KEYS.items() for key in keys}
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)} | {
    "api_token": None, "destination_type": "duckdb", "credentials": "warehouse.duckdb",
}  # fmt: skip
_KINDS = {int: "a whole number", float: "a number", str: "a text", list: 'a list of texts such as ["a", "b"]'}


@dataclass(frozen=True)
class Configuration:
    """Everything configured for dlt on this machine. `settings`: in the order in which they count."""

    settings: Sequence[Setting]

    def setting(self, path: Section) -> Setting | None:
        """Return the setting of this full name that counts; of a section, the first one in it."""
        return next(iter(self._under(path)), None)

    def _under(self, path: Section) -> list[Setting]:
        return [setting for setting in self.settings if setting.path[: len(path)] == path]

    def value(self, path: Section) -> Any:
        """Return what is set under this full name, as a document if it is a section; None if it is not set.

        :raises ConfigurationError: it is a secret in a file that may hold none.
        """
        settings = self._under(path)
        for setting in settings:
            if path in SECRETS and not setting.secret and setting.key in (path[-1], "password"):
                raise ConfigurationError(f"{setting.name}: this is a secret; move it to .dlt/secrets.toml")
        node: Any = as_document(settings)
        for name in path:
            node = node.get(name, {})
        return node if settings else None

    def values(self) -> dict[str, Any]:
        """Return the values set in `sources.passona`, converted to the types of their keys.

        :raises ConfigurationError: a value has another type.
        """
        return {key: self.typed_value(key) for key in TYPES if self.setting((*SOURCE, key))}

    def typed_value(self, key: str) -> Any:
        """Return the value of one key of `sources.passona`, converted to its type; None if it is not set.

        :raises ConfigurationError: it has another type.
        """
        setting = self.setting((*SOURCE, key))
        return setting and _converted(setting, self.value((*SOURCE, key)), TYPES[key])

    def misspelled(self) -> dict[str, str]:
        """Return the names meant for this program that it does not know, each with the nearest right name."""
        return find_misspelled(self.settings, KEYS)

    def without_effect(self) -> list[str]:
        """Return the names of settings that seem to configure this program, but have no effect."""
        return [setting.name for setting in find_ineffective(self.settings, KEYS)]


def read_configuration() -> Configuration:
    """Read everything that is configured, without checking names.

    :raises ConfigurationError: a file cannot be read.
    """
    return Configuration(read_settings(_ALL))


def configuration() -> Configuration:
    """Read everything that is configured.

    :raises ConfigurationError: a file cannot be read, or a name is misspelled.
    """
    config = read_configuration()
    _check_names(config.misspelled())
    if accounts := config.setting((*SOURCE, ACCOUNTS)):
        raise ConfigurationError(
            f"{accounts.name}: this version does not support accounts; use one warehouse per token"
        )
    return config


def check_names(*arguments: str) -> None:
    """Check that every name in section `sources.passona` is a key, or one of the source's other `arguments`.

    :raises ConfigurationError: a name is misspelled, or a file cannot be read.
    """
    _check_names(find_misspelled(plain_settings(), KEYS | {SOURCE: (*TYPES, *arguments)}))


def _check_names(misspelled: Mapping[str, str]) -> None:
    for name, meant in misspelled.items():
        raise ConfigurationError(f"{name}: there is no such key; did you mean {meant}? passona config shows all")


def load_settings(**overrides: str) -> Settings:
    """Return the checked settings. `overrides`: values that replace the configured ones.

    :raises ConfigurationError: there is no token, a name is misspelled, or a value cannot work.
    """
    return settings_of(configuration().values() | overrides)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """Make settings of these values and check them.

    :raises ConfigurationError: there is no token, or a value cannot work.
    """
    if "api_token" not in values:
        raise ConfigurationError(
            "no API token: set SOURCES__PASSONA__API_TOKEN, or api_token under [sources.passona] "
            "in .dlt/secrets.toml (see .dlt/example.secrets.toml)"
        )
    return Settings(**values)


def load_settings_without_token() -> Settings:
    """Return the settings for verbs that send no request. Raises like `load_settings`."""
    return load_settings(api_token="none")  # noqa: S106  # stands for none


def load_privacy_settings() -> PrivacySettings:
    """Return only the privacy and retention settings, for verbs that need no token. Raises like `load_settings`."""
    names = {field.name for field in dataclasses.fields(PrivacySettings)}
    return PrivacySettings(**{key: value for key, value in configuration().values().items() if key in names})


def load_retain_days() -> int | None:
    """Return only `retain_days`, for verbs that need no key. Raises like `load_settings`."""
    return PrivacySettings(retain_days=configuration().values().get("retain_days")).retain_days


def load_timezones() -> dict[str, str]:
    """Return only the time zone of each account, for verbs that need no token. Raises like `load_settings`."""
    name = str(configuration().values().get("timezone", Settings.timezone))
    check_zone(name)
    return {DEFAULT_ACCOUNT: name}


def _converted(setting: Setting, value: Any, kind: type) -> Any:
    """Convert a value as dlt does, but accept true and false neither as a number nor as a text."""
    wrong = ConfigurationError(f"{setting.name}: expected {_KINDS[kind]}, got something else")
    if isinstance(value, bool | dict) or (kind is not list and isinstance(value, list)):
        raise wrong
    try:
        converted: Any = deserialize_value(setting.key, value, kind)
    except ConfigValueCannotBeCoercedException as error:
        raise wrong from error
    if kind is not list:
        return converted
    if not all(isinstance(item, str) for item in converted):
        raise wrong
    return tuple(converted)
