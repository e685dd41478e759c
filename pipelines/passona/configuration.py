"""Where settings come from: dlt's own configuration, in the sections `sources.passona` and `destination.warehouse`.

    lookup -> names checked (spelling) -> values by key -> Settings, Keeping, or the warehouse's address

Nothing here changes this process: whoever loads settings in a notebook or in Dagster finds variables and dlt as before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dlt.common.configuration import resolve_configuration
from dlt.common.configuration.exceptions import ConfigurationException, ConfigValueCannotBeCoercedException
from dlt.common.configuration.utils import deserialize_value
from dlt.common.exceptions import MissingDependencyException
from dlt.common.storages.configuration import FilesystemConfiguration
from dlt.common.storages.fsspec_filesystem import fsspec_from_config

from passona import dlt_context
from passona.errors import ConfigurationError
from passona.keeping import Keeping
from passona.lookup import Section, Setting, configured, nested
from passona.settings import Settings, check_zone
from passona.spelling import ACCOUNTS, SOURCE, WAREHOUSE, misspelled, without_effect

# The keys of each section, in the order in which people are shown them. Meanings and checks: `Settings`, `Keeping`.
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
_WORDS = {int: "a whole number", float: "a number", str: "a text", list: 'a list of texts such as ["a", "b"]'}


@dataclass(frozen=True)
class Configuration:
    """All that is configured. `settings`: those that count first."""

    settings: Sequence[Setting]

    def setting(self, path: Section) -> Setting | None:
        """What is set under this full name and counts; of a whole section, the first of what is in it."""
        return next((setting for setting in self.settings if setting.path[: len(path)] == path), None)

    def value(self, path: Section) -> Any:
        """What is set under this full name: a value, or a document where it is a section; None if it is not set.

        :raises ConfigurationError: it is a secret, and stands where none may be.
        """
        first = self.setting(path)
        if first is None:
            return None
        if path in SECRETS and not first.secret:
            raise ConfigurationError(f"{first.name}: this is a secret; move it to .dlt/secrets.toml")
        node = nested(setting for setting in self.settings if setting.path[: len(path)] == path)
        for name in path:
            node = node[name]
        return node

    def values(self) -> dict[str, Any]:
        """What is set in `sources.passona`, each value of its key's type.

        :raises ConfigurationError: a value is of another type.
        """
        return {key: self.typed(key) for key in TYPES if self.setting((*SOURCE, key))}

    def typed(self, key: str) -> Any:
        """What is set for a key of `sources.passona`, of its type; None if it is not set.

        :raises ConfigurationError: it is of another type.
        """
        setting = self.setting((*SOURCE, key))
        return setting and _typed(setting, self.value((*SOURCE, key)), TYPES[key])

    def misspelled(self) -> dict[str, str]:
        """The settings that are meant for us and not known, each with the name it may have to be."""
        return misspelled(self.settings, KEYS)

    def without_effect(self) -> list[Setting]:
        """Settings that somebody may take for settings of this program."""
        return without_effect(self.settings, KEYS)


def read_configuration() -> Configuration:
    """All that is configured, unchecked.

    :raises ConfigurationError: a file cannot be read.
    """
    return Configuration(configured(_ALL))


def configuration() -> Configuration:
    """All that is configured.

    :raises ConfigurationError: a file cannot be read, or a name is misspelled.
    """
    found = read_configuration()
    for name, meant in found.misspelled().items():
        raise ConfigurationError(f"{name}: there is no such key; did you mean {meant}? passona config shows all")
    if accounts := found.setting((*SOURCE, ACCOUNTS)):
        raise ConfigurationError(f"{accounts.name}: this version knows no accounts; use a warehouse for each token")
    return found


def load_settings(**known: str) -> Settings:
    """The settings, checked. `known`: keys that need not be looked for.

    :raises ConfigurationError: no token, a name that is misspelled, or a value that cannot work.
    """
    return settings_of(configuration().values() | known)


def settings_of(values: Mapping[str, Any]) -> Settings:
    """The settings of these values, checked.

    :raises ConfigurationError: no token, or a value that cannot work.
    """
    if "api_token" not in values:
        raise ConfigurationError(
            "no API token: set SOURCES__PASSONA__API_TOKEN, or api_token under [sources.passona] "
            "in .dlt/secrets.toml (see .dlt/example.secrets.toml)"
        )
    return Settings(**values)


def load_settings_without_token() -> Settings:
    """The settings for what asks nothing of the API: a token is not needed.

    :raises ConfigurationError: as above.
    """
    return load_settings(api_token="none")  # noqa: S106  # stands for none


def load_keeping() -> Keeping:
    """What is kept of people alone, for verbs that need no token.

    :raises ConfigurationError: as above.
    """
    names = {field.name for field in dataclasses.fields(Keeping)}
    return Keeping(**{key: value for key, value in configuration().values().items() if key in names})


def load_retain_days() -> int | None:
    """`retain_days` alone, for who reads the warehouse and needs no key.

    :raises ConfigurationError: as above.
    """
    return Keeping(retain_days=configuration().values().get("retain_days")).retain_days


def load_timezone() -> str:
    """The account's zone alone, for verbs that need no token.

    :raises ConfigurationError: as above.
    """
    name = str(configuration().values().get("timezone", Settings.timezone))
    check_zone(name)
    return name


def _typed(setting: Setting, value: Any, kind: type) -> Any:
    """The value as dlt would make it of this type; but no truth value is a number."""
    try:
        if isinstance(value, bool | dict) or (kind is not list and isinstance(value, list)):
            raise TypeError  # noqa: TRY301  # as what dlt says of others
        found: Any = deserialize_value(setting.key, value, kind)
    except (ConfigValueCannotBeCoercedException, TypeError) as error:
        raise ConfigurationError(f"{setting.name}: expected {_WORDS[kind]}, got something else") from error
    if kind is list and not all(isinstance(item, str) for item in found):
        raise ConfigurationError(f"{setting.name}: expected {_WORDS[kind]}, got other things in it")
    return tuple(found) if kind is list else found


def object_store(address: str, section: str = "sources.filesystem") -> tuple[Any, str]:
    """The file system (fsspec) of an address such as s3://bucket/folder, and the path in it.

    Its credentials are those that dlt's own filesystem source or destination would have: `credentials` in this
    section, or what the store's own tools have left on this machine.

    :raises ConfigurationError: a package is not installed, or there are no credentials.
    """
    scheme, path = address.partition("://")[0], tuple(section.split("."))
    ours = [setting for setting in configuration().settings if setting.path[: len(path)] == path]
    try:
        with dlt_context.handed(nested(ours)):
            return fsspec_from_config(resolve_configuration(FilesystemConfiguration(bucket_url=address), sections=path))
    except MissingDependencyException as error:
        packages = " ".join(f'"{name}"' for name in error.dependencies)
        raise ConfigurationError(f"{scheme}:// needs what is not installed: pip install {packages}") from error
    except ConfigurationException as error:
        raise ConfigurationError(
            f"{scheme}:// needs credentials: set them under [{section}.credentials] in .dlt/secrets.toml"
        ) from error
    except (ValueError, ImportError) as error:
        raise ConfigurationError(f"{scheme}:// is no object store that is known here") from error
