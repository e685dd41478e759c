"""What is kept of people: texts of rows in, texts that may be written out. Pure.

    vendor rows -> without the forgotten -> columns of text, without their numbers -> reduced by mode -> row_id, spool

Applied before a row is hashed or written anywhere, so that spools, packages and digests never hold more.
By kind of column (`reports.Personal`), in the modes `pseudonymous` and `minimal`:

- phone: a token, HMAC-SHA-256 of its digits with country code, the same in every report and for every spelling
- text: as long, of the same alphabets, so that it takes as many SMS: nothing else of it
- link: its scheme and host, phones in that as tokens, and a token for the rest
- value: none in minimal; in pseudonymous those of allowed names, phones in them as tokens; the others are empty
  in their places
- agent, device: in pseudonymous as they are, phones in them as tokens; in minimal a browser string that stands for
  its classes
- all other texts of a row about a person, names of fields too: phones and other long numbers in them as tokens
- times and numbers that cannot be read: their shape; values of another type: their type

What is `clear` is as it came; only the forgotten are left out: their rows, and their numbers in all other texts. A key
that is new in the API has no phone in its name in any mode, because it becomes the name of a column.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
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
# So many digits in a row are taken for a phone; those of a build (FBBV/213712345) are one fewer.
_LONG, _LONG_IN_AGENT = 9, 10
# Ends in twelve digits of hexadecimal, which may all be decimal.
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# The account's own number, where the sender is a number.
_OWN = frozenset({"Sender"})


@dataclass(frozen=True)
class Privacy:
    """What one warehouse keeps.

    `tokens`: for phones and links, and for the entries of the forgotten; in clear mode for these alone.
    `fields`: names whose values are kept. `forgotten`: entries of people that are kept out.
    `agent_class`: a browser string that stands for the classes of another.
    """

    mode: str = "clear"
    tokens: Tokens = field(default_factory=lambda: Tokens(()))
    fields: frozenset[str] = frozenset()
    forgotten: frozenset[str] = frozenset()
    agent_class: Callable[[str], str | None] = field(default=lambda agent: agent, repr=False)
    _known: dict[str, str] = field(default_factory=dict, repr=False, compare=False)
    _texts: dict[tuple[str, int], str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_clear(self) -> bool:
        return self.mode == "clear"

    @property
    def keeps_all(self) -> bool:
        """Whether every text is written as it came."""
        return self.is_clear and not self.forgotten

    @property
    def row_key(self) -> bytes:
        """The key of digests of rows; empty in clear mode."""
        return b"" if self.is_clear else self.tokens.row_key

    @cached_property
    def identity(self) -> str:
        """Stands for all of it: what was spooled under another is of no use."""
        parts = (self.mode, self.tokens.key_id, sorted(self.fields), sorted(self.forgotten))
        return hashlib.blake2b(repr(parts).encode(), digest_size=8).hexdigest()

    def entry(self, phone: str) -> str:
        """What the list of the forgotten holds of a phone, which is given as its digits."""
        return self.tokens.of_phone(phone)

    def without_forgotten(self, report: Report, rows: Sequence[Row]) -> Sequence[Row]:
        """The rows of people who are not kept out."""
        key = report.phone_key
        if key is None or not self.forgotten:
            return rows
        return [row for row in rows if not any(map(self._is_forgotten, all_values(row, key)))]

    def columns_without_forgotten(self, report: Report, columns: Mapping[str, pa.Array[Any]]) -> dict[str, Any]:
        """The same of rows that come as columns of text, by their keys."""
        phones = columns.get(report.phone_key or "")
        if phones is None or not self.forgotten:
            return {**columns}
        kept = pa.array([not self._is_forgotten(phone) for phone in phones.to_pylist()])
        return {key: cells.filter(kept) for key, cells in columns.items()}

    def _is_forgotten(self, phone: object) -> bool:
        # A phone that came as another type is a value nobody can join, but it is that phone all the same.
        if phone is None:
            return False
        return any(self._token(person) in self.forgotten for person in persons_of(str(phone)))

    def reduced(self, report: Report, columns: list[Cells]) -> list[Cells]:
        """Columns of text, in the order of the report's sorted keys, as they may be written."""
        if self.keeps_all:
            return columns
        by_key = dict(zip(report.sorted_keys, columns, strict=True))
        if self.forgotten:
            for column in report.all_columns:
                by_key[column.key] = self._without_their_numbers(column, by_key[column.key])
        if self.is_clear:
            return [by_key[key] for key in report.sorted_keys]
        for column in report.columns:
            by_key[column.key] = self._column(report, column, by_key[column.key])
        if report.lists:
            names, values = (column.key for column in report.lists)
            lists = [self._lists(*pair) for pair in zip(by_key[names], by_key[values], strict=True)]
            by_key[names], by_key[values] = [names for names, _ in lists], [values for _, values in lists]
        return [by_key[key] for key in report.sorted_keys]

    def _without_their_numbers(self, column: Column, cells: Cells) -> Cells:
        """Texts without the numbers of those who are kept out. Rows of theirs are not among them."""
        if column.personal in ("phone", "id"):
            return cells
        texts = {cell for cell in cells if cell is not None and not (column.kind == "time" and has_form_of_time(cell))}
        without = {text: self._without_number(text) for text in texts}
        return [cell if cell is None else without.get(cell, cell) for cell in cells]

    def _without_number(self, text: str) -> str:
        return text if not self.forgotten or _UUID.fullmatch(text) else erased(text, self._is_out)

    def _is_out(self, phone: str) -> bool:
        return self._token(phone) in self.forgotten or self._token(with_country(phone)) in self.forgotten

    def new_name(self, key: str) -> str:
        """A key that the guide does not know, without phones: it is logged, and names a column."""
        return replaced(key, self.tokens.of_name, long_from=_LONG)

    def new_value(self, key: str, text: str | None) -> str | None:
        """The value of a key that the guide does not know."""
        if not text or not (self.is_clear or self._is_kept(key)):
            return None
        text = self._without_number(text)
        return text if self.is_clear else self.value(text)

    def mismatched_value(self, text: str) -> str:
        """A value of another type than the guide's, as JSON."""
        return self._without_number(text) if self.is_clear else f"({_type_of(text)})"

    def reducer(self, report: Report, column: Column) -> Callable[[str], str | None] | None:
        """What makes of each text of a column what is kept of it; None where that is the text itself."""
        if column.personal == "device" and self.mode == "minimal":
            return _nothing
        if column.personal == "id" or (column.kind == "text" and (report.phone_key is None or column.key in _OWN)):
            return None
        return self._by_kind.get(column.personal) or {"time": _time, "integer": _count}.get(column.kind, self.words)

    def _column(self, report: Report, column: Column, cells: Cells) -> Cells:
        reduce = self.reducer(report, column)
        if reduce is None:
            return cells
        # Most columns have few values: statuses, groups, browsers.
        known = {cell: reduce(cell) for cell in {*cells} if cell is not None}
        return [None if cell is None else known[cell] for cell in cells]

    @cached_property
    def _by_kind(self) -> dict[str, Callable[[str], str | None]]:
        found: dict[str, Callable[[str], str | None]] = {
            "phone": self._phone,
            "text": alphabets,
            "link": self._link,
        }
        agent = self.agent_class if self.mode == "minimal" else self._machine
        return found | {"agent": agent, "device": self._machine}

    def _phone(self, text: str) -> str:
        return blur(text) if is_mangled(text) else self._token(person_of(text))

    def _token(self, digits: str) -> str:
        if (known := self._known.get(digits)) is None:
            # As a dictionary of the last phones: each stands in several reports, most in several rows.
            if len(self._known) > 100_000:
                self._known.clear()
            known = self._known[digits] = self.tokens.of_phone(digits)
        return known

    def _in_text(self, digits: str) -> str:
        return self._token(with_country(digits))

    def _link(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            # Before it is in small letters: in them &ThinSpace; is no space.
            host = urlsplit(f"//{self._without_phones(parts.netloc, _LONG)}").hostname
        except ValueError:
            host = None
        if not host or parts.scheme not in ("http", "https"):
            return self.tokens.of_link(text)
        origin = f"{parts.scheme}://{host}/"
        return text if text in (origin, origin[:-1]) else origin + self.tokens.of_link(text)

    def words(self, text: str) -> str:
        """A text of a row about a person, and nothing else than a text."""
        return text if _UUID.fullmatch(text) else self._without_phones(text, _LONG)

    def _machine(self, text: str) -> str:
        return self._without_phones(text, _LONG_IN_AGENT)

    def _without_phones(self, text: str, long_from: int) -> str:
        if (known := self._texts.get((text, long_from))) is None:
            if len(self._texts) > 10_000:
                self._texts.clear()
            known = self._texts[text, long_from] = replaced(text, self._in_text, long_from=long_from)
        return known

    def value(self, text: str) -> str:
        """The value of a field whose values are kept."""
        # Whoever allowed the name wants numbers that tell of no phone: of customers, of orders.
        return replaced(text, self._in_text, long_from=None)

    def _is_kept(self, name: str) -> bool:
        return name in self.fields and self.mode == "pseudonymous"

    def _lists(self, names: str | None, values: str | None) -> tuple[str | None, str | None]:
        """Names and values of a row's fields: the same field rows, with empty values where a name is not allowed."""
        found = pairs(names, values)
        if found is None:
            return names and self.words(names), None if values is None else list_shape(values)
        kept = [self.value(value) if self._is_kept(name) else "" for name, value in found]
        return joined_lists([self.words(name) for name, _ in found], kept)


CLEAR = Privacy()


def _nothing(_text: str) -> None:
    return None


def _time(text: str) -> str:
    return text if has_form_of_time(text) else shape(text)


def _count(text: str) -> str:
    return text if _COUNT.fullmatch(text) else shape(text)


def _type_of(text: str) -> str:
    kinds = {"{": "object", "[": "list", "t": "boolean", "f": "boolean", "n": "null", '"': "text"}
    return kinds.get(text[:1], "number")
