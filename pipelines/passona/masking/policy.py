"""Reduce rows to what a warehouse may store about people. Pure.

    vendor rows -> forgotten people removed -> columns of text -> their numbers removed -> reduced by mode -> spool

Applied before a row is hashed or written, so spools, packages and digests never hold more. Modes `pseudonymous` and
`minimal` store, by kind of column (`reports.definitions.Personal`):

- phone: a token, HMAC-SHA-256 of the digits with country code, the same in every report and for every spelling
- text: a text of the same length and alphabets, which takes as many SMS
- link: scheme and host, with tokens for phones, and a token for the rest
- value: in pseudonymous the values of allowed fields, with tokens for phones; the others are empty. In minimal none
- agent: in pseudonymous with tokens for phones; in minimal a generic user agent of the same classes
- device: in pseudonymous with tokens for phones; in minimal nothing
- other texts about a person, field names included: with tokens for phones and other long numbers
- unreadable times and numbers: their shape; values of another type: their type

Mode `clear` stores everything except forgotten people: their rows, and their numbers in other texts. In every mode, a
key that is new in the API has no phone in its name, because it becomes a column name.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa

from passona.masking.likely_phones import person_of, persons_of, replaced
from passona.masking.masks import alphabets, joined_lists, list_shape, shape
from passona.masking.phones import blur, erased, is_mangled, with_country
from passona.masking.tokens import Tokens
from passona.reports.decoding import Row, all_values
from passona.reports.definitions import Column, Report
from passona.reports.field_lists import pairs
from passona.reports.times import has_form_of_time

Cells = list[str | None]

# A count of recipients has fewer digits than a phone.
_COUNT = re.compile(r"-?[0-9]{1,9}")
# So many consecutive digits count as a phone. A build number (FBBV/213712345) has one fewer.
_LONG, _LONG_IN_AGENT = 9, 10
# Its last twelve hexadecimal digits may all be decimal.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# May be the account's own number.
_OWN = frozenset({"Sender"})


@dataclass(frozen=True)
class Privacy:
    """The privacy policy of one warehouse.

    `tokens`: for phones, links and the entries of forgotten people; in clear mode for these entries only.
    `fields`: names of fields whose values are kept. `forgotten`: entries of forgotten people.
    `agent_class`: returns a generic user agent of the same classes.
    """

    mode: str = "clear"
    tokens: Tokens = field(default_factory=lambda: Tokens(()))
    fields: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    agent_class: Callable[[str], str | None] = field(default=lambda agent: agent, repr=False)

    @property
    def is_clear(self) -> bool:
        return self.mode == "clear"

    @property
    def keeps_all(self) -> bool:
        """Return True if every text is stored as it came."""
        return self.is_clear and not self.forgotten

    @property
    def row_key(self) -> bytes:
        return b"" if self.is_clear else self.tokens.row_key

    @cached_property
    def identity(self) -> str:
        """Identify the policy: a spool with another identity cannot be reused."""
        parts = (self.mode, self.tokens.key_id, sorted(self.fields), sorted(self.forgotten))
        return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()

    def entry(self, phone: str) -> str:
        """Return the entry of a phone (digits) in the list of forgotten people."""
        return self.tokens.of_phone(phone)

    def without_forgotten(self, report: Report, rows: Sequence[Row]) -> Sequence[Row]:
        key = report.phone_key
        if key is None or not self.forgotten:
            return rows
        return [row for row in rows if not any(map(self._is_forgotten, all_values(row, key)))]

    def columns_without_forgotten(self, report: Report, columns: Mapping[str, pa.Array[Any]]) -> dict[str, Any]:
        """Return rows as columns of text, by key, without those of forgotten people."""
        phones = columns.get(report.phone_key or "")
        if phones is None or not self.forgotten:
            return {**columns}
        kept = pa.array([not self._is_forgotten(phone) for phone in phones.to_pylist()])
        return {key: cells.filter(kept) for key, cells in columns.items()}

    def _is_forgotten(self, phone: object) -> bool:
        # A phone of another JSON type cannot be joined, but it is that phone.
        if phone is None:
            return False
        return any(self._token(person) in self.forgotten for person in persons_of(str(phone)))

    def reduced(self, report: Report, columns: list[Cells]) -> list[Cells]:
        """Reduce columns of text, in the order of the report's sorted keys, to what may be stored."""
        if self.keeps_all:
            return columns
        by_key = dict(zip(report.sorted_keys, columns, strict=True))
        if self.forgotten:
            for column in report.all_columns:
                by_key[column.key] = self._erase_forgotten(column, by_key[column.key])
        if self.is_clear:
            return [by_key[key] for key in report.sorted_keys]
        for column in report.columns:
            if reduce := self.reducer(report, column):
                by_key[column.key] = _mapped(by_key[column.key], reduce)
        if report.lists:
            names, values = (column.key for column in report.lists)
            lists = [self._reduce_lists(*pair) for pair in zip(by_key[names], by_key[values], strict=True)]
            by_key[names], by_key[values] = [names for names, _ in lists], [values for _, values in lists]
        return [by_key[key] for key in report.sorted_keys]

    def _erase_forgotten(self, column: Column, cells: Cells) -> Cells:
        if column.personal in ("phone", "id"):
            return cells
        is_time = column.kind == "time"
        return _mapped(cells, lambda text: text if is_time and has_form_of_time(text) else self._erase_in_text(text))

    def _erase_in_text(self, text: str) -> str:
        return text if not self.forgotten or _UUID.fullmatch(text) else erased(text, self._is_forgotten_phone)

    def _is_forgotten_phone(self, phone: str) -> bool:
        return self._token(phone) in self.forgotten or self._token(with_country(phone)) in self.forgotten

    def new_name(self, key: str) -> str:
        """Return a key that the guide does not know without phones: it is logged, and becomes a column name."""
        return replaced(key, self.tokens.of_name, long_from=_LONG)

    def new_value(self, key: str, text: str | None) -> str | None:
        """Reduce the value of a key that the guide does not know."""
        if not text or not (self.is_clear or self._is_kept(key)):
            return None
        text = self._erase_in_text(text)
        return text if self.is_clear else self.value(text)

    def mismatched_value(self, text: str) -> str:
        """Reduce a value (as JSON) of another type than the guide's."""
        return self._erase_in_text(text) if self.is_clear else f"({_type_of(text)})"

    def reducer(self, report: Report, column: Column) -> Callable[[str], str | None] | None:
        """Return the function that reduces a text of this column; None if texts are stored as they are."""
        if column.personal == "device" and self.mode == "minimal":
            return lambda _: None
        if column.personal == "id" or (column.kind == "text" and (report.phone_key is None or column.key in _OWN)):
            return None
        return self._by_kind.get(column.personal) or {"time": _reduce_time, "integer": _reduce_count}.get(
            column.kind, self.words
        )

    @cached_property
    def _by_kind(self) -> dict[str, Callable[[str], str | None]]:
        return {
            "phone": self._reduce_phone,
            "text": alphabets,
            "link": self._reduce_link,
            "agent": self.agent_class if self.mode == "minimal" else self._reduce_agent,
            "device": self._reduce_agent,
        }

    def _reduce_phone(self, text: str) -> str:
        return blur(text) if is_mangled(text) else self._token(person_of(text))

    @cached_property
    def _token(self) -> Callable[[str], str]:
        # A phone occurs in several reports, often in several rows.
        return lru_cache(maxsize=100_000)(self.tokens.of_phone)

    def _token_in_text(self, digits: str) -> str:
        return self._token(with_country(digits))

    def _reduce_link(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            # Before `hostname` lowers the case: &ThinSpace; is an escape, &thinspace; is none.
            host = urlsplit(f"//{self._without_phones(parts.netloc, _LONG)}").hostname
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            return self.tokens.of_link(text)
        origin = f"{parts.scheme}://{host}/"
        return text if text in (origin, origin[:-1]) else origin + self.tokens.of_link(text)

    def words(self, text: str) -> str:
        """Replace phones in a text about a person."""
        return text if _UUID.fullmatch(text) else self._without_phones(text, _LONG)

    def _reduce_agent(self, text: str) -> str:
        return self._without_phones(text, _LONG_IN_AGENT)

    @cached_property
    def _without_phones(self) -> Callable[[str, int], str]:
        return lru_cache(maxsize=10_000)(
            lambda text, long_from: replaced(text, self._token_in_text, long_from=long_from)
        )

    def value(self, text: str) -> str:
        """Reduce the value of an allowed field. Long numbers stay: the user wants those of customers and orders."""
        return replaced(text, self._token_in_text, long_from=None)

    def _is_kept(self, name: str) -> bool:
        return name in self.fields and self.mode == "pseudonymous"

    def _reduce_lists(self, names: str | None, values: str | None) -> tuple[str | None, str | None]:
        """Reduce a row's field names and values: the same fields, with empty values for names that are not allowed."""
        fields = pairs(names, values)
        if fields is None:
            return names and self.words(names), None if values is None else list_shape(values)
        kept = [self.value(value) if self._is_kept(name) else "" for name, value in fields]
        return joined_lists([self.words(name) for name, _ in fields], kept)


CLEAR = Privacy()


def _mapped(cells: Cells, change: Callable[[str], str | None]) -> Cells:
    # Most columns have few distinct values: statuses, groups, browsers.
    changed = {cell: change(cell) for cell in {*cells} if cell is not None}
    return [None if cell is None else changed[cell] for cell in cells]


def _reduce_time(text: str) -> str:
    return text if has_form_of_time(text) else shape(text)


def _reduce_count(text: str) -> str:
    return text if _COUNT.fullmatch(text) else shape(text)


def _type_of(text: str) -> str:
    kinds = {"{": "object", "[": "list", "t": "boolean", "f": "boolean", "n": "null", '"': "text"}
    return kinds.get(text[:1], "number")
