"""Where known phones may stand: an expression for SQL, and a search of bytes. Pure.

Both are made of what all spellings of a phone have in common (`phones.core`), and take in a little more than names it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from passona.masking._folding import digits_beyond_ascii
from passona.masking.phones import core, spellings_of


def may_name(phones: Iterable[str]) -> str:
    """An expression for DuckDB and Postgres, found in every text that names one of these phones, and in few others."""
    return "|".join((_elsewhere(), *(_NO_DIGIT.join(map(_digit, core(phone))) for phone in phones)))


def may_name_anybody() -> str:
    """An expression for DuckDB, found in every text that names a phone, whosever it is."""
    return f"([0-9][^0-9]*){{7}}|{_elsewhere()}"


_NO_DIGIT = r"([^0-9A-Za-z]|%(25)*[0-9A-Fa-f]{2}|&#?[0-9A-Za-z]{1,31};|\\u[0-9A-Fa-f]{4}|\\[bfnrtv])*"


def _digit(digit: str) -> str:
    return f"({digit}|%(25)*3{digit})"


@cache
def _elsewhere() -> str:
    """An expression for digits that are not 0 to 9: themselves, and in escapes."""
    beyond = digits_beyond_ascii()
    # One byte tells the digits of two, two bytes those of more.
    begin = sorted({data[: min(2, len(data) - 1)] for data in map(str.encode, beyond)})
    return "|".join((f"[{beyond}]", r"&#|\\u", *map(_encoded, begin)))


def _encoded(data: bytes) -> str:
    """Bytes as an address has them, encoded once or more, in either case."""
    either = re.sub("[A-F]", lambda match: f"[{match[0]}{match[0].lower()}]", data.hex(" ").upper())
    return "".join(f"%(25)*{byte}" for byte in either.split(" "))


_BYTES_ESCAPED = rb"%(?:25)*[0-9A-Fa-f]{2}|&#?[0-9A-Za-z]{1,31};|\\(?:u[0-9A-Fa-f]{4}|[bfnrtv])"
_OTHER_BYTES = bytes(byte for byte in range(256) if byte not in b"0123456789")


def found_in(data: bytes, phones: Iterable[str]) -> set[str]:
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
