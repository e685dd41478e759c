"""Read everything configured for dlt on this machine: each value with its full section and its origin.

    secret files, variables, secrets.toml, config.toml (the project's, then the global one), vaults -> settings

The order is dlt's: the first one counts. Unlike dlt's own lookup, this one sets no variable, starts no logging, and
never falls back to a shorter section: `sources.timezone` is not `sources.passona.timezone`.
"""

import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlt.common.configuration.container import Container
from dlt.common.configuration.providers import ConfigProvider, EnvironProvider
from dlt.common.configuration.providers.toml import SettingsTomlProvider
from dlt.common.configuration.specs.pluggable_run_context import PluggableRunContext
from dlt.common.runtime.run_context import global_dir
from dlt.common.typing import AnyType, TSecretStrValue

from passona.config import dlt_context
from passona.config.environment import user_environment
from passona.errors import ConfigurationError

Section = tuple[str, ...]

# Docker and Kubernetes put each secret into a file here.
SECRET_FILES = Path("/run/secrets")
_FILES = _SECRETS, _CONFIG = ("secrets.toml", "config.toml")
_FOLDER = Path(".dlt")
# dlt's own variables for the place of its files.
PLACES = ("DLT_PROJECT_DIR", "DLT_CONFIG_FOLDER")


@dataclass(frozen=True)
class Setting:
    """A value and its origin: a variable, a file or a vault. `secret`: whether the origin may hold secrets."""

    section: Section
    key: str
    value: Any = field(repr=False)
    origin: str
    is_variable: bool = False
    secret: bool = True

    @property
    def path(self) -> Section:
        return (*self.section, self.key)

    @property
    def name(self) -> str:
        """Return the name that the user knows."""
        return self.origin if self.is_variable else f"{'.'.join(self.path)} in {self.origin}"


# Importing Airflow takes seconds and may query its database, so it has to be enabled explicitly.
_NO_AIRFLOW = Setting(("providers",), "enable_airflow_secrets", False, "default")


def read_settings(names: Mapping[Section, bool]) -> Sequence[Setting]:
    """Read all settings, in the order in which they count.

    `names`: the full names to look up in secret files and vaults, which cannot be listed; True marks a secret.

    :raises ConfigurationError: a file or a vault cannot be read.
    """
    secrets = [path for path, secret in names.items() if secret]
    settings = [*_secret_files(secrets), *plain_settings()]
    return [*settings, *_vaults(settings, names)]


def plain_settings() -> Sequence[Setting]:
    """Read only variables and dlt's files.

    :raises ConfigurationError: a file cannot be read.
    """
    return [*_variables(user_environment()), *_files()]


def as_document(settings: Iterable[Setting]) -> dict[str, Any]:
    """Nest settings by section; earlier ones win."""
    document: dict[str, Any] = {}
    for setting in settings:
        node = document
        for name in setting.section:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                break  # an earlier setting defines the whole section as one value
        else:
            node.setdefault(setting.key, setting.value)
    return document


def _secret_files(paths: Iterable[Section]) -> Iterator[Setting]:
    for *section, key in paths:
        name = "--".join((*section, key)).replace("_", "-")
        for file in (SECRET_FILES / name, SECRET_FILES / name / name):
            text = _text(file)
            if text is not None:
                yield Setting(tuple(section), key, text.strip(), str(file))


def _variables(variables: Mapping[str, str]) -> Iterator[Setting]:
    for name, value in variables.items():
        # dlt reads upper case only, so another case must stay a different name: swap it.
        *section, key = name.swapcase().split("__")
        yield Setting(tuple(section), key, value, name, is_variable=True)


def _files() -> Iterator[Setting]:
    folder = _folder()
    for name in _FILES:
        for file in (folder / name, Path(global_dir(), name)):
            yield from _flat((), _parsed(file), _shown(file), secret=name == _SECRETS)


def _folder() -> Path:
    """Return the folder of dlt's files for this project."""
    variables = user_environment()
    folder = Path(variables.get(PLACES[0], "."), variables.get(PLACES[1], _FOLDER))
    if folder.resolve() != _FOLDER.resolve() and any((_FOLDER / name).is_file() for name in _FILES):
        variable = next(name for name in PLACES if name in variables)
        raise ConfigurationError(
            f"{variable} names {folder} as the place of the settings, but there are some in {_FOLDER} here, too; "
            f"unset {variable}, or run this elsewhere"
        )
    return folder


def _parsed(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_text(file) or "")
    except tomllib.TOMLDecodeError as error:
        place = str(error).rpartition("(at ")[2].rstrip(")")
        # tomllib's message may quote the value.
        raise ConfigurationError(f"{_shown(file)} is not TOML, at {place}; text needs quotation marks") from None


def _text(file: Path) -> str | None:
    try:
        return file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(f"{_shown(file)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{_shown(file)} is not UTF-8 text; save it as UTF-8") from error


def _shown(file: Path) -> str:
    """Return a path relative to the working directory or the home folder, if it is in one of them."""
    for folder, prefix in ((Path.cwd(), ""), (Path.home(), "~")):
        if file.absolute().is_relative_to(folder):
            return os.path.join(prefix, file.absolute().relative_to(folder))  # noqa: PTH118  # prefix may be empty
    return str(file)


def _flat(section: Section, document: Mapping[str, Any], origin: str, *, secret: bool) -> Iterator[Setting]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat((*section, key), value, origin, secret=secret)
        else:
            yield Setting(section, key, value, origin, secret=secret)


def _vaults(settings: Sequence[Setting], names: Mapping[Section, bool]) -> Iterator[Setting]:
    """Look up these names in the vaults that the settings enable.

    :raises ConfigurationError: a vault cannot be opened or read.
    """
    for provider in _other_providers(settings):
        for (*section, key), secret in names.items():
            try:
                value, _ = provider.get_value(key, TSecretStrValue if secret else AnyType, None, *section)
            except Exception as error:
                raise ConfigurationError(
                    f"the vault {provider.name} cannot be asked for settings ({type(error).__name__})"
                ) from error
            if value is not None:
                yield from _flat(tuple(section), {key: value}, provider.name, secret=provider.supports_secrets)


def _other_providers(settings: Sequence[Setting]) -> Sequence[ConfigProvider]:
    """Return dlt's providers beside variables and files: those registered in this process, or else the vaults."""
    container = Container()
    if PluggableRunContext in container:
        providers = container[PluggableRunContext].providers.providers
        return [each for each in providers if not isinstance(each, EnvironProvider | SettingsTomlProvider)]
    provider_settings = [setting for setting in settings if setting.section[:1] == ("providers",)]
    enabling = [setting for setting in provider_settings if setting.key.startswith("enable_")]
    if not enabling:
        return []
    try:
        with dlt_context.use(as_document([*provider_settings, _NO_AIRFLOW])) as providers:
            return providers[1:]  # the first one is the document itself
    except Exception as error:
        raise ConfigurationError(f"{enabling[0].name}: the vault cannot be opened ({type(error).__name__})") from error
