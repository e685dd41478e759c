"""Chance without memory: the same key and index always give the same numbers.

A row of any index costs one hash, so page 9,000 costs as much as page 1 and nothing has to be kept.
"""

from __future__ import annotations

from hashlib import blake2b
from math import gcd
from struct import Struct

_SIXTEEN = Struct("<16I")
_GOLDEN = 0.6180339887498949


class Dice:
    """Sixteen numbers below 2**32 for every index."""

    def __init__(self, *key: object) -> None:
        """Make dice of their own for this key: equal keys roll alike, others independently."""
        self._start = blake2b(repr(key).encode(), digest_size=_SIXTEEN.size)

    def roll(self, index: int) -> tuple[int, ...]:
        """Give the numbers of this index (not negative)."""
        state = self._start.copy()
        state.update(index.to_bytes(8, "little"))
        return _SIXTEEN.unpack(state.digest())


class Order:
    """One order of `count` things: a permutation that is computed, not stored."""

    def __init__(self, count: int, die: int) -> None:
        """Choose the order by `die`; steps of about the golden ratio lead past every thing once."""
        self._count = max(count, 1)
        self._start = die % self._count
        self._step = int(self._count * _GOLDEN) + 1
        while gcd(self._step, self._count) > 1:
            self._step += 1

    def at(self, place: int) -> int:
        """Tell which thing stands at this place."""
        return (self._start + place * self._step) % self._count
