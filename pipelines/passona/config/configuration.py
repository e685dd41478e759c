"""Read the settings from dlt's configuration, sections `sources.passona` and `destination.warehouse`.

    _lookup -> _misspellings (names checked) -> values by key -> Settings, PrivacySettings, or the warehouse's address

Nothing here changes the process: in a notebook or in Dagster, the environment and dlt stay as they are.
"""

import dataclasses
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
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
    "retain_days": int, "retain_mode": str, "published": list, "account_names": list,
}  # fmt: skip
# The keys that an account may have: the others apply to the whole warehouse.
ACCOUNT_KEYS = tuple(key for key in TYPES if not re.match("privacy|retain|published|account", key))
DESTINATION = ("destination_type", "credentials")
SECRETS = {(*SOURCE, "api_token"), (*SOURCE, "privacy_key"), (*SOURCE, "privacy_former_keys"),
           (*WAREHOUSE, "credentials")}  # fmt: skip
KEYS = {SOURCE: tuple(TYPES), WAREHOUSE: DESTINATION, ACCOUNTS: ACCOUNT_KEYS}
_ALL = [(*section, key) for section in (SOURCE, WAREHOUSE) for key in KEYS[section]]
DEFAULTS = {field.name: field.default for field in dataclasses.fields(Settings)} | {
    "api_token": None, "account_names": (), "destination_type": "duckdb", "credentials": "warehouse.duckdb",
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
            if is_secret(path) and not setting.secret and setting.key in (path[-1], "password"):
                raise ConfigurationError(f"{setting.name}: this is a secret; move it to .dlt/secrets.toml")
        node: Any = as_document(settings)
        for name in path:
            node = node.get(name, {})
        return node if settings else None

    def accounts(self) -> tuple[str, ...]:
        """Return the names of the accounts: `default` if plain `sources.passona` has a token or there is no other.

        The order decides which account loads a campaign that several list: `default`, those of `account_names`, the
        others by name.

        :raises ConfigurationError: a name cannot be used.
        """
        sections = {name for setting in self._under(ACCOUNTS) for name in setting.path[len(ACCOUNTS) :][:1]}
        names = dict.fromkeys([*(self.typed_value((*SOURCE, "account_names")) or ()), *sorted(sections)])
        for name in names:
            check_account_name(name)
        has_default = not names or self.setting((*SOURCE, "api_token"))
        return (DEFAULT_ACCOUNT, *names) if has_default else tuple(names)

    def values(self, account: str = DEFAULT_ACCOUNT) -> dict[str, Any]:
        """Return the values that are set for an account, converted to the types of their keys.

        A named account has the values of `sources.passona`, except the token, where it has none of its own.

        :raises ConfigurationError: a value has another type.
        """
        values = self._values_in(SOURCE, TYPES)
        if account == DEFAULT_ACCOUNT:
            return values
        values.pop("api_token", None)
        return values | self._values_in((*ACCOUNTS, account), ACCOUNT_KEYS)

    def _values_in(self, section: Section, keys: Iterable[str]) -> dict[str, Any]:
        return {key: self.typed_value((*section, key)) for key in keys if self.setting((*section, key))}

    def typed_value(self, path: Section) -> Any:
        """Return the value of a key of `sources.passona` or an account, converted to its type; None if it is not set.

        :raises ConfigurationError: it has another type.
        """
        setting = self.setting(path)
        return setting and _converted(setting, self.value(path), TYPES[path[-1]])

    def sections(self) -> Iterator[tuple[Section, Sequence[str]]]:
        """Yield each section with the keys to show; those of accounts, and the names of these, only if they are set."""
        names = [name for name in self.accounts() if self.setting((*ACCOUNTS, name))]
        yield SOURCE, [key for key in TYPES if key != "account_names" or self.setting((*SOURCE, key))]
        for name in names:
            section = (*ACCOUNTS, name)
            yield section, [key for key in ACCOUNT_KEYS if self.setting((*section, key))]
        yield WAREHOUSE, DESTINATION

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
    config = Configuration(read_settings(_names(_ALL)))
    accounts = [(*ACCOUNTS, name, key) for name in config.accounts() for key in ACCOUNT_KEYS if name != DEFAULT_ACCOUNT]
    return Configuration(read_settings(_names([*_ALL, *accounts]))) if accounts else config


def _names(paths: Iterable[Section]) -> dict[Section, bool]:
    """Return the names to look up, and whether each is a secret."""
    return {path: is_secret(path) for path in paths}


def is_secret(path: Section) -> bool:
    return path in SECRETS or (path[: len(ACCOUNTS)] == ACCOUNTS and path[-1] == "api_token")


def configuration() -> Configuration:
    """Read everything that is configured.

    :raises ConfigurationError: a file cannot be read, or a name is misspelled.
    """
    config = read_configuration()
    _check_names(config.misspelled())
    return config


def check_names(*arguments: str) -> None:
    """Check that every name in section `sources.passona` is a key, or one of the source's other `arguments`.

    :raises ConfigurationError: a name is misspelled, or a file cannot be read.
    """
    _check_names(find_misspelled(plain_settings(), KEYS | {SOURCE: (*TYPES, *arguments)}))


def _check_names(misspelled: Mapping[str, str]) -> None:
    for name, meant in misspelled.items():
        raise ConfigurationError(f"{name}: there is no such key; did you mean {meant}? passona config shows all")


def load_accounts(*names: str) -> tuple[Settings, ...]:
    """Return the checked settings of these accounts, of all if none is named, in the order of `accounts`.

    :raises ConfigurationError: an account is not configured or has no token, a name is misspelled, or a value cannot
        work.
    """
    config = configuration()
    accounts = config.accounts()
    for name in names:
        check_is_configured(name, accounts)
    return tuple(settings_of(config, account) for account in accounts if account in names or not names)


def check_is_configured(account: str, accounts: Sequence[str]) -> None:
    """Check that an account that the user names is among those configured.

    :raises ConfigurationError: it is not.
    """
    if account not in accounts:
        raise ConfigurationError(f"--account {account}: no such account; configured: {', '.join(accounts)}")


def check_account_name(name: str) -> None:
    """Check that an account can have this name.

    :raises ConfigurationError: it cannot.
    """
    if name == DEFAULT_ACCOUNT or not re.fullmatch("(?!.*__)[a-z0-9_]+", name):
        raise ConfigurationError(
            f"account {name!r}: expected a name of a-z, 0-9 and single _, and not {DEFAULT_ACCOUNT}, which stands for "
            "plain [sources.passona]"
        )


def settings_of(config: Configuration, account: str = DEFAULT_ACCOUNT, **overrides: str) -> Settings:
    """Return the checked settings of an account. `overrides`: values that replace the configured ones.

    :raises ConfigurationError: there is no token, or a value cannot work.
    """
    values = config.values(account) | overrides
    values.pop("account_names", None)
    if "api_token" not in values:
        section = SOURCE if account == DEFAULT_ACCOUNT else (*ACCOUNTS, account)
        raise ConfigurationError(
            f"no API token: set {'__'.join(section).upper()}__API_TOKEN, or api_token under [{'.'.join(section)}] "
            "in .dlt/secrets.toml (see .dlt/example.secrets.toml)"
        )
    others = tuple(other for other in config.accounts() if other != account)
    try:
        return Settings(**values, account=account, other_accounts=others)
    except ConfigurationError as error:
        raise error if account == DEFAULT_ACCOUNT else ConfigurationError(f"account {account}: {error}") from None


def load_settings(account: str = DEFAULT_ACCOUNT, **overrides: str) -> Settings:
    """Return the checked settings of an account. Raises like `settings_of`, and for a misspelled name."""
    return settings_of(configuration(), account, **overrides)


def load_settings_without_token(account: str = DEFAULT_ACCOUNT) -> Settings:
    """Return the settings for verbs that send no request. Raises like `load_settings`."""
    return load_settings(account, api_token="none")  # noqa: S106  # stands for none


def load_privacy_settings() -> PrivacySettings:
    """Return only the privacy and retention settings, for verbs that need no token. Raises like `load_settings`."""
    names = {field.name for field in dataclasses.fields(PrivacySettings)}
    return PrivacySettings(**{key: value for key, value in configuration().values().items() if key in names})


def load_retain_days() -> int | None:
    """Return only `retain_days`, for verbs that need no key. Raises like `load_settings`."""
    return PrivacySettings(retain_days=configuration().values().get("retain_days")).retain_days


def load_timezones() -> dict[str, str]:
    """Return only the time zone of each account, for verbs that need no token. Raises like `load_settings`.

    `default` is always among them, for campaigns of accounts that are no longer configured.
    """
    config = configuration()
    accounts = dict.fromkeys((DEFAULT_ACCOUNT, *config.accounts()))
    zones = {name: str(config.values(name).get("timezone", Settings.timezone)) for name in accounts}
    for zone in zones.values():
        check_zone(zone)
    return zones


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
