"""Phones as people write them, and other digits that are none."""

from __future__ import annotations

import duckdb
import pytest

from passona.phones import phone_digits, replaced, spellings, within_its_country

BRITISH = "447700900123"
WRITTEN = [
    "+44 7700 900123", "+44 (0)7700 900123", "+44 07700 900123", "(+44) 7700-900-123", "0044 7700 900 123",
    "0044(0)7700.900.123", "00447700900123", "+447700900123", "447700900123", "44 7700 900123", "07700 900123",
    "07700-900123", "(07700) 900 123", "07700.900.123", "07700900123", "+44\u00a07700\u00a0900\u00a0123", "07700\u2011900123",
]  # fmt: skip


@pytest.mark.parametrize("text", WRITTEN)
def test_a_phone_is_found_in_a_text_whatever_stands_between_its_digits(text: str) -> None:
    whole = f"Tel:{text}, or {text} 2 ask"
    digits = "07700900123" if "44" not in text else BRITISH
    assert replaced(whole, lambda found: f"<{found}>", long_numbers=False) == f"Tel:<{digits}>, or <{digits}> 2 ask"
    assert phone_digits(text) == digits
    # The one that is to be forgotten is found in the same texts by SQL.
    sql = "SELECT regexp_replace(?, '(^|[^0-9])(?:' || ? || ')($|[^0-9])', '\\1!\\2', 'g')"
    assert duckdb.execute(sql, [whole, spellings(BRITISH)]).fetchall() == [("Tel:!, or ! 2 ask",)]
    others = f"{text}4, {text[:-1]}, 1{BRITISH}"
    assert duckdb.execute(sql, [others, spellings(BRITISH)]).fetchall() == [(others,)]


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
        replaced(f"from 05.06.2020: {text}.", lambda found: f"<{found}>", long_numbers=False)
        == f"from 05.06.2020: <{digits}>."
    )


@pytest.mark.parametrize(
    "text",
    [
        "2020-06-25 20:26:02", "25.06.2020 14:30", "05/06/2020 14:30", "01.05 - 03.06.2020", "05.06.2020-07.06.2020",
        "2020-06-25 - 2020-07-01", "A+ 25.06.2020 14:30", "+10 25.06.2020 14", "14:00 25 06 2020 10",
        "08.30-12.00 13.00-17.30", "0900-1730 12 June", "0900 1730 12", "£10.00 12345678", "10.99 - 12.99", "1,234,567.50",
        "5 000 000 000", "12345-67890", "A123-456-789-012", "0001 2345 6789", "12 3456 789012", "4111 1111 1111 1111",
        "01 07 15 23 42 49", "4 01 07 15 23 42", "83.0.4103.106", "0.1234567", "2020 2021 2022", "1234567890",
    ],
)  # fmt: skip
def test_other_digits_stay(text: str) -> None:
    assert replaced(text, lambda _: "!", long_numbers=False) == text


def test_a_phone_within_its_country_begins_with_0_and_one_too_short_to_be_known_so_is_none() -> None:
    assert [within_its_country(phone) for phone in (BRITISH, "353851234567", "12125550123", "4712345678", "4471234")] == [
        "07700900123", "0851234567", "02125550123", "012345678", None,
    ]  # fmt: skip
