"""Fold a text to ASCII: digits and separators of every script, and escapes of URLs, HTML and JSON. Pure.

    "０７７００%20٩٠٠\u2009123" -> "07700 900 123", with the position of each character in the text

The patterns in `phones` need only this one form.
"""

import html
import re
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from urllib.parse import unquote_to_bytes

# %20, and %2520, encoded twice; &nbsp; &#160; \u00a0 \t
_ESCAPES = (
    r"(?:%(?:25)*[0-9A-Fa-f]{2})+",
    r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});",
    r"\\(?:u[0-9A-Fa-f]{4}|[bfnrtv])",
)
ESCAPE = re.compile("|".join(_ESCAPES))
_ATOM = re.compile(rf"{ESCAPE.pattern}|.", re.DOTALL)
_TWICE = re.compile("%(?:25)+(?=[0-9A-Fa-f]{2})")
# Blank characters that Unicode counts as letters or symbols.
_BLANKS = "\u115f\u1160\u2800\u3164\uffa0"
_DOTS = "·•‧∙⋅・٫"


@dataclass(frozen=True)
class View:
    """A folded text. `starts`, `ends`: the position of each character of `look` in the original."""

    look: str
    starts: Sequence[int]
    ends: Sequence[int]

    def place(self, start: int, end: int) -> tuple[int, int]:
        """Return start and end in the original of a piece of `look`."""
        return self.starts[start], self.ends[end - 1]


def views(text: str) -> Iterator[View]:
    """Yield the folded text with its escapes decoded, if it has any, and undecoded: a % may be just that."""
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
    """Fold single characters and escapes, each with its start and end."""
    folded = [(look, start, end) for atom, start, end in atoms for look in _read(atom).translate(_LOOKS)]
    return View("".join(look for look, _, _ in folded), [start for _, start, _ in folded], [end for *_, end in folded])


def _read(atom: str) -> str:
    """Decode an escape; return any other character as it is."""
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
    """A table for `str.translate`, filled as characters occur."""

    def __missing__(self, code: int) -> str:
        self[code] = look = _look(chr(code))
        return look


_LOOKS = _Looks()


def _look(character: str) -> str:
    """Return a similar ASCII character if there is one, nothing for an invisible one, else the character itself."""
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
    """Return all digits other than 0 to 9."""
    beyond = map(chr, range(0x80, sys.maxunicode + 1))
    return "".join(character for character in beyond if unicodedata.digit(character, None) is not None)


@cache
def _raised() -> re.Pattern[str]:
    """Match superscript and subscript digits next to a number: they belong to a footnote."""
    small = "".join(c for c in digits_beyond_ascii() if unicodedata.decomposition(c).startswith(("<super>", "<sub>")))
    return re.compile(rf"(?<=\d)[{small}]+|[{small}]+(?=\d)")
