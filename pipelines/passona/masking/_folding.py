"""Text as plain ASCII shows it: digits and separators of every script, escapes of addresses, HTML and JSON. Pure.

    "０７７００%20٩٠٠\u2009123" -> "07700 900 123", and where each character of it stands in the text

What a phone looks like (`phones`) is written for this one form, so that it holds for all of them.
"""

from __future__ import annotations

import html
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote_to_bytes

# %20, and %2520, which was encoded twice; &nbsp; &#160; \u00a0 \t
_ESCAPES = (
    r"(?:%(?:25)*[0-9A-Fa-f]{2})+",
    r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});",
    r"\\(?:u[0-9A-Fa-f]{4}|[bfnrtv])",
)
ESCAPE = re.compile("|".join(_ESCAPES))
_ATOM = re.compile(rf"{ESCAPE.pattern}|.", re.DOTALL)
_TWICE = re.compile("%(?:25)+(?=[0-9A-Fa-f]{2})")
# What stands for nothing, though Unicode counts it as letters or symbols.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_DOTS = "·•‧∙⋅・٫"


@dataclass(frozen=True)
class View:
    """One way to see a text. `starts`, `ends`: where each character of `look` stands in the text."""

    look: str
    starts: Sequence[int]
    ends: Sequence[int]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Where a piece of `look` stands in the text."""
        return self.starts[start], self.ends[end - 1]


def views(text: str) -> Iterator[View]:
    """The text with its escapes read, if there are any, and as it is: a % may also be just that."""
    if ESCAPE.search(text):
        yield _atoms([(match[0], match.start(), match.end()) for match in _ATOM.finditer(text)])
    if text.isascii() and text.isprintable():
        yield View(text, range(len(text)), range(1, len(text) + 1))
    else:
        yield _folded(text)


def _folded(text: str) -> View:
    look = _raised().sub(lambda match: " " * len(match[0]), text).translate(_LOOKS)
    if len(look) == len(text):
        return View(look, range(len(text)), range(1, len(text) + 1))
    return _atoms([(character, place, place + 1) for place, character in enumerate(text)])


def _atoms(atoms: Sequence[tuple[str, int, int]]) -> View:
    """A view of single characters and escapes, each with where it stands."""
    seen = [(look, start, end) for atom, start, end in atoms for look in _read(atom).translate(_LOOKS)]
    return View("".join(look for look, _, _ in seen), [start for _, start, _ in seen], [end for _, _, end in seen])


def _read(atom: str) -> str:
    """What an escape stands for; a character is itself."""
    if len(atom) == 1:
        return atom
    if atom[0] == "&":
        return html.unescape(atom)
    if atom[0] == "\\":
        return chr(int(atom[-4:], 16)) if atom[1] == "u" else " "
    data = unquote_to_bytes(_TWICE.sub("%", atom))
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")


class _Looks(dict[int, str]):
    """For `str.translate`: what each character looks like, found out when it is first seen."""

    def __missing__(self, code: int) -> str:
        self[code] = look = _look(chr(code))
        return look


_LOOKS = _Looks()


def _look(character: str) -> str:
    """ASCII, where that has something like it; nothing for what is not seen; else the character itself."""
    digit = unicodedata.digit(character, None)
    if digit is not None:
        return str(digit)
    kind = unicodedata.category(character)
    if kind in ("Cf", "Mn", "Me"):
        return ""
    if kind[0] == "Z" or kind == "Cc" or character in _BLANKS:
        return " "
    if kind == "Pd" or character == "\N{MINUS SIGN}":
        return "-"
    plain = unicodedata.normalize("NFKC", character)
    if character in _DOTS or plain in _DOTS:
        return "."
    return plain if len(plain) == 1 and plain.isascii() else character


@cache
def digits_beyond_ascii() -> str:
    """All characters but 0 to 9 that are digits."""
    beyond = map(chr, range(0x80, sys.maxunicode + 1))
    return "".join(character for character in beyond if unicodedata.digit(character, None) is not None)


@cache
def _raised() -> re.Pattern[str]:
    """Small digits above or below the line, beside others: of a footnote, not of a number."""
    small = "".join(c for c in digits_beyond_ascii() if unicodedata.decomposition(c).startswith(("<super>", "<sub>")))
    return re.compile(rf"(?<=\d)[{small}]+|[{small}]+(?=\d)")
