"""What is kept of people, and for how long: the keys of `sources.passona` that say so, checked once.

Apart from `settings`, because verbs that ask nothing of the server (`forget`, `re-key`) need no token.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from passona.errors import ConfigurationError

PRIVACY_MODES = ("clear", "pseudonymous", "minimal")
RETAIN_MODES = ("columns", "rows")
# Phone numbers are few, some ten thousand million: what keeps a token from being guessed is the key alone.
# 32 characters of hexadecimal are 128 bits.
SHORTEST_KEY = 32


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """What a warehouse keeps of personal data.

    `privacy`: one of PRIVACY_MODES. `privacy_key`: makes the tokens. `privacy_former_keys`: those before
    it, oldest first, that the tokens also rest on since `passona re-key`. `privacy_fields`: names of
    contacts' fields, and keys that are new in the API, whose values are kept in pseudonymous mode.
    `retain_days`: days after a campaign's end at which its personal data go, None for never;
    `retain_mode`: whether as columns or with their rows. `published`: copies of the warehouse to forget in.
    """

    privacy: str = "clear"
    privacy_key: str | None = field(default=None, repr=False)
    privacy_former_keys: tuple[str, ...] = field(default=(), repr=False)
    privacy_fields: tuple[str, ...] = ()
    retain_days: int | None = None
    retain_mode: str = "columns"
    published: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_word("privacy", self.privacy, PRIVACY_MODES)
        _check_word("retain_mode", self.retain_mode, RETAIN_MODES)
        if self.retain_days is not None and not 1 <= self.retain_days <= 36_500:
            raise ConfigurationError(f"sources.passona.retain_days: {self.retain_days} is not between 1 and 36500")
        if self.privacy == "clear":
            return
        if self.privacy_key is None:
            raise ConfigurationError(
                f"sources.passona.privacy_key: {self.privacy} mode needs a key; make one with `openssl rand -hex 32`, "
                "keep it in .dlt/secrets.toml or SOURCES__PASSONA__PRIVACY_KEY, and keep a copy of it"
            )
        for key in self.keys:
            _check_key(key)
        if len({*self.keys}) < len(self.keys):
            raise ConfigurationError("sources.passona.privacy_former_keys: a key stands twice, or is the key of today")
        if self.privacy == "minimal" and self.privacy_fields:
            raise ConfigurationError(
                "sources.passona.privacy_fields: minimal mode keeps no field values; take it out, or use pseudonymous"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that tokens rest on, oldest first; none in clear mode."""
        if self.privacy == "clear" or self.privacy_key is None:
            return ()
        return (*self.privacy_former_keys, self.privacy_key)


def _check_word(name: str, word: str, words: tuple[str, ...]) -> None:
    if word not in words:
        raise ConfigurationError(f"sources.passona.{name}: {word!r} is not one of {', '.join(words)}")


def _check_key(key: str) -> None:
    if len(key) < SHORTEST_KEY:
        raise ConfigurationError(
            f"sources.passona.privacy_key: a key has {len(key)} characters, fewer than {SHORTEST_KEY}: phone numbers "
            "can be guessed through a short key; make one with `openssl rand -hex 32`"
        )
