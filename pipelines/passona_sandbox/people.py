"""The account's people: their phones, names, groups and fields.

A person is a pure function of the account's seed and a number, so campaigns that reach the same numbers
reach the same people. Phones are unique: multiplying by a number prime to 10 permutes the digits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from passona_sandbox.dice import Dice
from passona_sandbox.words import words

ODD_ONE_IN = 80  # people with something odd in their fields; the guide shows one odd name in one row
HOSTILE_ONE_IN = 3

BRITISH_PERCENT = 70  # of names
FOREIGN_ONE_IN = 33  # of phones

Fields = tuple[str | None, str | None]
Group = tuple[str, str | None]

_FOREIGN = (("3538", 8), ("336", 8), ("4917", 9), ("1415", 7), ("91987", 7))  # prefix, digits after it
_SPREAD = 387_420_489  # 3**18: prime to 10, so it permutes the numbers below any power of ten


class People:
    """The people of a made-up account, by number; hostile ones have values that break careless programs."""

    def __init__(self, seed: int, *, hostile: bool) -> None:
        self.words, self.hostile = words(), hostile
        self.first_phone = Dice("phones", seed).roll(0)[0]
        self._dice = Dice("people", seed)

    def person(self, number: int) -> Person:
        """Return the person of this number (below 10**7, where phones begin to repeat)."""
        return Person(number, self._dice.roll(number), self)


class Person(NamedTuple):
    """One recipient; everything is computed on demand from sixteen dice."""

    number: int
    roll: tuple[int, ...]
    people: People

    @property
    def phone(self) -> str:
        step, die = self.people.first_phone + self.number * _SPREAD, self.roll[11]
        if die % FOREIGN_ONE_IN:
            return f"447{step % 10**9:09d}"
        prefix, digits = _FOREIGN[die // FOREIGN_ONE_IN % len(_FOREIGN)]
        return f"{prefix}{step % 10**digits:0{digits}d}"

    @property
    def first_name(self) -> str:
        names = self._names[0]
        return names[self.roll[1] % len(names)]

    @property
    def last_name(self) -> str:
        names = self._names[1]
        return names[self.roll[2] % len(names)]

    @property
    def groups(self) -> tuple[Group, Group]:
        """The contact group, and a second one that some are in, as names and descriptions."""
        groups, which = self.people.words.groups, self.roll[10] % len(self.people.words.groups)
        return groups[which], groups[which - 1 - self.roll[12] % (len(groups) - 1)]

    @property
    def fields(self) -> Fields:
        """The names and values of the fields, each joined by commas as the API does."""
        names, values = _LAYOUTS[self.roll[8] % len(_LAYOUTS)]
        fields = names, ",".join([value(self) for value in values])
        one_in = HOSTILE_ONE_IN if self.people.hostile else ODD_ONE_IN
        return fields if self.roll[9] % one_in else self._odd_fields(*fields)

    @property
    def _names(self) -> tuple[list[str], list[str]]:
        names, die = self.people.words.names, self.roll[0]
        return names[0 if die % 100 < BRITISH_PERCENT else die // 100 % len(names)]

    def _odd_fields(self, names: str, values: str) -> Fields:
        """Return fields that a comma, a quote, a gap or worse makes hard to parse."""
        lists, kind, die = self.people.words, self.roll[13] % 8, self.roll[14]
        comma = lists.comma_values[die % len(lists.comma_values)]
        if self.people.hostile and kind % 2:
            value = lists.hostile[die % len(lists.hostile)]
            return (names, value) if die >> 16 & 1 else (f"{names},{value}", f"{values},{value}")
        return (
            ("", "") if die % 2 else (None, None),
            (names, None if die % 2 else ""),
            (names, f"{values},{comma}"),
            (f"{names},Town", f"{values},{comma}"),
            (f"{names},Nickname", f"{values},{lists.quoted_values[die % len(lists.quoted_values)]}"),
            (f"{names},Note", values),
            (f"{names},Note,", f"{values},,"),
            (f'"Name, full",{names}', f'"{self.last_name}, {self.first_name}",{values}'),
        )[kind]


_VALUES: dict[str, Callable[[Person], str]] = {
    "First Name": lambda person: person.first_name,
    "Firs Name": lambda person: person.first_name,  # sic: the guide's own sample
    "Prénom": lambda person: person.first_name,
    "Last Name": lambda person: person.last_name,
    "Nom": lambda person: person.last_name,
    "Town": lambda person: person.people.words.towns[person.roll[3] % len(person.people.words.towns)],
    "Points": lambda person: str(person.roll[7] % 5000),
    "Born": lambda person: f"{1940 + person.roll[4] % 65}-0{1 + person.roll[5] % 9}-{10 + person.roll[6] % 19}",
}
_LAYOUTS = tuple(
    (names, tuple(_VALUES[name] for name in names.split(",")))
    for names in (
        "First Name,Last Name",
        "Last Name,First Name",
        "Firs Name,Last Name",
        "First Name,Last Name,Town,Points",
        "Points,First Name,Town,Last Name",
        "First Name,Born,Last Name",
        "Prénom,Nom",
        "First Name",
    )
)
