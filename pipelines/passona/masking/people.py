"""Read the people to forget, as phones or tokens, and find the values that represent them in a warehouse."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from passona.errors import ConfigurationError
from passona.masking.phones import is_mangled, read_phone, spellings_of, with_country
from passona.masking.policy import Privacy
from passona.masking.tokens import PHONE_TOKEN

_TOKEN = re.compile(PHONE_TOKEN)


@dataclass(frozen=True)
class People:
    """`phones`: digits with country code. `values`: their values in phone columns. `entries`: for the list of
    forgotten people. `places`: where each was named in the input, and the values of that person.
    """

    phones: tuple[str, ...]
    values: tuple[str, ...]
    entries: tuple[str, ...]
    places: tuple[tuple[str, frozenset[str]], ...]

    @property
    def tokens(self) -> frozenset[str]:
        """Return the values that are tokens, to search for in texts."""
        return frozenset(filter(_TOKEN.fullmatch, self.values))

    def unfound(self, found: set[str]) -> list[str]:
        """Return the places in the input of people without any of these values."""
        return [place for place, values in self.places if values.isdisjoint(found)]


def people(texts: Iterable[tuple[str, str]], privacy: Privacy) -> People:
    """Read people as this warehouse represents them. `texts`: each with its place in the input.

    :raises ConfigurationError: a text is neither a phone with country code nor a token of this warehouse.
    """
    phones, values, places = [], [], []
    for place, text in texts:
        if _TOKEN.fullmatch(text):
            person_values = [_checked_token(text, place, privacy)]
        else:
            phones.append(_checked_phone(text, place))
            person_values = _values_of(phones[-1], privacy)
        values += person_values
        places.append((place, frozenset(person_values)))
    entries = [privacy.entry(phone) for phone in values] if privacy.is_clear else values
    return People(
        tuple(dict.fromkeys(phones)),
        tuple(dict.fromkeys(values)),
        tuple(dict.fromkeys(entries)),
        tuple(places),
    )


def _values_of(phone: str, privacy: Privacy) -> list[str]:
    """Return the values of a phone in this warehouse's phone columns, unusual spellings apart."""
    spellings = sorted(spellings_of(phone), reverse=True)
    if privacy.is_clear:
        return spellings
    # 0 and ten digits count as British, so for another country they are another person's.
    persons = [text for text in map(with_country, spellings) if text == phone or text in spellings]
    return [privacy.tokens.of_phone(person) for person in dict.fromkeys(persons)]


def _checked_phone(text: str, place: str) -> str:
    digits = read_phone(text)
    if digits is None or digits.startswith("0"):
        got = (
            "a number that lost digits in a spreadsheet" if is_mangled(text) and any(map(str.isdigit, text))
            else f"{len(text)} other characters"
        )  # fmt: skip
        raise ConfigurationError(
            f"{place}: expected a phone with its country code (+44 7123 456789 or 447123456789), or a token of this "
            f"warehouse; got {got}"
        )
    return digits


def _checked_token(text: str, place: str, privacy: Privacy) -> str:
    if privacy.is_clear or text.split("_")[1] != privacy.tokens.key_id:
        raise ConfigurationError(
            f"{place}: this token is of key {text.split('_')[1]}, and the tokens of this warehouse are "
            + ("none: it is clear, give the phone" if privacy.is_clear else f"of key {privacy.tokens.key_id}")
        )
    return text
