"""Arguments of `passona_source` for a named account: from its own section, where the caller passes none.

sources.passona.accounts.<account>.<key>, then what dlt found in sources.passona
"""

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, ParamSpec

import dlt
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.reflection.spec import spec_from_signature
from dlt.extract import DltResource, DltSource
from dlt.extract.reference import SourceFactory

from passona.config.configuration import ACCOUNT_KEYS, DEFAULTS, TYPES, check_account_name
from passona.config.settings import DEFAULT_ACCOUNT
from passona.errors import ConfigurationError

P = ParamSpec("P")


class _Arguments(BaseConfiguration):
    """The arguments as dlt resolves them. A named account needs no token in `sources.passona`."""

    def on_partial(self) -> None:
        """Resolve what lacks a token if the account may have one of its own: `of_account` reads that."""
        arguments: Any = self
        if arguments.account != DEFAULT_ACCOUNT:
            arguments.api_token = arguments.api_token or ""
            if not self.is_partial():
                self.resolve()


def account_source(function: Callable[P, Iterable[DltResource]]) -> SourceFactory[P, DltSource]:
    """Make a dlt source of this function, which has the arguments `account` and `api_token`."""
    spec, _ = spec_from_signature(function, inspect.signature(function), base=_Arguments)
    made: SourceFactory[P, DltSource] = dlt.source(function, name="passona", section="passona", spec=spec)
    return made


def of_account(account: str, values: Mapping[str, Any], resolved: Collection[str]) -> dict[str, Any]:
    """Return the values of an account; those that the caller passed win. `resolved`: names of those found by dlt.

    :raises ConfigurationError: no account can have this name, or it has no token.
    """
    if account == DEFAULT_ACCOUNT:
        return dict(values)
    check_account_name(account)
    passed = {key for key, value in values.items() if key not in resolved and value not in ("", DEFAULTS[key])}
    section = f"sources.passona.accounts.{account}"
    own = {key: value for key in ACCOUNT_KEYS if (value := _configured(f"{section}.{key}", TYPES[key])) is not None}
    if "api_token" not in own and "api_token" not in passed:
        raise ConfigurationError(
            f"no API token: set {section.replace('.', '__').upper()}__API_TOKEN, or api_token under [{section}] in "
            ".dlt/secrets.toml"
        )
    return {**values, **{key: value for key, value in own.items() if key not in passed}}


def _configured(name: str, kind: type) -> Any:
    """Return what dlt finds under this full name, and no other."""
    provider = dlt.secrets if name.endswith("api_token") else dlt.config
    return provider.get(name, kind)
