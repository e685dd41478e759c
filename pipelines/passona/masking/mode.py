"""Compare the privacy mode of a dataset with the configured one.

A load in another mode, or with another key, would mix clear numbers and tokens, or two tokens of the same person. It
is refused before the first request.
"""

import secrets
from collections.abc import Callable, Iterable
from functools import lru_cache

from passona.config.privacy_settings import PrivacySettings
from passona.errors import ConfigurationError
from passona.masking._user_agents import read_agents
from passona.masking.policy import Privacy
from passona.masking.tokens import Tokens

# The row of table `_privacy`: mode, id of the key, and the key for the entries of forgotten people in clear mode.
Mode = tuple[str, str | None, str | None]


def tokens_of(keys: Iterable[str]) -> Tokens:
    """Return the tokens of these keys, oldest first."""
    return Tokens(tuple(key.encode() for key in keys))


def first_mode(privacy_settings: PrivacySettings, *, has_data: bool) -> Mode:
    """Return the mode of a dataset without a recorded one: data from before there were modes is clear."""
    mode = "clear" if has_data else privacy_settings.privacy
    return mode, None if mode == "clear" else tokens_of(privacy_settings.keys).key_id, secrets.token_hex(32)


def privacy_in(privacy_settings: PrivacySettings, recorded: Mode, forgotten: Iterable[str]) -> Privacy:
    """Return the privacy policy of a dataset with this mode. `forgotten`: entries of forgotten people.

    :raises ConfigurationError: another mode or key is configured.
    """
    tokens = tokens_of(privacy_settings.keys)
    mode, key_id, forgetting_key = recorded
    _check(privacy_settings, tokens, mode, key_id)
    if mode == "clear":
        tokens = Tokens((str(forgetting_key).encode(),))
    return Privacy(mode, tokens, frozenset(privacy_settings.privacy_fields), frozenset(forgotten), agent_class(mode))


def agent_class(mode: str) -> Callable[[str], str | None]:
    # A big report has some thousand user agents; an attacker can send any number.
    return lru_cache(maxsize=10_000)(read_agents().stand_in) if mode == "minimal" else lambda agent: agent


def _check(privacy_settings: PrivacySettings, tokens: Tokens, mode: str, key_id: str | None) -> None:
    if privacy_settings.privacy != mode:
        raise ConfigurationError(
            f"sources.passona.privacy: this warehouse is {mode}, the configuration says {privacy_settings.privacy}: "
            f"set it back to {mode}, or load into a new file (DESTINATION__WAREHOUSE__CREDENTIALS)"
        )
    if mode != "clear" and tokens.key_id != key_id:
        raise ConfigurationError(
            f"sources.passona.privacy_key: this warehouse's tokens are of key {key_id}, the key configured is "
            f"{tokens.key_id}: set the old one again; or, for a new key, add the old one to privacy_former_keys and "
            "run passona re-key"
        )
