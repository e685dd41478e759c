"""Decode JSON without loss: values that parsers refuse or silently change are kept and marked.

    bytes -> decode -> dicts, lists, texts, numbers; `Number`, `UnstorableText`, `RepeatedKeys` for special values

Nearly every response is plain and decoded by orjson. A response is decoded again, exactly, if orjson refuses it, or if
it has a float (orjson would round it) or a repeated key (orjson would drop the first value).
"""
# ruff: noqa: N818  # errors have the name of the event

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

Row = dict[str, Any]
Pair = tuple[str, Any]

# Values are texts, rarely lists or objects. Deeper nesting is an attack or a fault.
DEEPEST = 100
# Python refuses to convert more than 4,300 digits.
_LONGEST_INTEGER = 1_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLAIN = {str, int, bool, type(None)}
_KEY_AND_BLANK = re.compile(rb'"[ \t\r\n]+:')
# A cheap test: without any of these, `_KEY_AND_BLANK` cannot match.
_HINTS = (b" :", b"\t", b"\r", b"\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotJSON(ValueError):
    """The bytes are not JSON."""


class TooDeep(ValueError):
    """Values are nested deeper than `DEEPEST`."""


class Number(str):
    """A JSON number as written, because an int or a float would change it; also NaN and Infinity."""

    __slots__ = ()


class UnstorableText(str):
    """A text with characters that databases refuse, replaced by U+FFFD. `raw`: the JSON as it came.

    These are lone surrogates and bytes that are not UTF-8, written as \\udc80 to \\udcff.
    """

    __slots__ = ("raw",)
    raw: str

    def __new__(cls, text: str) -> UnstorableText:
        self = super().__new__(cls, _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text))
        self.raw = _escaped(json.dumps(text, ensure_ascii=False))
        return self


class RepeatedKeys(Row):
    """An object with a repeated key. The last value counts; `pairs`: all of them, in order."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def decode(body: bytes) -> Any:
    """Decode a document.

    :raises NotJSON: the bytes are not JSON.
    :raises TooDeep: values are nested too deep.
    """
    body = body.lstrip(BYTE_ORDER_MARK)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _decode_exactly(body)
    return document if _is_exact(document, body) else _decode_exactly(body)


def earlier_pairs(row: Row) -> list[Pair]:
    """Return the pairs of an object whose key occurs again later."""
    pairs = row.pairs if isinstance(row, RepeatedKeys) else ()
    last = {key: place for place, (key, _) in enumerate(pairs)}
    return [pair for place, pair in enumerate(pairs) if last[pair[0]] != place]


def all_values(row: Row, key: str) -> list[Any]:
    """Return all values of a key, the one that counts last; [None] without the key."""
    if not isinstance(row, RepeatedKeys):
        return [row.get(key)]
    return [value for name, value in row.pairs if name == key] or [None]


def without_keys(row: Row, keys: Iterable[str]) -> Row:
    return _object([pair for pair in _pairs(row) if pair[0] not in keys])


def with_value(row: Row, key: str, value: object) -> Row:
    """Return the object with another value for a key that occurs once."""
    return _object([(name, value if name == key else old) for name, old in _pairs(row)])


def json_text(value: object) -> str:
    """Return a decoded value as JSON, with numbers as written and every pair of repeated keys."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, UnstorableText):
        return value.raw
    if isinstance(value, dict):
        return "{" + ",".join(f"{json_text(key)}:{json_text(item)}" for key, item in _pairs(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _escaped(json.dumps(value, ensure_ascii=False))


def _is_exact(document: Any, body: bytes) -> bool:
    """Return True if orjson lost nothing of a page: its rows have plain values, and as many keys as the bytes.

    In the bytes each key ends with `":`, unless a blank is between; a text may contain that too, after a backslash.
    """
    rows = document.get("data") if isinstance(document, dict) else None
    if not isinstance(rows, list) or not set(map(type, rows)) <= {dict}:
        return False
    if not _PLAIN.issuperset(map(type, chain.from_iterable(map(dict.values, rows)))):
        return False
    keys = sum(map(len, rows))
    for level in _levels({**document, "data": None}):
        if float in set(map(type, level)):
            return False
        keys += sum(len(value) for value in level if isinstance(value, dict))
    return keys == body.count(b'":') and not (any(map(body.__contains__, _HINTS)) and _KEY_AND_BLANK.search(body))


def _levels(document: Any) -> Iterator[list[Any]]:
    """Yield the values of each level of nesting, outermost first.

    :raises TooDeep: there are too many levels.
    """
    level = [document]
    for _ in range(DEEPEST + 3):  # plus the levels of the document, its data and its rows
        yield level
        containers = [value for value in level if isinstance(value, (dict, list))]
        level = [item for each in containers for item in (each.values() if isinstance(each, dict) else each)]
        if not level:
            return
    raise TooDeep


def _decode_exactly(body: bytes) -> Any:
    encoding = json.detect_encoding(body)
    try:
        text = body.decode(encoding, "surrogateescape" if encoding.startswith("utf-8") else "surrogatepass")
        document = json.loads(
            text,
            object_pairs_hook=_object,
            parse_float=Number,
            parse_int=lambda digits: int(digits) if len(digits) < _LONGEST_INTEGER else Number(digits),
            parse_constant=Number,
            strict=False,  # accept line ends within texts
        )
    except RecursionError as error:
        raise TooDeep from error
    except ValueError as error:
        raise NotJSON from error
    for _ in _levels(document):
        pass
    return document


def _object(pairs: Sequence[Pair]) -> Row:
    pairs = [(_escaped(key), _marked(value)) for key, value in pairs]
    row = dict(pairs)
    return row if len(row) == len(pairs) else RepeatedKeys(pairs)


def _pairs(row: Row) -> Iterable[Pair]:
    return row.pairs if isinstance(row, RepeatedKeys) else row.items()


def _marked(value: Any) -> Any:
    return UnstorableText(value) if type(value) is str and not is_storable(value) else value


def is_storable(value: object) -> bool:
    """Return True if the value is a text that databases accept."""
    return isinstance(value, str) and (value.isascii() or _SURROGATE.search(value) is None)


def _escaped(text: str) -> str:
    """Escape surrogates as JSON does."""
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
