"""Read phone numbers in every spelling. Pure.

    a value that is a phone   -> read_phone: its digits            "+44 (0)7700 900123", '="447700900123"'
    a text that contains some -> pieces: each piece with the phones it may be

Only this module defines a spelling; `likely_phones` and `phone_search` build on it. Its patterns apply to a folded
text (`_folding`).

The vendor writes digits with country code (447700900123), people write +44 7700 900123, +44 (0)7700 900123,
0044..., 07700-900123, (07700) 900 123, spreadsheets 447700900123.0, 4.47700900123E+11, 447,700,900,123. A country
code has one to three digits, a whole phone at most fifteen (E.164). Within most countries 0 replaces the country
code. In the United Kingdom, home of the vendor and its accounts, ten digits follow.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import NamedTuple

from passona.masking._folding import ESCAPE, views

# Replaces a forgotten phone in a text.
ERASED = "[erased]"
# The vendor's spelling, of nearly all phones.
PLAIN = re.compile("(?!440)[1-9][0-9]{6,14}")
_COUNTRY = re.compile("1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")
# A national number with fewer digits is too short to be recognized without its country code.
_SHORTEST_NATIONAL = 8
_BRITISH_NATIONAL = re.compile("0[1-9][0-9]{9}")
_WRITTEN_OUT = re.compile("[1-9][0-9]{6,14}|0[1-9][0-9]{7,9}")
# 4.47700900123E+11
SCIENTIFIC = re.compile(r"(?<![0-9A-Za-z])([0-9]{1,15})(?:[.,]([0-9]*))?[eE]([-+]?[0-9]{1,4})(?![0-9A-Za-z])")
# A spreadsheet's cell that cannot be shown or computed: ########, #N/A, #DIV/0!, #¡VALOR!, Err:502
_CELL_ERROR = re.compile(r"#[^0-9]*(?:/0)?[!?]?|Err:[0-9]{3}", re.IGNORECASE)
# A number that is no phone: 4, 0.0, -907779 (which a spreadsheet computes from 44-7700-900123).
_OTHER_NUMBER = re.compile(r"[0-9]{1,2}(?:[.,][0-9]*)?|-[0-9.,]+")
# A date, with a time or without: 08/06/2020, 2020-06-08 13:50:06, 8.6.2020.
_D, _M = "(?:0?[1-9]|[12][0-9]|3[01])", "(?:0?[1-9]|1[0-2])"
_DAY = re.compile(
    rf"(?:{_D}([./-]){_M}\1(?:19|20)[0-9]{{2}}|{_M}([./-]){_D}\2(?:19|20)[0-9]{{2}}"
    rf"|(?:19|20)[0-9]{{2}}([./-]){_M}\3{_D})(?:[T ][0-9]{{1,2}}:[0-9]{{2}}(?::[0-9]{{2}})?(?:[.,][0-9]+)?)?"
)
# More digits than a phone has, with 00 or 011 and (0).
_TOO_LONG = re.compile(r"\+?[1-9][0-9]{15,}|0[0-9]{18,}")
# 0.447700900123: the decimals are no phone.
_BELOW_ONE = re.compile(r"\W*0[.,][0-9]+\W*")
# An international prefix before a British number, also with extra zeros: 00, 011, 0011, 000
_DIALLED = re.compile("^(?:0{1,3}|0{1,2}11)(?=44[1-9][0-9]{9}$)|^00")
_SCHEME = re.compile(r"^\W*(?:tel|sms|smsto|callto|whatsapp):", re.IGNORECASE)


def read_phone(text: str) -> str | None:
    """Return the digits of a text that is one phone, with country code or with 0 in its place.

    None for any other text, and for a number that lost digits.
    """
    if PLAIN.fullmatch(text):
        return text
    return next((digits for view in views(text) if (digits := read_look(view.look))), None)


def with_country(digits: str) -> str:
    """Return the digits with country code, if it is known: 0 and ten more digits are British."""
    return f"44{digits[1:]}" if _BRITISH_NATIONAL.fullmatch(digits) else digits


def is_mangled(text: str) -> bool:
    """Return True if a value in a phone column is no phone, because digits were lost or there was none."""
    if PLAIN.fullmatch(text):
        return False
    look = next(views(text)).look
    if not re.search("[0-9]", look) or _CELL_ERROR.fullmatch(look.strip()):
        return True
    bare = look.strip(" '")
    if _DAY.fullmatch(bare) or _TOO_LONG.fullmatch(bare):
        return True
    is_number = _bare_scientific(look) or _OTHER_NUMBER.fullmatch(bare)
    return is_number is not None and read_phone(text) is None


def blur(text: str) -> str:
    """Replace the digits of a mangled value, and words that may be a name."""
    look = next(views(text)).look
    if not re.search("[0-9]", look) and "#" not in look:
        return re.sub(r"\w", "x", look)
    return text if "#" in text else re.sub("[0-9]", "9", look)


def read_look(look: str) -> str | None:
    """Return the digits of a folded text that is one phone."""
    look = _SCHEME.sub("", look)
    if scientific := _bare_scientific(look):
        digits = _whole(scientific)
    elif re.search(r"[^\W\d_]", look) or _BELOW_ONE.fullmatch(look):
        return None
    else:
        dialled = re.sub(r"([0-9])[^0-9]*\(0\)", r"\1", _without_decimals(look))
        digits = re.sub("^440", "44", _DIALLED.sub("", re.sub("[^0-9]", "", dialled)))
    return digits if digits and _WRITTEN_OUT.fullmatch(digits) else None


def _bare_scientific(look: str) -> re.Match[str] | None:
    """Match a number with an exponent that only punctuation surrounds."""
    match = SCIENTIFIC.search(look)
    return match if match and not re.search(r"\w", look[: match.start()] + look[match.end() :]) else None


def _whole(scientific: re.Match[str]) -> str | None:
    """Return the digits of such a number, None if it has fewer than its exponent requires."""
    before, behind, exponent = scientific[1], scientific[2] or "", int(scientific[3])
    if not 0 <= exponent <= len(behind) or behind[exponent:].strip("0"):
        return None
    return (before + behind[:exponent]).lstrip("0")


def _without_decimals(look: str) -> str:
    """Remove zero decimals: 447700900123.0, 447,700,900,123.00, 447.700.900.123,00."""
    head, mark, tail = look.rpartition(max(".,", key=look.rfind))
    is_decimal = mark and mark not in head and re.fullmatch(r"0+[^0-9]*", tail) and len(re.sub("[^0-9]", "", head)) >= 9
    return head if is_decimal else look


class Piece(NamedTuple):
    """A piece of a text that may be a phone. `phones`: its readings, as digits with country code or with 0."""

    start: int
    end: int
    phones: frozenset[str]


# Between two digits of one phone.
_GAP = r"[\W_]{1,5}"
_RUN = re.compile(rf"[0-9]+(?:{_GAP}[0-9]+)*")
_GROUP = re.compile("[0-9]+")
# Matches every text that may contain a phone, and few others: seven digits, an exponent, foldable characters.
_MAY_BE = re.compile(
    rf"[0-9](?:[\W_]{{0,5}}[0-9]){{6}}|[0-9][eE]\+?[0-9]{{1,2}}(?![0-9A-Za-z])|{ESCAPE.pattern}|[^\x00-\x7f]"
)
# 00, a country code of three, (0) and twelve more.
_LONGEST = 18


def pieces(text: str) -> Iterator[Piece]:
    """Yield every piece of a text that may be a whole phone. Pieces overlap."""
    for view in views(text):
        look = view.look
        for match in SCIENTIFIC.finditer(look):
            if digits := _whole(match):
                yield Piece(*view.place(match.start(), match.end()), frozenset({digits}))
        for run in _RUN.finditer(without_scientific(look)):
            groups = [match.span() for match in _GROUP.finditer(look, *run.span())]
            for first, (start, _) in enumerate(groups):
                digits = ""
                for begin, end in groups[first:]:
                    digits += look[begin:end]
                    if len(digits) > _LONGEST:
                        break
                    if phones := _readings(digits):
                        yield Piece(*view.place(_lead(look, start, end), _trail(look, end)), phones)


def without_scientific(look: str) -> str:
    """Cross out numbers with an exponent; the length stays.

    A phone before something that only looks like an exponent stays, too: 4;47700900123E+11.
    """
    return SCIENTIFIC.sub(_crossed_out, look)


def _crossed_out(scientific: re.Match[str]) -> str:
    is_phone_before = len(scientific[1]) > 3 and not _whole(scientific)
    return scientific[0] if is_phone_before else "x" * len(scientific[0])


def _readings(digits: str) -> frozenset[str]:
    plain = _DIALLED.sub("", digits)
    phones = {plain}
    if plain[:1] != "0" and (country := _COUNTRY.match(plain)) and plain[country.end() : country.end() + 1] == "0":
        phones.add(country[0] + plain[country.end() + 1 :])  # +44 (0)7700 900123
    return frozenset(phone for phone in phones if 7 <= len(phone) <= 15 and phone[:2] != "00")


def _lead(look: str, start: int, end: int) -> int:
    """Return the start of a phone, plus sign and bracket included."""
    if look[start - 1 : start] == "+":
        start -= 1
    if look[start - 1 : start] == "(" and ")" in look[start:end]:
        start -= 1
    return start


def _trail(look: str, end: int) -> int:
    """Return the end of a phone, a spreadsheet's decimals included."""
    zeros = re.compile("[.,]0{1,6}(?![0-9])").match(look, end)
    return zeros.end() if zeros else end


def core(phone: str) -> str:
    """Return the digits after the country code, which all spellings share."""
    return _COUNTRY.sub("", phone, count=1)


def spellings_of(phone: str) -> frozenset[str]:
    """Return a phone with country code, and with 0 in its place."""
    return frozenset({phone, f"0{core(phone)}"} if len(core(phone)) >= _SHORTEST_NATIONAL else {phone})


def all_spellings(phones: Iterable[str]) -> frozenset[str]:
    return frozenset(spelling for phone in phones for spelling in spellings_of(phone))


def phones_of(text: str) -> frozenset[str]:
    """Return the phones in a value of a phone column: the one it is, or those it contains."""
    digits = read_phone(text)
    return _readings(digits) if digits else frozenset().union(*(piece.phones for piece in pieces(text)))


def names_one(text: str, phones: Collection[str]) -> bool:
    return any(not piece.phones.isdisjoint(phones) for piece in pieces(text))


def erased(text: str, is_forgotten: Callable[[str], bool]) -> str:
    if not _MAY_BE.search(text):
        return text
    return splice(text, ((p.start, p.end, ERASED) for p in pieces(text) if any(map(is_forgotten, p.phones))))


def splice(text: str, replacements: Iterable[tuple[int, int, str]]) -> str:
    """Replace pieces of a text; of overlapping pieces the first, of those the longest."""
    parts, done = [], 0
    for start, end, stand_in in sorted(replacements, key=lambda each: (each[0], -each[1])):
        if start >= done:
            parts += [text[done:start], stand_in]
            done = end
    return "".join([*parts, text[done:]]) if done else text
