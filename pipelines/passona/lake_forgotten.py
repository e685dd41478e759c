"""Who is kept out of a lake: a list with a number, which is only added to.

    entries of `passona forget` -> forgotten/<number>.json, each with all that were before it

A list is put there before anything else is done about these people, and of two processes that want the same number
one gets the next. A load looks at the list behind its last file, and again behind its ledger; whoever forgets looks
at the ledger behind the list. So of a load and a forget at the same time one sees the other, whichever is first, and
no lock is needed. Every forget has a number of its own, also where everybody is on the list already: what a load had
begun to write before it may be gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson

from passona.likely_phones import persons_of
from passona.store import Store
from passona.tokens import Tokens

FOLDER = "forgotten"
_LIST, _DONE = ".json", ".done"
# Those of these phones, as a table has them, who are kept out.
KeptOut = Callable[[Iterable[str]], set[str]]


@dataclass(frozen=True)
class Forgotten:
    """The list. `number`: 0 where nobody was ever forgotten. `entries`: each with when it was first there (UTC).
    `done`: the last number whose people are gone from all that counted then.
    """

    number: int = 0
    entries: Mapping[str, datetime] = field(default_factory=dict, repr=False)
    done: int = 0

    def among(self, tokens: Tokens | None) -> KeptOut:
        """Tells who is kept out. `tokens`: make the entries of phones; None where phones are tokens themselves."""

        def known(phones: Iterable[str]) -> set[str]:
            if tokens is None:
                return {phone for phone in phones if phone in self.entries}
            return {
                phone
                for phone in phones
                if not {tokens.of_phone(person) for person in persons_of(phone)}.isdisjoint(self.entries)
            }

        return known


def newest_list(store: Store, known: Forgotten | None = None) -> Forgotten:
    """The list as it is now. `known`: one that was read before, which may be it still."""
    numbers: dict[str, int] = {_LIST: 0, _DONE: 0}
    for name in store.names(FOLDER):
        digits, dot, kind = name.rpartition("/")[2].partition(".")
        numbers[dot + kind] = max(numbers.get(dot + kind, 0), int(digits))
    number, done = numbers[_LIST], numbers[_DONE]
    if not number:
        return Forgotten()
    if known and known.number == number:
        return Forgotten(number, known.entries, done)
    place = _place(number, _LIST)
    entries = {entry: datetime.fromisoformat(at) for entry, at in orjson.loads(store.read([place])[place]).items()}
    return Forgotten(number, entries, done)


def add_to_list(store: Store, entries: Iterable[str], at: datetime) -> Forgotten:
    """A new list with these people on it, too; whoever begins to write from now on knows them."""
    while True:
        known = newest_list(store)
        both = dict.fromkeys(entries, at) | dict(known.entries)
        if store.create(_place(known.number + 1, _LIST), orjson.dumps(both)):
            return Forgotten(known.number + 1, both, known.done)


def list_put_at(store: Store, number: int) -> datetime | None:
    """When a list was put there, by the clock of the store."""
    return store.put_at(_place(number, _LIST))


def note_done(store: Store, number: int) -> None:
    """All that counts is without the people of this list: what comes without knowing them is behind."""
    store.put(_place(number, _DONE), b"")


def _place(number: int, kind: str) -> str:
    return f"{FOLDER}/{number:08}{kind}"
