"""Phones in every way of writing them, told from dates, times, prices and order numbers. Pure.

    a value that is a phone   -> read_phone: its digits            "+44 (0)7700 900123", '="447700900123"'
    a text that may name some -> pieces: what each may stand for   for phones that are known
                              -> replaced: those that look like one, for phones that are not

This is the one place that says what is a spelling of a number. It is said of text as `folding` shows it; what SQL
asks (`may_name`) and what is looked for in bytes (`held`) is made from the same.

The vendor writes digits with country code (447700900123), people write +44 7700 900123, +44 (0)7700 900123,
0044..., 07700-900123, (07700) 900 123, spreadsheets 447700900123.0, 4.47700900123E+11, 447,700,900,123. Facts: a
country code has one to three digits, a whole phone at most fifteen (E.164); within most countries 0 stands for the
country's code, and in the United Kingdom, where the vendor and its accounts are, ten digits follow either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from typing import NamedTuple
from urllib.parse import quote

from passona.folding import View, digits_beyond_ascii, views

_PLAIN = re.compile("(?!440)[1-9][0-9]{6,14}")
_COUNTRY = re.compile("1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")
# Fewer digits behind the country's code are too few to be known for a phone without it.
_SHORTEST_NATIONAL = 8
_BRITISH_NATIONAL = re.compile("0[1-9][0-9]{9}")
_WRITTEN_OUT = re.compile("[1-9][0-9]{6,14}|0[1-9][0-9]{7,9}")
# 4.47700900123E+11
_SCIENTIFIC = re.compile(r"(?<![0-9A-Za-z])([0-9]{1,3})(?:[.,]([0-9]*))?[eE]\+?([0-9]{1,3})(?![0-9A-Za-z])")
# What a spreadsheet puts in a cell that it cannot show or compute: ########, #N/A, #DIV/0!
_CELL_ERROR = re.compile(r"#(?:#*|[A-Z]+(?:/[A-Z0])?[!?]?)")
_SCHEME = re.compile(r"^\W*(?:tel|sms|smsto|callto|whatsapp):", re.IGNORECASE)


def read_phone(text: str) -> str | None:
    """The digits of a text that is a phone and nothing else, with country code, or with 0 in its place.

    None for all else, and for a number of which digits were lost.
    """
    if _PLAIN.fullmatch(text):
        return text
    return next((digits for view in views(text) if (digits := _read(view.look))), None)


def with_country(digits: str) -> str:
    """The digits with country code, where they tell it: 0 and ten more are British."""
    return f"44{digits[1:]}" if _BRITISH_NATIONAL.fullmatch(digits) else digits


def person_of(text: str) -> str:
    """What is the same for every spelling of a phone: its digits. A text without exactly one phone is itself."""
    digits = read_phone(text)
    if digits is None:
        found = {with_country(phone) for view in views(text) for _, _, phone in _seen(view, 9)}
        digits = found.pop() if len(found) == 1 else None
    return text if digits is None else with_country(digits)


def is_mangled(text: str) -> bool:
    """Whether a spreadsheet has lost digits of it, so that nobody can know which phone it was."""
    if _PLAIN.fullmatch(text):
        return False
    look = next(views(text)).look
    return bool(_CELL_ERROR.fullmatch(look.strip())) or (
        _bare_scientific(look) is not None and read_phone(text) is None
    )


def blurred(text: str) -> str:
    """A text that `is_mangled`, and so is this, without its digits."""
    return text if "#" in text else re.sub("[0-9]", "9", next(views(text)).look)


def _read(look: str) -> str | None:
    look = _SCHEME.sub("", look)
    if scientific := _bare_scientific(look):
        digits = _whole(scientific)
    elif re.search(r"[^\W\d_]", look):
        return None
    else:
        dialled = re.sub(r"([0-9])[^0-9]*\(0\)", r"\1", _without_decimals(look))
        digits = re.sub("^440", "44", re.sub("^00", "", re.sub("[^0-9]", "", dialled)))
    return digits if digits and _WRITTEN_OUT.fullmatch(digits) else None


def _bare_scientific(look: str) -> re.Match[str] | None:
    """A number with an exponent that nothing but marks stands beside."""
    match = _SCIENTIFIC.search(look)
    return match if match and not re.search(r"\w", look[: match.start()] + look[match.end() :]) else None


def _whole(scientific: re.Match[str]) -> str | None:
    """The digits of such a number, None if it has fewer of them than its exponent says."""
    before, behind, exponent = scientific[1], scientific[2] or "", int(scientific[3])
    if len(behind) < exponent or behind[exponent:].strip("0"):
        return None
    return (before + behind[:exponent]).lstrip("0")


def _without_decimals(look: str) -> str:
    """447700900123.0, 447,700,900,123.00 and 447.700.900.123,00 without what is behind the point."""
    head, mark, tail = look.rpartition(max(".,", key=look.rfind))
    is_decimal = mark and mark not in head and re.fullmatch(r"0+[^0-9]*", tail) and len(re.sub("[^0-9]", "", head)) >= 9
    return head if is_decimal else look


class Piece(NamedTuple):
    """A piece of a text that may be a phone, and what it would be: digits with country code, or with 0."""

    start: int
    end: int
    phones: frozenset[str]


# At most so many marks stand between two digits of one phone.
_GAP = r"[\W_]{1,5}"
_RUN = re.compile(rf"[0-9]+(?:{_GAP}[0-9]+)*")
_GROUP = re.compile("[0-9]+")
# 00, a country code of three, (0) and twelve more.
_LONGEST = 18


def pieces(text: str) -> Iterator[Piece]:
    """Every piece of a text that may be a whole phone, as it may be written: neighbours overlap."""
    for view in views(text):
        look = view.look
        for match in _SCIENTIFIC.finditer(look):
            if digits := _whole(match):
                yield Piece(*view.place(match.start(), match.end()), frozenset({digits}))
        for run in _RUN.finditer(_SCIENTIFIC.sub(lambda match: "x" * len(match[0]), look)):
            groups = [match.span() for match in _GROUP.finditer(look, *run.span())]
            for first, (start, _) in enumerate(groups):
                digits = ""
                for begin, end in groups[first:]:
                    digits += look[begin:end]
                    if len(digits) > _LONGEST:
                        break
                    if phones := _readings(digits):
                        yield Piece(*view.place(_lead(look, start, end), _trail(look, end)), phones)


def _readings(digits: str) -> frozenset[str]:
    """What digits may stand for that begin and end as a phone does."""
    plain = digits.removeprefix("00")
    found = {plain}
    if plain[:1] != "0" and (country := _COUNTRY.match(plain)) and plain[country.end() : country.end() + 1] == "0":
        found.add(country[0] + plain[country.end() + 1 :])  # +44 (0)7700 900123
    return frozenset(phone for phone in found if 7 <= len(phone) <= 15 and phone[:2] != "00")


def _lead(look: str, start: int, end: int) -> int:
    """Where a phone begins with its plus and its bracket."""
    if look[start - 1 : start] == "+":
        start -= 1
    if look[start - 1 : start] == "(" and ")" in look[start:end]:
        start -= 1
    return start


def _trail(look: str, end: int) -> int:
    """Where it ends with the decimals of a spreadsheet."""
    zeros = re.compile("[.,]0{1,6}(?![0-9])").match(look, end)
    return zeros.end() if zeros else end


def spellings_of(phone: str) -> frozenset[str]:
    """What a phone with country code may be found as: itself, and with 0 for its country."""
    national = _COUNTRY.sub("", phone, count=1)
    return frozenset({phone, f"0{national}"} if len(national) >= _SHORTEST_NATIONAL else {phone})


def phones_of(text: str) -> frozenset[str]:
    """All that a value of a column of phones may stand for: the phone that it is, or those that it names."""
    digits = read_phone(text)
    return _readings(digits) if digits else frozenset().union(*(piece.phones for piece in pieces(text)))


def persons_of(text: str) -> set[str]:
    """What such a value is known by among those who are kept out."""
    if _PLAIN.fullmatch(text) and text[len(text) - len(core(text))] != "0":
        return {text}  # as nearly all are
    phones = phones_of(text)
    return {*phones, *map(with_country, phones), person_of(text), text}


def names_one(text: str, phones: Collection[str]) -> bool:
    """Whether a text names one of these phones."""
    return any(not piece.phones.isdisjoint(phones) for piece in pieces(text))


def without(text: str, phones: Collection[str], stand_in: str) -> str:
    """The text with something else for each of these phones in it."""
    return _spliced(text, ((p.start, p.end, stand_in) for p in pieces(text) if not p.phones.isdisjoint(phones)))


def _spliced(text: str, found: Iterable[tuple[int, int, str]]) -> str:
    """The text with other texts for some pieces of it; of pieces that overlap the first, and of these the longest."""
    parts, done = [], 0
    for start, end, stand_in in sorted(found, key=lambda each: (each[0], -each[1])):
        if start >= done:
            parts += [text[done:start], stand_in]
            done = end
    return "".join([*parts, text[done:]]) if done else text


def core(phone: str) -> str:
    """The digits of a phone behind its country's code: all its spellings have them, one after the other."""
    return _COUNTRY.sub("", phone, count=1)


def may_name(phones: Iterable[str]) -> str:
    """An expression for DuckDB and Postgres, found in every text that names one of these phones, and in few others."""
    return "|".join((_elsewhere(), *(_NO_DIGIT.join(map(_digit, core(phone))) for phone in phones)))


_NO_DIGIT = r"([^0-9A-Za-z]|%(25)*[0-9A-Fa-f]{2}|&#?[0-9A-Za-z]{1,8};|\\u[0-9A-Fa-f]{4}|\\[bfnrtv])*"


def _digit(digit: str) -> str:
    return f"({digit}|%(25)*3{digit})"


@cache
def _elsewhere() -> str:
    """An expression for digits that are not 0 to 9: themselves, and in escapes."""
    beyond = digits_beyond_ascii()
    encoded = sorted({quote(digit)[:6] if len(quote(digit)) > 6 else quote(digit)[:3] for digit in beyond})
    return "|".join((f"[{beyond}]", r"&#|\\u", *encoded, *map(str.lower, encoded)))


_BYTES_ESCAPED = rb"%(?:25)*[0-9A-Fa-f]{2}|&#?[0-9A-Za-z]{1,8};|\\(?:u[0-9A-Fa-f]{4}|[bfnrtv])"
_OTHER_BYTES = bytes(byte for byte in range(256) if byte not in b"0123456789")


def held(data: bytes, phones: Iterable[str]) -> set[str]:
    """Those of these phones whose digits are in bytes, with what may stand between them.

    Texts stand side by side there, so a phone may begin and end anywhere.
    """
    digits = re.sub(_BYTES_ESCAPED, b"", data).translate(None, delete=_OTHER_BYTES)
    return {phone for phone in phones if core(phone).encode() in digits and _in_bytes(phone).search(data)}


@cache
def _in_bytes(phone: str) -> re.Pattern[bytes]:
    gap = rb"(?:[^0-9A-Za-z]|" + _BYTES_ESCAPED + rb"){0,15}"
    national = gap.join(bytes([digit]) for digit in core(phone).encode())
    code = gap.join(bytes([digit]) for digit in phone.removesuffix(core(phone)).encode())
    international = code + gap + rb"(?:0" + gap + rb")?"
    prefixes = [international, rb"0" + gap] if len(spellings_of(phone)) > 1 else [international]
    return re.compile(rb"(?:" + rb"|".join(prefixes) + rb")" + national)


# The same where the digits are not known before.
_ANY = r"[\W_]{0,3}"
_BETWEEN = r"[ ().+_'/-]{0,3}"
_APART = r"[ ().+_'/-]{1,3}"
_MORE = f"(?:{_BETWEEN}[0-9])"
# Behind a digit with a stop, a comma or a colon a number goes on: 10.00, 14:00. Behind a whole one stands .0 at most.
_ALONE, _END = "(?<![0-9])", "(?:[.,]0{1,6})?(?![0-9])"
_BEGIN = rf"{_ALONE}(?<![0-9][.,:])"
_HOUR = "(?:[01][0-9]|2[0-3])[0-5][0-9]"
_DATE = re.compile(
    rf"(?<![0-9])(?:[0-3]?[0-9]{_APART}[01]?[0-9]{_APART}(?:19|20)[0-9]{{2}}|"
    rf"[01]?[0-9]/[0-3]?[0-9]/(?:19|20)[0-9]{{2}}|(?:19|20)[0-9]{{2}}[-/][01]?[0-9][-/][0-3]?[0-9])(?![0-9])"
)
_FORMS = (
    # +44 7700 900123, 0044 (0)7700 900123
    rf"{_ALONE}\(?(?:\+|00){_ANY}44{_ANY}(?:0{_ANY})?[1-9](?:{_ANY}[0-9]){{9}}{_END}",
    # +1 212 555 0123
    rf"{_ALONE}\(?(?:\+|00)[1-9]{_MORE}{{8,14}}{_END}",
    # 44 7700 900123, 447,700,900,123, 07700:900123, of a mobile alone
    rf"{_ALONE}(?:44{_ANY}(?:0{_ANY})?|0)7[0-9]{{3}}(?:{_ANY}[0-9]){{6}}{_END}",
    rf"{_ALONE}447(?P<mobile>[\W_])[0-9]{{3}}(?:(?P=mobile)[0-9]{{3}}){{2}}{_END}",
    # 07700 900123, 020 7946 0958, (01632) 960-123, but no times of day (0900-1730)
    rf"{_BEGIN}(?!{_HOUR}{_APART}{_HOUR}{_END})(?=\(?0[1-9][0-9]{{1,4}}{_APART}[0-9]{{3}})\(?0[1-9]{_MORE}{{8,9}}{_END}",
    # 07700900123
    rf"{_BEGIN}0[1-9][0-9]{{8,9}}{_END}",
    # 01 23 45 67 89, in five pairs and no more
    rf"{_BEGIN}(?<![0-9] )0[1-9](?P<gap>[ .])[0-9]{{2}}(?:(?P=gap)[0-9]{{2}}){{3}}(?!(?P=gap)?[0-9])",
    rf"{_SCIENTIFIC.pattern}",
)
# Digits in groups, as they stand in a cell: 1,234,567,890; 12,34,56,78,901 in India.
_GROUPED = (
    rf"{_BEGIN}[1-9][0-9]{{0,2}}(?P<three>[\W_])[0-9]{{3}}(?:(?P=three)[0-9]{{3}}){{2,3}}{_END}",
    rf"{_BEGIN}[1-9][0-9]?(?P<two>[\W_])[0-9]{{2}}(?:(?P=two)[0-9]{{2}}){{2,5}}(?P=two)[0-9]{{3}}{_END}",
)


def replaced(text: str, stand_in: Callable[[str], str], *, long_from: int | None) -> str:
    """The text with something else for each phone in it. `stand_in`: makes it of the phone's digits.

    `long_from`: for so many digits or more in a row, too, though nothing but their number tells that they are a phone.
    """
    if text.isascii() and not _GROUP.search(text):
        return text
    found = (each for view in views(text) for each in _seen(view, long_from))
    return _spliced(text, ((start, end, stand_in(digits)) for start, end, digits in found))


def _seen(view: View, long_from: int | None) -> Iterator[tuple[int, int, str]]:
    """What looks like a phone: where, and its digits."""
    for match in _form(long_from).finditer(view.look):
        digits = _read(match[0])
        if digits is None and _SCIENTIFIC.fullmatch(match[0]):
            continue  # any number
        if not _DATE.search(match[0]):
            yield *view.place(*match.span()), digits or re.sub("[^0-9]", "", match[0])


@cache
def _form(long_from: int | None) -> re.Pattern[str]:
    long = (rf"\+?[0-9]{{{long_from},}}", *_GROUPED) if long_from else ()
    return re.compile("|".join((*_FORMS, *long)))
