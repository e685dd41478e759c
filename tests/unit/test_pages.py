"""One page of an answer: what is taken, and each thing that is refused, by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passona.errors import PageRefused
from passona.reports.definitions import CLICKS
from passona.source.pages import Page, read_page

PATH = "reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/clicks"
PHONE = "447123456789"
ABSENT = object()


def link(number: int, path: str = PATH) -> str:
    return f"api/2.0/{path}?page={number}"


def envelope(number: int = 1, of: int = 5, by: int = 2, **changed: Any) -> dict[str, Any]:
    """A page as the guide has it, of a report of `of` rows, `by` a page.

    data, links, meta, next, and the keys of meta can be changed or left out.
    """
    last = max(1, -(-of // by))
    count = by if number < last else of - by * (last - 1)
    meta: dict[str, Any] = {"current_page": number, "last_page": last, "per_page": by, "total": of}
    meta |= {"path": f"api/2.0/{PATH}", "from": 1, "to": count}
    links = {"first": link(1), "last": link(last), "prev": None, "next": link(number + 1) if number < last else None}
    document: dict[str, Any] = {"data": [{"Phone_Number": PHONE} for _ in range(count)], "links": links, "meta": meta}
    for key, value in changed.items():
        place = links if key == "next" else meta if key in meta else document
        if value is ABSENT:
            del place[key]
        else:
            place[key] = value
    return document


def read(number: int = 1, asked: int | None = None, **changed: Any) -> Page:
    return read_page(json.dumps(envelope(number, **changed)).encode(), PATH, asked or number)


def with_data(data: str) -> Page:
    """A page of one row whose data are written just so."""
    body = json.dumps(envelope(of=1, data="@"))
    return read_page(body.replace('"@"', data).encode(), PATH, 1)


def test_the_guides_page_is_taken() -> None:
    body = b"""{"data": [{"Phone_Number": "447123456789", "Link_Name": "TestLink"}],
      "links": {"first": "api/2.0/reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/clicks?page=1",
                "last": "api/2.0/reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/clicks?page=1",
                "prev": null, "next": null},
      "meta": {"current_page": 1, "from": 1, "last_page": 1,
               "path": "api/2.0/reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/clicks",
               "per_page": 50, "to": 1, "total": 1}}"""
    row = {"Phone_Number": "447123456789", "Link_Name": "TestLink"}
    assert read_page(body, PATH, 1) == Page(1, [row], total=1, last_page=1, per_page=50, next_number=None)


@given(st.integers(0, 40), st.integers(1, 12), st.data())
def test_every_page_of_a_steady_walk_is_taken(total: int, per_page: int, data: st.DataObject) -> None:
    last = max(1, -(-total // per_page))
    number = data.draw(st.integers(1, last))
    page = read(number, of=total, by=per_page)
    assert (page.number, page.total, page.last_page, page.per_page) == (number, total, last, per_page)
    assert page.next_number == (number + 1 if number < last else None)
    assert len(page.rows) == min(per_page, total - per_page * (number - 1))


def test_an_empty_report_is_one_page_without_rows() -> None:
    nowhere: dict[str, Any] = {"from": None, "to": None}
    assert read(of=0, **nowhere) == Page(1, [], 0, 1, 2, None)


@pytest.mark.parametrize("key", ["current_page", "total", "last_page", "per_page"])
def test_numbers_of_meta_may_be_digits_in_a_text(key: str) -> None:
    as_text: dict[str, Any] = {key: str(envelope()["meta"][key])}
    assert read(**as_text) == read()


@pytest.mark.parametrize("key", ["current_page", "total", "last_page", "per_page"])
@pytest.mark.parametrize(
    "value", [ABSENT, None, "", "x", "2.0", " 2", "+2", "-2", "\u0662", -1, 2.0, True, [2], {}, "9" * 30]
)
def test_a_number_of_meta_that_is_missing_or_no_whole_number_is_refused(key: str, value: Any) -> None:
    with pytest.raises(PageRefused, match=rf"expected a whole number under meta\.{key}"):
        read(**{key: value})


@pytest.mark.parametrize("value", [ABSENT, None, [], "x", 1])
def test_a_page_without_meta_is_refused(value: Any) -> None:
    with pytest.raises(PageRefused, match="expected an object under meta"):
        read(meta=value)


@pytest.mark.parametrize("value", [ABSENT, None, {}, "x", 1, True])
def test_a_page_without_a_list_of_data_is_refused(value: Any) -> None:
    with pytest.raises(PageRefused, match="expected a list under data"):
        read(data=value)


@pytest.mark.parametrize("value", [None, 1, "x", [], True])
def test_a_row_that_is_no_object_is_refused(value: Any) -> None:
    with pytest.raises(PageRefused, match="expected objects in data"):
        read(data=[{"Phone_Number": PHONE}, value])


@pytest.mark.parametrize("value", [ABSENT, None, [], "x", {}, {"prev": None}])
def test_a_page_without_links_or_without_a_next_among_them_is_refused(value: Any) -> None:
    with pytest.raises(PageRefused, match="expected an object under links with a next"):
        read(links=value)


def test_another_page_than_the_one_asked_for_is_refused() -> None:
    # Laravel answers an unreadable page number with page 1.
    with pytest.raises(PageRefused, match=r"^expected page 2, got meta\.current_page 1$"):
        read(1, asked=2)


@pytest.mark.parametrize(("last_page", "total"), [(2, 5), (4, 5), (0, 0), (0, 5), (2, 0), (1, 3)])
def test_a_last_page_that_total_and_per_page_contradict_is_refused(last_page: int, total: int) -> None:
    with pytest.raises(PageRefused, match=r"expected meta\.last_page") as refused:
        read(of=total, last_page=last_page)
    assert refused.value.page_size


def test_no_rows_a_page_are_refused() -> None:
    with pytest.raises(PageRefused, match=r"expected meta\.per_page of 1 or more, got 0"):
        read(of=0, per_page=0)


def test_a_page_behind_the_last_is_refused() -> None:
    # Laravel answers 200 with no rows there.
    meta = {"current_page": 4, "last_page": 3, "per_page": 2, "total": 5}
    with pytest.raises(PageRefused, match=r"expected no page after the last \(3\), got page 4"):
        read(4, meta=meta, data=[])


@pytest.mark.parametrize(("number", "count"), [(1, 0), (1, 1), (2, 1), (1, 3), (3, 0), (3, 2)])
def test_a_page_with_fewer_or_more_rows_than_it_says_is_refused(number: int, count: int) -> None:
    with pytest.raises(PageRefused, match=rf"rows on page {number} of 3, got {count} rows") as refused:
        read(number, data=[{}] * count)
    assert refused.value.page_size


@pytest.mark.parametrize("number", [1, 2])
def test_a_walk_that_ends_before_its_last_page_is_refused(number: int) -> None:
    with pytest.raises(PageRefused, match=rf"expected a next link on page {number} of 3, got links\.next null"):
        read(number, next=None)


def test_a_next_link_on_the_last_page_is_refused() -> None:
    with pytest.raises(PageRefused, match=r"expected no next link on the last page \(3\), got a link to page 4"):
        read(3, next=link(4))


@pytest.mark.parametrize("number", [0, 1, 2, 4])
def test_a_next_link_that_loops_or_jumps_is_refused(number: int) -> None:
    with pytest.raises(PageRefused, match=f"expected a next link to page 3, got a link to page {number}"):
        read(2, next=link(number))


@pytest.mark.parametrize(
    "path",
    [
        "reporting/00000000-fb1e-11e9-abb5-0242ac120008/clicks",
        "reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/delivery",
        "reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/clicks/more",
        "reporting/dc8a7564-fb1e-11e9-abb5-0242ac120008/xclicks",
        "campaigns",
        "",
    ],
)
@pytest.mark.parametrize("start", ["api/2.0/", "/api/2.0/", "https://passona.co.uk/api/2.0/"])
def test_a_next_link_to_another_campaign_or_report_is_refused(start: str, path: str) -> None:
    with pytest.raises(PageRefused, match=f"expected a next link to {PATH}, got a link to another path"):
        read(next=f"{start}{path}?page=2")


def test_a_next_link_whose_path_only_ends_like_the_reports_is_refused() -> None:
    with pytest.raises(PageRefused, match="a link to another path"):
        read(next=f"api/2.0/x{PATH}?page=2")


@pytest.mark.parametrize(
    "start",
    [
        "api/2.0/",
        "/api/2.0/",
        "https://passona.co.uk/api/2.0/",
        "http://passona.test/api/2.0/",
        "//x/api/2.0/",
        "",
        "/",
    ],
)
def test_links_may_be_bare_rooted_or_absolute_and_may_name_any_host(start: str) -> None:
    assert read(next=f"{start}{PATH}?page=2").next_number == 2


@pytest.mark.parametrize("query", ["page=2&per_page=50", "per_page=50&page=2", "page=2&x", "page=02"])
def test_the_rest_of_a_links_query_does_not_matter(query: str) -> None:
    assert read(next=f"api/2.0/{PATH}?{query}").next_number == 2


@pytest.mark.parametrize(
    "query", ["", "?", "?page=", "?page=x", "?page=2&page=3", "?page=-2", "?page=2.0", "?cursor=2"]
)
def test_a_link_without_one_page_number_is_refused(query: str) -> None:
    with pytest.raises(PageRefused, match=r"expected one page number in links\.next"):
        read(next=f"api/2.0/{PATH}{query}")


@pytest.mark.parametrize("value", [2, True, ["x"], {"page": 2}])
def test_a_next_that_is_neither_text_nor_null_is_refused(value: Any) -> None:
    with pytest.raises(PageRefused, match=r"expected text or null under links\.next"):
        read(next=value)


def test_a_next_that_is_no_address_is_refused() -> None:
    with pytest.raises(PageRefused, match=r"expected an address under links\.next"):
        read(next="https://[half/api?page=2")


@pytest.mark.parametrize(
    ("body", "came"),
    [
        (b"", "an empty body"),
        (b" \r\n", "an empty body"),
        (b"<!DOCTYPE html><title>Log in</title>", "an HTML page of 36 bytes"),
        (b"\n <html>", "an HTML page"),
        (b'{"data": [{"Phone_Number": "4471234', "35 bytes that are not whole JSON"),
        (b"\xff\xfe\x00", "3 bytes that are not whole JSON"),
        (b'{"data": [{"a": "\xc3}]}', "bytes that are not whole JSON"),
        (b'{"data": [nan]}', "bytes that are not whole JSON"),
        (b"\xef\xbb\xbf", "an empty body"),
        (b"\xef\xbb\xbf<html>", "an HTML page"),
    ],
)
def test_a_body_that_is_no_json_is_refused_by_what_it_looks_like(body: bytes, came: str) -> None:
    with pytest.raises(PageRefused, match=f"^expected JSON, got .*{came}"):
        read_page(body, PATH, 1)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1", b"true"])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    with pytest.raises(PageRefused, match="expected a JSON object with data, links and meta, got JSON"):
        read_page(body, PATH, 1)


@pytest.mark.parametrize("cut", range(0, 400, 13))
def test_a_body_that_breaks_off_is_refused_wherever_it_does(cut: int) -> None:
    body = json.dumps(envelope()).encode()
    with pytest.raises(PageRefused):
        read_page(body[: cut % (len(body) - 1)], PATH, 1)


@pytest.mark.parametrize("written", ["1.10", "1.0", "1e5", "1E+2", "0.1000000000000000055511151231257827", "-0.0"])
def test_a_number_that_a_float_would_not_keep_is_kept_as_written(written: str) -> None:
    value = with_data(f'[{{"a": {written}}}]').rows[0]["a"]
    assert isinstance(value, str)
    assert value == written


@pytest.mark.parametrize("digits", [18, 19, 20, 25, 300])
def test_a_huge_integer_is_kept_exactly(digits: int) -> None:
    value = with_data(f'[{{"a": {"7" * digits}, "b": [{"7" * digits}]}}]').rows[0]
    assert value == {"a": int("7" * digits), "b": [int("7" * digits)]}


def test_one_float_changes_nothing_in_the_other_values_of_its_page() -> None:
    (row,) = with_data('[{"a": 1.50, "b": "1.50", "c": 7, "d": null, "e": true, "f": {"g": [2.50, "x"]}}]').rows
    assert row == {"a": "1.50", "b": "1.50", "c": 7, "d": None, "e": True, "f": {"g": ["2.50", "x"]}}
    assert type(row["b"]) is str
    assert type(row["a"]) is not str  # told apart from a text that looks like a number


def test_a_byte_order_mark_before_a_page_is_no_part_of_it() -> None:
    body = json.dumps(envelope()).encode()
    assert read_page(b"\xef\xbb\xbf" + body, PATH, 1) == read_page(body, PATH, 1)


@pytest.mark.parametrize("key", ["data", "links", "meta", "next", "total", "current_page", "per_page", "path"])
def test_a_key_that_stands_twice_in_the_envelope_is_refused(key: str) -> None:
    # Python and PHP take the last, others the first: nobody knows which is right.
    body = json.dumps(envelope())
    for before in (f'"{key}": null, "{key}":', f'"{key}":1,\n "{key}" :'):
        assert f'"{key}":' in body
        with pytest.raises(PageRefused, match="expected each key of data, links and meta once, got one twice"):
            read_page(body.replace(f'"{key}":', before, 1).encode(), PATH, 1)


def test_a_row_whose_keys_stand_twice_is_a_row() -> None:
    (row,) = with_data('[{"a": 1, "b": "x", "a": 2}]').rows
    assert row == {"a": 2, "b": "x"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.sampled_from(["data", "links", "meta", "next", "current_page", "last_page", "per_page", "total"]), json_values
)
def test_any_envelope_is_either_accepted_or_refused(key: str, value: Any) -> None:
    try:
        page = read(**{key: value})
    except PageRefused:
        return
    assert page.number == 1
    assert len(page.rows) == min(page.per_page, page.total)


@given(
    st.binary(max_size=40) | st.text(max_size=40).map(str.encode) | json_values.map(lambda v: json.dumps(v).encode())
)
def test_whatever_bytes_come_they_are_refused_as_no_page_and_nothing_else(body: bytes) -> None:
    with pytest.raises(PageRefused):
        read_page(body, PATH, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"meta": PHONE}, {"total": PHONE + "x"}, {"data": PHONE}, {"data": [PHONE]}, {"links": PHONE},
        {"next": [PHONE]}, {"next": f"api/2.0/{PHONE}?page=2"}, {"next": f"api/2.0/{PATH}?page={PHONE}x"},
        {"data": [{"Mobile": PHONE}]},
    ],
)  # fmt: skip
def test_no_refusal_quotes_what_came(changed: dict[str, Any]) -> None:
    with pytest.raises(PageRefused) as refused:
        read(**changed)
    assert PHONE not in str(refused.value)


def test_no_refusal_of_a_broken_body_quotes_it() -> None:
    for body in (f'{{"data": "{PHONE}', f"<html>{PHONE}", PHONE[:-1] + "x"):
        with pytest.raises(PageRefused) as refused:
            read_page(body.encode(), PATH, 1)
        assert PHONE[:-1] not in str(refused.value)


def test_rows_keep_keys_that_the_guide_does_not_know() -> None:
    (row,) = with_data('[{"New": "x", "Phone_Number": null}]').rows
    assert set(row) - set(CLICKS.sorted_keys) == {"New"}
