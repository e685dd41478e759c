"""Who is to be forgotten: phones as people write them, or tokens, in; what the warehouse holds of them out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from passona.errors import ConfigurationError
from passona.masking.phones import is_mangled, read_phone, spellings_of, with_country
from passona.masking.policy import Privacy
from passona.masking.tokens import PHONE_TOKEN

_TOKEN = re.compile(PHONE_TOKEN)


@dataclass(frozen=True)
class People:
    """`phones` as digits with country code. `values`: what stands for them in columns of phones. `entries`:
    what keeps them out. `places`: where each was given, and the values that stand for that one.
    """

    phones: tuple[str, ...]
    values: tuple[str, ...]
    entries: tuple[str, ...]
    places: tuple[tuple[str, frozenset[str]], ...]

    @property
    def tokens(self) -> frozenset[str]:
        """Those of the values that are tokens, to be looked for in texts."""
        return frozenset(filter(_TOKEN.fullmatch, self.values))

    def unfound(self, found: set[str]) -> list[str]:
        """Where those were given who have none of these values."""
        return [where for where, values in self.places if values.isdisjoint(found)]


def people(texts: Iterable[tuple[str, str]], privacy: Privacy) -> People:
    """People as a warehouse of this privacy knows them. `texts`: each with where it stood.

    :raises ConfigurationError: a text is no phone with country code, and no token of this warehouse.
    """
    phones, values, places = [], [], []
    for where, text in texts:
        if _TOKEN.fullmatch(text):
            theirs = [_checked_token(text, where, privacy)]
        else:
            phones.append(_checked_phone(text, where))
            theirs = _values_of(phones[-1], privacy)
        values += theirs
        places.append((where, frozenset(theirs)))
    entries = [privacy.entry(phone) for phone in values] if privacy.is_clear else values
    return People(
        tuple(dict.fromkeys(phones)),
        tuple(dict.fromkeys(values)),
        tuple(dict.fromkeys(entries)),
        tuple(places),
    )


def _values_of(phone: str, privacy: Privacy) -> list[str]:
    """What stands for a phone in this warehouse's columns of phones, where it is not spelled otherwise."""
    spellings = sorted(spellings_of(phone), reverse=True)
    if privacy.is_clear:
        return spellings
    # With 0 and ten digits it is taken for British, and so for another's if its country is not.
    persons = [text for text in map(with_country, spellings) if text == phone or text in spellings]
    return [privacy.tokens.of_phone(person) for person in dict.fromkeys(persons)]


def lines_of(file: Path) -> list[tuple[str, str]]:
    """The lines of a file, each with where it stood; `-` is standard input. # begins a comment.

    :raises ConfigurationError: it is no text.
    """
    import click

    try:
        with click.open_file(str(file), encoding="utf-8-sig") as opened:
            lines = opened.read().splitlines()
    except UnicodeDecodeError:
        raise ConfigurationError("the file of people is not UTF-8 text; save it as UTF-8") from None
    stripped = [(f"line {number}", line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    return [(where, text) for where, text in stripped if text]


def _checked_phone(text: str, where: str) -> str:
    digits = read_phone(text)
    if digits is None or digits.startswith("0"):
        got = (
            "a number of which a spreadsheet has lost digits" if is_mangled(text) and any(map(str.isdigit, text))
            else f"{len(text)} characters that are neither"
        )  # fmt: skip
        raise ConfigurationError(
            f"{where}: expected a phone with its country code (+44 7123 456789 or 447123456789), or a token of this "
            f"warehouse; got {got}"
        )
    return digits


def _checked_token(text: str, where: str, privacy: Privacy) -> str:
    if privacy.is_clear or text.split("_")[1] != privacy.tokens.key_id:
        raise ConfigurationError(
            f"{where}: this token is of key {text.split('_')[1]}, and the tokens of this warehouse are "
            + ("none: it is clear, give the phone" if privacy.is_clear else f"of key {privacy.tokens.key_id}")
        )
    return text
