"""The privacy and retention keys of `sources.passona`, checked.

Separate from `settings`, because verbs that send no request (`forget`, `re-key`) need no token.
"""

from dataclasses import dataclass, field

from passona.errors import ConfigurationError

PRIVACY_MODES = ("clear", "pseudonymous", "minimal")
RETAIN_MODES = ("columns", "rows")
# There are only some 10**10 phone numbers, so only the key protects a token. 32 hexadecimal characters are 128 bits.
SHORTEST_KEY = 32


@dataclass(frozen=True, kw_only=True)
class PrivacySettings:
    """What a warehouse stores about people.

    `privacy`: one of PRIVACY_MODES. `privacy_key`: the key of tokens. `privacy_former_keys`: earlier keys, oldest
    first, which tokens still depend on after `passona re-key`. `privacy_fields`: contact fields, and new keys of the
    API, whose values are stored in pseudonymous mode. `retain_days`: days from a campaign's end until its personal
    data is erased, None for never. `retain_mode`: one of RETAIN_MODES. `published`: copies in which `forget` also
    erases.
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
            raise ConfigurationError("sources.passona.privacy_former_keys: a key occurs twice, or equals privacy_key")
        if self.privacy == "minimal" and self.privacy_fields:
            raise ConfigurationError(
                "sources.passona.privacy_fields: minimal mode keeps no field values; take it out, or use pseudonymous"
            )

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the keys of tokens, oldest first; none in clear mode."""
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
