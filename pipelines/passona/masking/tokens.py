"""Keyed tokens: what stands for a phone or a link, and tells nothing of it without the key. Pure."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from functools import cached_property

# Characters of a token: 128 bits, as many as a row_id has.
TOKEN_DIGITS = 32
# What the token of a phone looks like, to Python and to DuckDB.
PHONE_TOKEN = f"p_[0-9a-f]{{8}}_[0-9a-f]{{{TOKEN_DIGITS}}}"


@dataclass(frozen=True)
class Tokens:
    """Keyed tokens for texts. `keys`, oldest first: each is applied to what came of those before it."""

    keys: tuple[bytes, ...] = field(repr=False)

    @cached_property
    def key_id(self) -> str:
        """Names the keys without telling them: other keys, or another order, another id."""
        return self._chained("key", "")[:8]

    @cached_property
    def row_key(self) -> bytes:
        """The key of digests of rows."""
        return bytes.fromhex(self._chained("row", ""))

    def of_phone(self, text: str) -> str:
        return f"p_{self.key_id}_{self._chained('phone', text)}"

    def of_link(self, text: str) -> str:
        return f"l_{self.key_id}_{self._chained('link', text)}"

    def of_name(self, text: str) -> str:
        """What stands for a phone within the name of a column, as long as a name may be."""
        return f"number_{self._chained('name', text)[:8]}" if self.keys else "number"

    def _chained(self, purpose: str, text: str) -> str:
        for key in self._keys(purpose):
            text = hmac.digest(key, text.encode(), "sha256").hex()[:TOKEN_DIGITS]
        return text

    def _keys(self, purpose: str) -> tuple[bytes, ...]:
        """One key per purpose, so that no token can be taken for one of another."""
        if purpose not in self._purposes:
            self._purposes[purpose] = tuple(purpose_key(key, purpose) for key in self.keys)
        return self._purposes[purpose]

    @cached_property
    def _purposes(self) -> dict[str, tuple[bytes, ...]]:
        return {}


def purpose_key(key: bytes, purpose: str) -> bytes:
    """The key for one purpose that comes of a key."""
    return hmac.digest(key, purpose.encode(), "sha256")
