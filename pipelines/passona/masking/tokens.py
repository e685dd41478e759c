"""Keyed tokens (HMAC-SHA-256) that replace phones and links. Pure."""

import hmac
from dataclasses import dataclass, field
from functools import cache, cached_property

# Characters of a token: 128 bits, as many as a row_id has.
TOKEN_DIGITS = 32
# The token of a phone, as a regular expression for Python and DuckDB.
PHONE_TOKEN = f"p_[0-9a-f]{{8}}_[0-9a-f]{{{TOKEN_DIGITS}}}"


@dataclass(frozen=True)
class Tokens:
    """Tokens by a chain of keys. `keys`, oldest first: each is applied to the result of the one before."""

    keys: tuple[bytes, ...] = field(repr=False)

    @cached_property
    def key_id(self) -> str:
        """Identify the keys and their order without revealing them."""
        return self._chained("key", "")[:8]

    @cached_property
    def row_key(self) -> bytes:
        return bytes.fromhex(self._chained("row", ""))

    def of_phone(self, text: str) -> str:
        return f"p_{self.key_id}_{self._chained('phone', text)}"

    def of_link(self, text: str) -> str:
        return f"l_{self.key_id}_{self._chained('link', text)}"

    def of_name(self, text: str) -> str:
        """Return the short token that replaces a phone in a column name."""
        return f"number_{self._chained('name', text)[:8]}" if self.keys else "number"

    def _chained(self, purpose: str, text: str) -> str:
        for key in self.keys:
            text = hmac.digest(purpose_key(key, purpose), text.encode(), "sha256").hex()[:TOKEN_DIGITS]
        return text


@cache
def purpose_key(key: bytes, purpose: str) -> bytes:
    """Derive one key per purpose, so that tokens of different purposes never collide."""
    return hmac.digest(key, purpose.encode(), "sha256")
