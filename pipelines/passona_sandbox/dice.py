"""Reproducible random numbers without state: the same key and index always give the same numbers.

A row of any index costs one hash, so page 9,000 costs as much as page 1 and nothing is stored.
"""

from hashlib import blake2b
from math import gcd
from struct import Struct

_SIXTEEN = Struct("<16I")
_GOLDEN = 0.6180339887498949


class Dice:
    """Sixteen numbers below 2**32 for every index."""

    def __init__(self, *key: object) -> None:
        self._start = blake2b(repr(key).encode(), digest_size=_SIXTEEN.size)

    def roll(self, index: int) -> tuple[int, ...]:
        """Return the numbers of this index (not negative)."""
        state = self._start.copy()
        state.update(index.to_bytes(8, "little"))
        return _SIXTEEN.unpack(state.digest())


class Order:
    """A permutation of `count` things that is computed, not stored."""

    def __init__(self, count: int, die: int) -> None:
        """Choose the order by `die`: steps of about the golden ratio visit everything once."""
        self._count = max(count, 1)
        self._start = die % self._count
        self._step = int(self._count * _GOLDEN) + 1
        while gcd(self._step, self._count) > 1:
            self._step += 1

    def at(self, place: int) -> int:
        return (self._start + place * self._step) % self._count
