"""Search for known phones in SQL and in bytes. Pure.

Both searches use the digits that all spellings of a phone share (`phones.core`), so they may match a little too much.
"""

import re
from collections.abc import Iterable
from functools import cache

from passona.masking._folding import digits_beyond_ascii
from passona.masking.phones import core, spellings_of


def may_name(phones: Iterable[str]) -> str:
    """Return a pattern for DuckDB and Postgres that matches every text with one of these phones, and few others."""
    return "|".join((_unusual_digits(), *(_NO_DIGIT.join(map(_digit, core(phone))) for phone in phones)))


def may_name_anybody() -> str:
    """Return a pattern for DuckDB that matches every text with any phone."""
    return f"([0-9][^0-9]*){{7}}|{_unusual_digits()}"


_NO_DIGIT = r"([^0-9A-Za-z]|%(25)*[0-9A-Fa-f]{2}|&#?[0-9A-Za-z]{1,31};|\\u[0-9A-Fa-f]{4}|\\[bfnrtv])*"


def _digit(digit: str) -> str:
    return f"({digit}|%(25)*3{digit})"


@cache
def _unusual_digits() -> str:
    """Return a pattern for digits that are not 0 to 9, and for their escapes."""
    beyond = digits_beyond_ascii()
    # The first byte identifies a digit of two bytes, the first two a longer one.
    begin = sorted({data[: min(2, len(data) - 1)] for data in map(str.encode, beyond)})
    return "|".join((f"[{beyond}]", r"&#|\\u", *map(_encoded, begin)))


def _encoded(data: bytes) -> str:
    """Return a pattern for percent-encoded bytes, encoded once or more, in either case."""
    either = re.sub("[A-F]", lambda match: f"[{match[0]}{match[0].lower()}]", data.hex(" ").upper())
    return "".join(f"%(25)*{byte}" for byte in either.split(" "))


_BYTES_ESCAPED = rb"%(?:25)*[0-9A-Fa-f]{2}|&#?[0-9A-Za-z]{1,31};|\\(?:u[0-9A-Fa-f]{4}|[bfnrtv])"
_OTHER_BYTES = bytes(byte for byte in range(256) if byte not in b"0123456789")


def found_in(data: bytes, phones: Iterable[str]) -> set[str]:
    """Return the phones whose digits are in these bytes, separators between them allowed.

    Texts in a database file adjoin, so a phone may begin and end anywhere.
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
