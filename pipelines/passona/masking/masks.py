"""Replace a text by its form: alphabets, separators, digits and letters, without content. Pure."""

import re

# GSM-7 after 3GPP TS 23.038, as the dbt project's macros count it (macros/segments.sql).
_EXTENSION = re.compile(r"[\^{}\\\[~\]|€\f]")
_NOT_GSM = re.compile(r"[^\n\r\f -_a-~¡£¤¥§¿ÄÅÆÇÉÑÖØÜßàäåæèéìñòöøùüΓΔΘΛΞΠΣΦΨΩ€]")
# Longest shape. A time has some thirty characters.
_SHAPE = 40


def alphabets(text: str) -> str:
    """Return a text that takes as many SMS: as long, with as many characters of each alphabet, sorted.

    x: GSM-7. ~: counts twice in GSM-7. Square: any other. Diamond: two UTF-16 units.
    """
    foreign = _NOT_GSM.findall(text)
    wide = sum(ord(character) > 0xFFFF for character in foreign)
    double = len(_EXTENSION.findall(text))
    plain = len(text) - len(foreign) - double
    return "x" * plain + "~" * double + "\u25a1" * (len(foreign) - wide) + "\U0001f539" * wide


def list_shape(text: str) -> str:
    """Return commas, quotes and line ends, which decide how a list splits, and x for the rest."""
    return re.sub(r'[^,"\r\n]+', "x", text)


def joined_lists(names: list[str], values: list[str]) -> tuple[str | None, str | None]:
    """Join names and values into texts that split into the same ones (`field_lists.pairs`)."""
    if not any("," in part for part in (*names, *values)):
        return ",".join(names) or None, ",".join(values) or None
    left, right = _record(names), _record(values)
    if left.count(",") == right.count(","):
        # Both would split at bare commas, into other parts. Values with commas are dropped, names are kept.
        right = _record(["" if "," in value else value for value in values])
    return left, right or None


def _record(parts: list[str]) -> str:
    return ",".join('"' + part.replace('"', '""') + '"' if re.search(r'[,"\r\n]', part) else part for part in parts)


def shape(text: str) -> str:
    """Return 0 for digits, a for letters, ? for anything beyond ASCII."""
    plain = re.sub(r"[^\x00-\x7f]", "?", text[:_SHAPE])
    return re.sub(r"[A-Za-z]", "a", re.sub(r"[0-9]", "0", plain))
