"""How the doctor shows an account's values: the vendor's words as they are, possible personal data by its shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sized

from passona.masking.messages import masked, printable

# Values per line; the vocabularies of such APIs have fewer.
SHOWN = 12
# A status or a reason is a few words; a longer text may be a message.
LONGEST_WORD = 40
LONGEST_SHAPE = 24


def tally(counts: Mapping[str, int]) -> dict[str, int]:
    """Return the most frequent values, fit to be shown, with their counts."""
    shown = Counter[str]()
    for value, count in counts.items():
        shown[word(value)] += count
    return dict(sorted(shown.items(), key=lambda item: (-item[1], item[0]))[:SHOWN])


def frequencies(counts: Mapping[str, int]) -> str:
    """Return `Success 12, Failed 3`."""
    shown = tally(counts)
    return ", ".join(f"{value} {count:,}" for value, count in shown.items()) + _more(counts, shown)


def names(values: Iterable[str]) -> list[str]:
    """Return the first values in alphabetical order, fit to be shown."""
    return sorted(set(map(word, values)))[:SHOWN]


def named(values: Iterable[str]) -> str:
    """Return `Failed, Success`."""
    distinct = set(values)
    shown = names(distinct)
    return ", ".join(shown) + _more(distinct, shown)


def _more(values: Iterable[str], shown: Sized) -> str:
    number = len(set(map(word, values))) - len(shown)
    return f", and {number:,} more" if number else ""


def word(text: str) -> str:
    """Return a word of a vocabulary as it is, and anything long or with an address or a number by its shape."""
    if text == "":
        return "(nothing)"
    if len(text) > LONGEST_WORD or "@" in text or masked(text) != text:
        return shape(text)
    return printable(text)


def shape(text: str) -> str:
    """Return the text with 9 for each digit and a for each letter: `9999-99-99 99:99:9`."""
    form = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text[:LONGEST_SHAPE]))
    return printable(form) + ("..." if len(text) > LONGEST_SHAPE else "")


def share(part: int, whole: int) -> str:
    """Return a percentage with enough digits not to show as 0."""
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or part == 0 else f"{percent:.2g} %"
