"""Phones as people write them: found in texts, and told from dates, times, prices and order numbers. Pure.

The vendor writes digits with country code (447700900123), people write +44 7700 900123, +44 (0)7700 900123,
0044..., 07700-900123, (07700) 900 123. Facts: a country code has one to three digits, a whole phone at most
fifteen (E.164); within most countries 0 stands for the country's code, and in the United Kingdom ten digits
follow either.
"""

from __future__ import annotations

import re
from collections.abc import Callable

# What may stand between two digits of one phone; as the characters themselves, for DuckDB to know them, too.
_GAP = "[ \u00a0().\u2010-\u2013/-]{0,3}"
# From the text to the digits, in Python and in SQL: a 0 in brackets behind a country code is not dialled with it.
DIGIT_STEPS = ((r"([0-9])[^0-9]*\(0\)", r"\1"), ("[^0-9]", ""), ("^00", ""), ("^440", "44"))
_COUNTRY = re.compile("1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")
# Fewer digits behind the country's code are too few to be known for a phone without it.
_SHORTEST_NATIONAL = 8


def phone_digits(text: str) -> str:
    """A phone as digits with country code, however it was written; digits that begin with 0 where it has none."""
    for form, digits in DIGIT_STEPS:
        text = re.sub(form, digits, text)
    return text


def within_its_country(phone: str) -> str | None:
    """The digits of a phone as it is written where its country goes without saying; None for one too short."""
    national = _COUNTRY.sub("", phone, count=1)
    return f"0{national}" if len(national) >= _SHORTEST_NATIONAL else None


def spellings(phone: str) -> str:
    """An expression, for DuckDB too, for all ways to write a phone, which is given as digits with country code."""
    national = _COUNTRY.sub("", phone, count=1)
    code = phone.removesuffix(national)
    international = rf"(?:(?:\+|00){_GAP})?{_GAP.join(code)}{_GAP}(?:0{_GAP})?"
    prefixes = [international, f"0{_GAP}"] if within_its_country(phone) else [international]
    return rf"\(?(?:{'|'.join(prefixes)}){_GAP.join(national)}"


# The same where the digits are not known before, but for the stroke: dates have it.
_BETWEEN = "[ \u00a0().\u2010-\u2013-]{0,3}"
_APART = "[ \u00a0().\u2010-\u2013-]{1,3}"
_MORE = f"(?:{_BETWEEN}[0-9])"
# Behind a digit with a stop, a comma or a colon a number goes on: 10.00, 14:00.
_BEGIN, _END = "(?<![0-9])(?<![0-9][.,:])", "(?![0-9])"
_HOUR = "(?:[01][0-9]|2[0-3])[0-5][0-9]"
_DATE = re.compile(
    rf"(?<![0-9])(?:[0-3]?[0-9]{_APART}[01]?[0-9]{_APART}(?:19|20)[0-9]{{2}}|(?:19|20)[0-9]{{2}}-[01][0-9]-[0-3][0-9]){_END}"
)
_WRITTEN = re.compile(
    "|".join(
        (
            # +44 7700 900123, 0044 (0)7700 900123
            rf"{_BEGIN}\(?(?:\+|00){_BETWEEN}44{_BETWEEN}(?:0{_BETWEEN})?[1-9]{_MORE}{{9}}{_END}",
            # +1 212 555 0123
            rf"{_BEGIN}\(?(?:\+|00)[1-9]{_MORE}{{8,14}}{_END}",
            # 44 7700 900123, of a mobile alone
            rf"{_BEGIN}44{_BETWEEN}(?:0{_BETWEEN})?7[0-9]{{3}}{_MORE}{{6}}{_END}",
            # 07700 900123, 020 7946 0958, (01632) 960-123, but no times of day (0900-1730)
            rf"{_BEGIN}(?!{_HOUR}{_APART}{_HOUR}{_END})(?=\(?0[1-9][0-9]{{1,4}}{_APART}[0-9]{{3}})\(?0[1-9]{_MORE}{{8,9}}{_END}",
            # 07700900123
            rf"{_BEGIN}0[1-9][0-9]{{8,9}}{_END}",
            # 01 23 45 67 89, in five pairs and no more
            rf"{_BEGIN}(?<![0-9] )0[1-9](?P<gap>[ .])[0-9]{{2}}(?:(?P=gap)[0-9]{{2}}){{3}}(?!(?P=gap)?[0-9])",
        )
    )
)
_WRITTEN_OR_LONG = re.compile(rf"{_WRITTEN.pattern}|\+?[0-9]{{9,}}")


def replaced(text: str, stand_in: Callable[[str], str], *, long_numbers: bool) -> str:
    """The text with something else for each phone in it. `stand_in`: makes it of the phone's digits.

    `long_numbers`: for nine digits or more in a row, too, though nothing but their number tells that they are a phone.
    """

    def other(found: re.Match[str]) -> str:
        return found[0] if _DATE.search(found[0]) else stand_in(phone_digits(found[0]))

    return (_WRITTEN_OR_LONG if long_numbers else _WRITTEN).sub(other, text)
