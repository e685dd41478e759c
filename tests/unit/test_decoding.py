"""JSON as values: nothing that JSON allows is refused, and nothing is changed without a mark."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passona.reports.decoding import (
    DEEPEST,
    NotJSON,
    Number,
    RepeatedKeys,
    TooDeep,
    UnstorableText,
    decode,
    earlier_pairs,
    json_text,
    without_keys,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts | st.sampled_from(['":', '\\":', '" :', "\\", '"', "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | st.just('":'), inner, max_size=3),
    max_leaves=8,
)
separators = st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :"), (",\n", "\t:"), (", ", "\r\n: ")])


@given(values, separators, st.booleans(), st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le"]))
def test_whatever_is_written_reads_back(value: Any, between: tuple[str, str], ascii_only: bool, encoding: str) -> None:
    text = json.dumps({"a": value}, separators=between, ensure_ascii=ascii_only or encoding.startswith("utf-8"))
    body = text.encode(encoding, "surrogatepass")
    read = decode(body)
    assert json.loads(json_text(read)) == {"a": value}
    assert type(read) is dict


@given(st.lists(st.tuples(texts | st.sampled_from(['":', "a", "\\"]), st.integers() | texts), max_size=5), separators)
@example([("a", 'x":'), ("a", "y")], (",", ":"))
@example([("a", 1), ("a", 2)], (" ,", " :"))
def test_no_pair_of_an_object_is_lost(pairs: list[tuple[str, Any]], between: tuple[str, str]) -> None:
    comma, colon = between
    written = comma.join(f"{json.dumps(key)}{colon}{json.dumps(value)}" for key, value in pairs)
    row = decode(f"[{{{written}}}]".encode())[0]
    assert dict(row) == dict(pairs)
    kept = [pair for pair in pairs if pair in earlier_pairs(row)]
    assert len(earlier_pairs(row)) == len(pairs) - len(dict(pairs))
    assert all(pair in kept for pair in earlier_pairs(row))
    assert json.loads(json_text(row), object_pairs_hook=list) == pairs or pairs == []


@pytest.mark.parametrize("mark", [b"\xef\xbb\xbf", b"\xef\xbb\xbf" * 2])
def test_a_byte_order_mark_is_no_part_of_the_document(mark: bytes) -> None:
    assert decode(mark + b'{"a": 1}') == {"a": 1}


@pytest.mark.parametrize(
    "written",
    [
        "1e400",
        "-1e400",
        "1E+999999",
        "9" * 5_000,
        "-" + "9" * 5_000,
        "NaN",
        "Infinity",
        "-Infinity",
        "1.10",
        "1e5",
        "-0.0",
    ],
)
def test_a_number_that_no_type_keeps_is_kept_as_written(written: str) -> None:
    for body in (f'{{"a": {written}}}', f'{{"a": [{{"b": {written}}}]}}'):
        read = decode(body.encode())
        assert json_text(read) == body.replace(" ", "")
    assert type(decode(f'{{"a": {written}}}'.encode())["a"]) is Number


@pytest.mark.parametrize(
    ("written", "text", "raw"),
    [
        (rb'"a\ud83d"', "a\ufffd", r'"a\ud83d"'),
        (rb'"\ude00\ud83d"', "\ufffd\ufffd", r'"\ude00\ud83d"'),
        (rb'"\ud83d\ud83d\ude00"', "\ufffd\U0001f600", '"\\ud83d\U0001f600"'),
        (b'"caf\xe9"', "caf\ufffd", r'"caf\udce9"'),
        (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd", r'"\udced\udca0\udc80"'),
        (rb'"\ud800\\\"\u0000"', '\ufffd\\"\x00', r'"\ud800\\\"\u0000"'),
    ],
)
def test_what_cannot_be_stored_is_replaced_and_kept_as_it_came(written: bytes, text: str, raw: str) -> None:
    value = decode(b'{"a": ' + written + b', "b": "ok"}')
    assert value == {"a": text, "b": "ok"}
    assert isinstance(value["a"], UnstorableText)
    assert value["a"].raw == raw
    assert type(value["b"]) is str
    value["a"].encode()


def test_a_whole_pair_of_surrogates_is_one_character() -> None:
    value = decode(rb'{"a": "\ud83d\ude00"}')["a"]
    assert (type(value), value) == (str, "\U0001f600")


def test_a_key_that_cannot_be_stored_is_written_as_json_writes_it() -> None:
    assert decode(rb'{"\ud800": 1, "b": 2}') == {r"\ud800": 1, "b": 2}
    row = decode(rb'{"\ud800": 1, "\\ud800": 2}')
    assert (row, earlier_pairs(row)) == ({r"\ud800": 2}, [(r"\ud800", 1)])


def test_line_ends_within_a_text_are_kept() -> None:
    assert decode(b'{"a": "x\ny\tz"}') == {"a": "x\ny\tz"}


def test_an_object_without_some_keys_keeps_the_repeated_ones() -> None:
    row = decode(b'{"a": 1, "b": 2, "a": 3, "c": 4}')
    assert isinstance(row, RepeatedKeys)
    assert without_keys(row, ["b"]) == {"a": 3, "c": 4}
    assert earlier_pairs(without_keys(row, ["b"])) == [("a", 1)]
    assert without_keys(row, ["a"]) == {"b": 2, "c": 4}
    assert earlier_pairs(without_keys(row, ["a"])) == []


def nested(depth: int) -> bytes:
    return b'{"data": [{"a": ' + b"[" * depth + b'"x"' + b"]" * depth + b"}]}"


@pytest.mark.parametrize("depth", [DEEPEST + 1, 600, 1_500, 100_000])
def test_what_is_nested_without_end_is_told_apart_from_what_is_no_json(depth: int) -> None:
    with pytest.raises(TooDeep):
        decode(nested(depth))
    assert json_text(decode(nested(DEEPEST - 1)))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"\xef\xbb\xbf",
        b"<html>",
        b'{"a": 1',
        b'{"a": 1} x',
        b'{"a": 01}',
        b"{'a': 1}",
        b"\xff\xfe\x00",
        b"\x00",
    ],
)
def test_what_is_no_json_is_none(body: bytes) -> None:
    with pytest.raises(NotJSON):
        decode(body)


@given(st.binary(max_size=30))
def test_any_bytes_are_json_or_none(body: bytes) -> None:
    with contextlib.suppress(NotJSON, TooDeep):
        json_text(decode(body)).encode()
