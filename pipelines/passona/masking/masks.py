"""What a text looks like, without what it says: its alphabets, where it can be split, digits and letters. Pure."""

from __future__ import annotations

import re

# GSM-7 after 3GPP TS 23.038, as the dbt project's macros count it (macros/segments.sql).
_EXTENSION = re.compile(r"[\^{}\\\[~\]|€\f]")
_NOT_GSM = re.compile(r"[^\n\r\f -_a-~¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€]")
# Longest shape of a text that could not be read: a time has some thirty characters.
_SHAPE = 40


def alphabets(text: str) -> str:
    """A text of the same length and the same characters by alphabet: it takes as many SMS as the other.

    x for one of GSM-7, ~ for one that counts twice there, a square for any other, a diamond for one of two
    UTF-16 units; sorted, so that nothing is told of words.
    """
    foreign = _NOT_GSM.findall(text)
    wide = sum(ord(character) > 0xFFFF for character in foreign)
    double = len(_EXTENSION.findall(text))
    plain = len(text) - len(foreign) - double
    return "x" * plain + "~" * double + "\u25a1" * (len(foreign) - wide) + "\U0001f539" * wide


def list_shape(text: str) -> str:
    """What of a text decides where a list can be split: commas, quotes and ends of lines; x for the rest."""
    return re.sub(r'[^,"\r\n]+', "x", text)


def joined_lists(names: list[str], values: list[str]) -> tuple[str | None, str | None]:
    """Texts that are split into just these names and values (`lists.pairs`)."""
    if not any("," in part for part in (*names, *values)):
        return ",".join(names) or None, ",".join(values) or None
    left, right = _record(names), _record(values)
    if left.count(",") == right.count(","):
        # At bare commas they would agree, too, and on other parts: names first, values with commas go.
        right = _record(["" if "," in value else value for value in values])
    return left, right or None


def _record(parts: list[str]) -> str:
    """One CSV record."""
    return ",".join('"' + part.replace('"', '""') + '"' if re.search(r'[,"\r\n]', part) else part for part in parts)


def shape(text: str) -> str:
    """0 for digits, a for letters, ? for what is not ASCII."""
    plain = re.sub(r"[^\x00-\x7f]", "?", text[:_SHAPE])
    return re.sub(r"[A-Za-z]", "a", re.sub(r"[0-9]", "0", plain))
