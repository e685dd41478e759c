"""Phones as people write them, and other digits that are none."""

from __future__ import annotations

import sys
import unicodedata

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from passona.masking._folding import views
from passona.masking.likely_phones import person_of, replaced
from passona.masking.phone_search import may_name
from passona.masking.phones import (
    ERASED,
    erased,
    is_mangled,
    names_one,
    phones_of,
    pieces,
    read_phone,
    spellings_of,
    with_country,
)
from spelling_docs import PHONE, Spelling, known, spellings

LISTED = spellings()
PHONES = spellings_of(PHONE)


@pytest.mark.parametrize("spelling", LISTED, ids=lambda spelling: spelling.how)
def test_a_spelling_is_known_where_the_list_says(spelling: Spelling) -> None:
    places = known(spelling.text)
    expected = {name: getattr(spelling, name) for name in ("argument", "value", "words", "token")}
    assert {name: places[name] for name in expected} == expected
    assert places["same"] == spelling.value
    assert is_mangled(spelling.text) == spelling.null
    assert spelling.why or all(expected.values()), "the page says why"


def test_the_list_is_long_enough_and_tells_what_is_not_known() -> None:
    assert sum(spelling.value for spelling in LISTED) >= 40
    assert sum(not spelling.value for spelling in LISTED) >= 5
    assert len({spelling.text for spelling in LISTED}) == len(LISTED)


@pytest.mark.parametrize("spelling", [each for each in LISTED if each.words], ids=lambda spelling: spelling.how)
def test_sql_asks_for_every_text_that_names_a_phone_and_for_hardly_any_other(spelling: Spelling) -> None:
    form = may_name(["353851234567", PHONE])
    sql = "SELECT regexp_replace(text, ?, '') <> text FROM (SELECT unnest(?::VARCHAR[]) AS text)"
    other = "Café 25.06.2020 14:30, 447700900124, 20% off, a&b https://e.org/a%20b?c=1&d=2"
    assert duckdb.execute(sql, [form, [f"call {spelling.text} now", other]]).fetchall() == [(True,), (False,)]


@pytest.mark.parametrize("spelling", [each for each in LISTED if each.words], ids=lambda spelling: spelling.how)
def test_a_phone_goes_from_a_text_and_those_beside_it_stay(spelling: Spelling) -> None:
    other, others = "447700900124", "447700900124 or 07700 900124"
    text = erased(f"Tel:{spelling.text}, {others}; {spelling.text}", PHONES.__contains__)
    assert others in text
    assert text.count(ERASED) == 2
    assert not names_one(text, PHONES)
    assert {phone for piece in pieces(text) for phone in piece.phones} >= {other}


@pytest.mark.parametrize("digit", range(10))
def test_every_digit_and_space_of_unicode_counts(digit: int) -> None:
    decimals = [c for c in map(chr, range(0x80, sys.maxunicode + 1)) if unicodedata.decimal(c, None) == digit]
    spaces = [c for c in map(chr, range(sys.maxunicode + 1)) if c.isspace() or unicodedata.category(c) in ("Zs", "Cf")]
    assert len(decimals) > 60
    assert len(spaces) > 150
    for each in decimals:
        assert read_phone(PHONE.replace(str(digit), each)) == PHONE, ascii(each)
    for each in spaces[digit::10]:
        assert read_phone(f"+44{each}7700{each}900123") == PHONE, ascii(each)
        assert replaced(f"call 07700{each}900123!", lambda _: "!", long_from=None) == "call !!", ascii(each)


@given(st.text(st.sampled_from("0479 +().,-/%2&;#xE\\u\u00a0\u200b٤４é"), max_size=30))
@example("%44 7700 900123")
@example("07700%2")
def test_no_text_is_too_odd_to_be_looked_through(text: str) -> None:
    for view in views(text):
        assert len(view.starts) == len(view.ends) == len(view.look)
        assert list(view.starts) == sorted(view.starts)
    assert erased(text, {"1"}.__contains__) == text
    for piece in pieces(text):
        assert 0 <= piece.start < piece.end <= len(text)
        assert not names_one(erased(text, piece.phones.__contains__), piece.phones)
    assert person_of(text) or not text
    replaced(text, lambda digits: f"<{digits}>", long_from=9)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("020 7946 0958", "02079460958"), ("(0141) 496 0000", "01414960000"), ("01632 960 123", "01632960123"),
        ("+33 6 12 34 56 78", "33612345678"), ("06 12 34 56 78", "0612345678"), ("06.12.34.56.78", "0612345678"),
        ("+1 (212) 555-0123", "12125550123"), ("001-212-555-0123", "12125550123"), ("+353 85 123 4567", "353851234567"),
    ],
)  # fmt: skip
def test_phones_of_other_places_are_found_too(text: str, digits: str) -> None:
    assert (
        replaced(f"from 05.06.2020: {text}.", lambda found: f"<{found}>", long_from=None)
        == f"from 05.06.2020: <{digits}>."
    )


@pytest.mark.parametrize(
    "text",
    [
        "2020-06-25 20:26:02", "25.06.2020 14:30", "05/06/2020 14:30", "01.05 - 03.06.2020", "05.06.2020-07.06.2020",
        "2020-06-25 - 2020-07-01", "A+ 25.06.2020 14:30", "+10 25.06.2020 14", "14:00 25 06 2020 10",
        "08.30-12.00 13.00-17.30", "0900-1730 12 June", "0900 1730 12", "£10.00 12345678", "10.99 - 12.99", "1,234,567.50",
        "5 000 000 000", "12345-67890", "A123-456-789-012", "0001 2345 6789", "12 3456 789012", "4111 1111 1111 1111",
        "01 07 15 23 42 49", "4 01 07 15 23 42", "05/06/2020 - 07/06/2020", "06/25/2020 2:30", "2020/06/25 2020/07/01",
        "44.00 to 77.00", "1.5E10", "4.47701E+11", "0123456/89", "83.0.4103.106", "0.1234567", "2020 2021 2022", "1234567890",
    ],
)  # fmt: skip
def test_other_digits_stay(text: str) -> None:
    assert replaced(text, lambda _: "!", long_from=None) == text


@pytest.mark.parametrize(
    ("phone", "national"),
    [
        (PHONE, "07700900123"), ("353851234567", "0851234567"), ("12125550123", "02125550123"),
        ("4712345678", "012345678"), ("4471234", None),
    ],
)  # fmt: skip
def test_within_its_country_a_phone_begins_with_0_if_it_is_long_enough(phone: str, national: str | None) -> None:
    assert spellings_of(phone) == {phone, national} - {None}


def test_0_and_ten_digits_are_british_and_all_others_keep_their_0() -> None:
    assert [with_country(text) for text in ("07700900123", "0851234567", "0612345678", "353851234567")] == [
        PHONE, "0851234567", "0612345678", "353851234567",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "phones"),
    [
        ("447700900123 / 447700900124", {PHONE, "447700900124"}),
        ("+49 (0)151 23456789", {"4915123456789"}),
        ("447700900123E5", {PHONE}),
        ("+44 7700 900123", {PHONE}),
        ("withheld", set()),
    ],
)
def test_what_a_value_may_stand_for(text: str, phones: set[str]) -> None:
    assert phones_of(text) >= phones
    assert phones or not phones_of(text)


@pytest.mark.parametrize(
    "text", ["#N/A", "#VALUE!", "#####", "4.47701E+11", "4e11", '="4.47701E+11"', "TRUE", "withheld", "Ellen"]
)
def test_what_can_be_no_phone_any_more_is_told(text: str) -> None:
    assert is_mangled(text)


@pytest.mark.parametrize(
    "text",
    ["08/06/2020", "8.6.2020", "2020-06-08 13:50:06", "2020-06-08T13:50", "08/06/2020 13:50", "12345678901234567",
     "44770090012344770", "'08/06/2020"],
)  # fmt: skip
def test_days_and_too_many_digits_are_no_phones(text: str) -> None:
    assert is_mangled(text)


@pytest.mark.parametrize(
    "text",
    ["#1", "447", "4.47700900123E+11", "p_3f9a2c41_0e11", "20-20-2020", "02.10.20.20.30", "0044 (0)7700 900123",
     "07700-900-123", "0114477009001230", "2020-900-123"],
)  # fmt: skip
def test_what_no_spreadsheet_made_is_left(text: str) -> None:
    assert not is_mangled(text)
