"""Find numbers in texts that are phones by their form, as opposed to dates, times, prices and order numbers. Pure."""

import re
from collections.abc import Callable, Iterator
from functools import cache

from passona.masking._folding import View, views
from passona.masking.phones import (
    PLAIN,
    SCIENTIFIC,
    core,
    phones_of,
    read_look,
    read_phone,
    splice,
    with_country,
    without_scientific,
)

_ANY = r"[\W_]{0,3}"
_BETWEEN = r"[ ().+_'/-]{0,3}"
_APART = r"[ ().+_'/-]{1,3}"
# Between the digits of a phone, but not of versions and lists.
_SPACED = r"[ ()_'/-]{0,3}"
_MORE = f"(?:{_BETWEEN}[0-9])"
# After a digit and one of ".,:" a number continues (10.00, 14:00), so no phone starts there. One may end in .0.
_ALONE, _END = "(?<![0-9])", "(?:[.,]0{1,6})?(?![0-9])"
_BEGIN = rf"{_ALONE}(?<![0-9][.,:])"
_HOUR = "(?:[01][0-9]|2[0-3])[0-5][0-9]"
_DATE = re.compile(
    rf"(?<![0-9])(?:[0-3]?[0-9]{_APART}[01]?[0-9]{_APART}(?:19|20)[0-9]{{2}}|"
    rf"[01]?[0-9]/[0-3]?[0-9]/(?:19|20)[0-9]{{2}}|(?:19|20)[0-9]{{2}}[-/][01]?[0-9][-/][0-3]?[0-9])(?![0-9])"
)
_FORMS = (
    # +44 7700 900123, 0044 (0)7700 900123
    rf"{_ALONE}\(?(?:\+|0{{1,3}}|0{{1,2}}11){_ANY}44{_ANY}(?:0{_ANY})?[1-9](?:{_ANY}[0-9]){{9}}{_END}",
    # +1 212 555 0123
    rf"{_ALONE}\(?(?:\+|00)[1-9]{_MORE}{{8,14}}{_END}",
    # 44 7700 900123, 447,700,900,123, 07700:900123: mobiles only
    rf"{_ALONE}(?:44{_ANY}(?:0{_ANY})?|0)7[0-9]{{3}}(?:{_ANY}[0-9]){{6}}{_END}",
    # 44 77 00 90 01 23, 4477 0090 0123
    rf"{_BEGIN}(?:4{_SPACED}4{_SPACED}(?:0{_SPACED})?|0{_SPACED})7(?:{_SPACED}[0-9]){{9}}{_END}",
    rf"{_ALONE}447(?P<mobile>[\W_])[0-9]{{3}}(?:(?P=mobile)[0-9]{{3}}){{2}}{_END}",
    # 07700 900123, 020 7946 0958, (01632) 960-123, but no times of day (0900-1730)
    rf"{_BEGIN}(?!{_HOUR}{_APART}{_HOUR}{_END})(?=\(?0[1-9][0-9]{{1,4}}{_APART}[0-9]{{3}})\(?0[1-9]{_MORE}{{8,9}}{_END}",
    # 07700900123
    rf"{_BEGIN}0[1-9][0-9]{{8,9}}{_END}",
    # 01 23 45 67 89: exactly five pairs
    rf"{_BEGIN}(?<![0-9] )0[1-9](?P<gap>[ .])[0-9]{{2}}(?:(?P=gap)[0-9]{{2}}){{3}}(?!(?P=gap)?[0-9])",
)
# Grouped digits of a spreadsheet: 1,234,567,890; in India 12,34,56,78,901.
_GROUPED = (
    rf"{_BEGIN}[1-9][0-9]{{0,2}}(?P<three>[\W_])[0-9]{{3}}(?:(?P=three)[0-9]{{3}}){{2,3}}{_END}",
    rf"{_BEGIN}[1-9][0-9]?(?P<two>[\W_])[0-9]{{2}}(?:(?P=two)[0-9]{{2}}){{2,5}}(?P=two)[0-9]{{3}}{_END}",
)


def replaced(text: str, stand_in: Callable[[str], str], *, long_from: int | None, in_groups: bool = False) -> str:
    """Replace each likely phone in a text. `stand_in`: returns the replacement for a phone's digits.

    `long_from`: any sequence of at least so many digits counts as a phone; None for no such rule.
    `in_groups`: also if the digits are grouped.
    """
    if text.isascii() and not re.search("[0-9]", text):
        return text
    phones = (phone for view in views(text) for phone in _phones_in(view, long_from, in_groups))
    return splice(text, ((start, end, stand_in(digits)) for start, end, digits in phones))


def _phones_in(view: View, long_from: int | None, in_groups: bool = False) -> Iterator[tuple[int, int, str]]:
    """Yield start, end and digits of each likely phone."""
    for match in SCIENTIFIC.finditer(view.look):
        if digits := read_look(match[0]):
            yield *view.place(*match.span()), digits
    for match in _form(long_from, in_groups).finditer(without_scientific(view.look)):
        if not _DATE.search(match[0]):
            yield *view.place(*match.span()), read_look(match[0]) or re.sub("[^0-9]", "", match[0])


@cache
def _form(long_from: int | None, in_groups: bool) -> re.Pattern[str]:
    long = (rf"\+?[0-9]{{{long_from},}}", *_GROUPED) if long_from else ()
    loose = (rf"{_ALONE}[0-9](?:[ ().-]?[0-9]){{{long_from - 1},14}}(?![0-9])",) if long_from and in_groups else ()
    return re.compile("|".join((*_FORMS, *long, *loose)))


def person_of(text: str) -> str:
    """Return the digits of a phone, the same for every spelling; the text itself if it has not exactly one phone."""
    digits = read_phone(text)
    if digits is None:
        phones = {with_country(phone) for view in views(text) for _, _, phone in _phones_in(view, 9)}
        digits = phones.pop() if len(phones) == 1 else None
    return text if digits is None else with_country(digits)


def persons_of(text: str) -> set[str]:
    """Return all that may identify the person behind a value of a phone column."""
    if PLAIN.fullmatch(text) and text[len(text) - len(core(text))] != "0":
        return {text}
    phones = phones_of(text)
    return {*phones, *map(with_country, phones), person_of(text), text}
