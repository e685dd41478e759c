"""Everything that is configured for dlt on this machine, each value with its full section and where it stands.

    secret files, variables, secrets.toml, config.toml (of the project, then of the user), vaults -> Settings

The order is dlt's: what stands first counts. Unlike dlt's own lookup this one writes no variables and starts no
logging, and it falls back to no shorter section: `sources.timezone` is not `sources.passona.timezone`.
"""

from __future__ import annotations

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

from passona import dlt_context, environment
from passona.errors import ConfigurationError

Section = tuple[str, ...]

# Where Docker and Kubernetes put a secret, a file each.
SECRET_FILES = Path("/run/secrets")
_FILES = _SECRETS, _CONFIG = ("secrets.toml", "config.toml")
# dlt's own variables for where its files are.
PLACES = ("DLT_PROJECT_DIR", "DLT_CONFIG_FOLDER")
_USUAL_FOLDER = Path(".dlt")


@dataclass(frozen=True)
class Setting:
    """A value, and where it stands. `origin`: a variable, a file or a vault. `secret`: no password is out of place
    there.
    """

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
        """What the user called it."""
        return self.origin if self.is_variable else f"{'.'.join(self.path)} in {self.origin}"


# To import Airflow takes seconds, and it may ask its database; so only where the user says so.
_NO_AIRFLOW = Setting(("providers",), "enable_airflow_secrets", False, "default")


def configured(known: Mapping[Section, bool]) -> Sequence[Setting]:
    """All settings, those that count first.

    `known`: full names that secret files and vaults, which cannot be read through, are asked for; True for secrets.

    :raises ConfigurationError: a file or a vault cannot be read.
    """
    secrets = [path for path, secret in known.items() if secret]
    found = [*_secret_files(secrets), *_variables(environment.users()), *_files()]
    return [*found, *_vaults(found, known)]


def nested(settings: Iterable[Setting]) -> dict[str, Any]:
    """The settings as a document; those that count first win."""
    document: dict[str, Any] = {}
    for setting in settings:
        node = document
        for name in setting.section:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                break  # the whole is set, and counts first
        else:
            node.setdefault(setting.key, setting.value)
    return document


def _secret_files(paths: Iterable[Section]) -> Iterator[Setting]:
    for *section, key in paths:
        name = "--".join((*section, key)).replace("_", "-")
        for file in (SECRET_FILES / name, SECRET_FILES / name / name):
            if file.is_file():
                yield Setting(tuple(section), key, file.read_text("utf-8").strip(), str(file))


def _variables(variables: Mapping[str, str]) -> Iterator[Setting]:
    for name, value in variables.items():
        # dlt looks for names in upper case; any other is written so that it cannot be taken for one.
        *section, key = name.swapcase().split("__")
        yield Setting(tuple(section), key, value, name, is_variable=True)


def _files() -> Iterator[Setting]:
    folder = _folder()
    for name in _FILES:
        for file in (folder / name, Path(global_dir(), name)):
            yield from _flat((), _document(file), _shown(file), secret=name == _SECRETS)


def _folder() -> Path:
    """Where dlt has its files for what is run here.

    :raises ConfigurationError: a variable says that it is elsewhere, and here are some, too.
    """
    users = environment.users()
    folder = Path(users.get(PLACES[0], "."), users.get(PLACES[1], _USUAL_FOLDER))
    if folder.resolve() != _USUAL_FOLDER.resolve() and any((_USUAL_FOLDER / name).is_file() for name in _FILES):
        variable = next(name for name in PLACES if name in users)
        raise ConfigurationError(
            f"{variable} says that settings are in {folder}, but {_USUAL_FOLDER} is here, too: which of them counts? "
            f"Unset {variable}, or run this elsewhere"
        )
    return folder


def _document(file: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(file.read_text("utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(f"{_shown(file)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{_shown(file)} is not UTF-8 text; save it as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        where = str(error).rpartition("(at ")[2].rstrip(")")
        raise ConfigurationError(f"{_shown(file)} is not TOML, at {where}; texts need quotation marks") from None


def _shown(file: Path) -> str:
    """As people would write it; from the folder they are in, or from their home."""
    for folder, sign in ((Path.cwd(), ""), (Path.home(), "~")):
        if file.absolute().is_relative_to(folder):
            return os.path.join(sign, file.absolute().relative_to(folder))  # noqa: PTH118  # Path("~") would say ./~
    return str(file)


def _flat(section: Section, document: Mapping[str, Any], origin: str, *, secret: bool) -> Iterator[Setting]:
    for key, value in document.items():
        if isinstance(value, Mapping):
            yield from _flat((*section, key), value, origin, secret=secret)
        else:
            yield Setting(section, key, value, origin, secret=secret)


def _vaults(found: Iterable[Setting], known: Mapping[Section, bool]) -> Iterator[Setting]:
    """What vaults hold under the known names, if the user told dlt of any."""
    for provider in _other_providers(found):
        for (*section, key), secret in known.items():
            value, _ = provider.get_value(key, TSecretStrValue if secret else AnyType, None, *section)
            if isinstance(value, Mapping):
                yield from _flat((*section, key), value, provider.name, secret=provider.supports_secrets)
            elif value is not None:
                yield Setting(tuple(section), key, value, provider.name, secret=provider.supports_secrets)


def _other_providers(found: Iterable[Setting]) -> Sequence[ConfigProvider]:
    """Providers of dlt beside variables and files: those that this process has registered, or else its vaults.

    :raises ConfigurationError: a vault cannot be opened.
    """
    container = Container()
    if PluggableRunContext in container:
        providers = container[PluggableRunContext].providers.providers
        return [each for each in providers if not isinstance(each, EnvironProvider | SettingsTomlProvider)]
    settings = [setting for setting in found if setting.section[:1] == ("providers",)]
    enabled = [setting for setting in settings if setting.key.startswith("enable_")]
    if not enabled:
        return []
    try:
        with dlt_context.handed(nested([*settings, _NO_AIRFLOW])) as providers:
            return providers[1:]  # the first is what it was handed
    except Exception as error:
        raise ConfigurationError(f"{enabled[0].name}: the vault cannot be opened ({type(error).__name__})") from error
