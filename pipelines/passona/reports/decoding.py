"""JSON as values, whatever JSON allows: what other parsers refuse or change without a word is kept, and marked.

    bytes -> decode -> dicts, lists, texts, numbers; `Number`, `UnstorableText`, `RepeatedKeys` where one is not enough

Nearly every answer is plain, and decoded fast. An answer is decoded again, exactly, if the fast parser refuses it, or
if it holds a float, which would be rounded, or a key twice, of which the first value would be lost.
"""
# ruff: noqa: N818  # errors are named for what happened

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

Row = dict[str, Any]
Pair = tuple[str, Any]

# Values are texts, once in a while a list or an object; what is deeper than this is an attack or a fault.
DEEPEST = 100
# Python converts no integer of more than 4,300 digits.
_LONGEST_INTEGER = 1_000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_PLAIN = {str, int, bool, type(None)}
_KEY_AND_BLANK = re.compile(rb'"[ \t\r\n]+:')
# Where none of these is, there is none of those either; that takes no time.
_HINTS = (b" :", b"\t", b"\r", b"\n")
_SURROGATE = re.compile("[\ud800-\udfff]")


class NotJSON(ValueError):
    """The bytes are no JSON."""


class TooDeep(ValueError):
    """Lists and objects within each other go deeper than `DEEPEST`."""


class Number(str):
    """A JSON number as it was written, where an int or a float would not keep it. NaN and Infinity are such."""

    __slots__ = ()


class UnstorableText(str):
    """A text with characters that no database keeps, here as U+FFFD. `raw`: the JSON as it came.

    Such are surrogates without their half, and bytes that are no UTF-8: a byte is written as \\udc80 to \\udcff.
    """

    __slots__ = ("raw",)
    raw: str

    def __new__(cls, text: str) -> UnstorableText:
        made = super().__new__(cls, _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text))
        made.raw = _escaped(json.dumps(text, ensure_ascii=False))
        return made


class RepeatedKeys(Row):
    """An object that has a key more than once. The last value counts; `pairs`: all, as they came."""

    def __init__(self, pairs: Sequence[Pair]) -> None:
        super().__init__(pairs)
        self.pairs = pairs


def decode(body: bytes) -> Any:
    """Return the document in these bytes.

    :raises NotJSON: there is none.
    :raises TooDeep: values are nested deeper than any of the API's.
    """
    body = body.lstrip(BYTE_ORDER_MARK)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _decode_exactly(body)
    return document if _is_exact(document, body) else _decode_exactly(body)


def earlier_pairs(row: Row) -> list[Pair]:
    """Return the pairs of an object that a later one with the same key outdoes."""
    pairs = row.pairs if isinstance(row, RepeatedKeys) else ()
    last = {key: place for place, (key, _) in enumerate(pairs)}
    return [pair for place, pair in enumerate(pairs) if last[pair[0]] != place]


def all_values(row: Row, key: str) -> list[Any]:
    """Return all that an object has under a key, the one that counts last; None if it has nothing."""
    if not isinstance(row, RepeatedKeys):
        return [row.get(key)]
    return [value for name, value in row.pairs if name == key] or [None]


def without_keys(row: Row, keys: Iterable[str]) -> Row:
    """Return the object without some of its keys."""
    pairs = row.pairs if isinstance(row, RepeatedKeys) else row.items()
    return _object([pair for pair in pairs if pair[0] not in keys])


def with_value(row: Row, key: str, value: object) -> Row:
    """Return the object with another value under a key that it has once."""
    pairs = row.pairs if isinstance(row, RepeatedKeys) else row.items()
    return _object([(name, value if name == key else old) for name, old in pairs])


def json_text(value: object) -> str:
    """Return a decoded value as JSON, with numbers as they were written and every pair of repeated keys."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, UnstorableText):
        return value.raw
    if isinstance(value, dict):
        pairs = value.pairs if isinstance(value, RepeatedKeys) else value.items()
        return "{" + ",".join(f"{json_text(key)}:{json_text(item)}" for key, item in pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(json_text, value)) + "]"
    return _escaped(json.dumps(value, ensure_ascii=False))


def _is_exact(document: Any, body: bytes) -> bool:
    """Whether the fast parser kept all of a page: plain values in its rows, and as many keys as the bytes have.

    Each key in the bytes ends with `":`, if there is no blank between; a text may have that too, behind a backslash.
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
    """The values of each level: the document, those in it, those in these.

    :raises TooDeep: there are too many.
    """
    level = [document]
    for _ in range(DEEPEST + 3):  # the document, its data and its rows are no values yet
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
            strict=False,  # a line's end within a text is no damage
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
    found = dict(pairs)
    return found if len(found) == len(pairs) else RepeatedKeys(pairs)


def _marked(value: Any) -> Any:
    return UnstorableText(value) if type(value) is str and not is_storable(value) else value


def is_storable(value: object) -> bool:
    """Return True if the value is a text, with nothing in it that no database keeps."""
    return isinstance(value, str) and (value.isascii() or _SURROGATE.search(value) is None)


def _escaped(text: str) -> str:
    """A text with its surrogates as JSON writes them."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
