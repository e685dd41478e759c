"""How values from an account are shown: the vendor's words as they are, what may be somebody's as its shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sized

from passona.masking.messages import masked, printable

# Values that a line shows; the vocabularies of such APIs have fewer.
SHOWN = 12
# A status or a reason is a few words; what is longer may be a message.
LONGEST_WORD = 40
# What a text is made of shows in its first characters.
LONGEST_SHAPE = 24


def tally(counts: Mapping[str, int]) -> dict[str, int]:
    """Values fit to be shown, with how often each came, the most frequent first, and no more than a line bears."""
    shown = Counter[str]()
    for value, count in counts.items():
        shown[word(value)] += count
    return dict(sorted(shown.items(), key=lambda item: (-item[1], item[0]))[:SHOWN])


def counted(counts: Mapping[str, int]) -> str:
    """`Success 12, Failed 3`."""
    shown = tally(counts)
    return ", ".join(f"{value} {count:,}" for value, count in shown.items()) + _more(counts.keys(), shown)


def names(values: Iterable[str]) -> list[str]:
    """Values fit to be shown, in their order, and no more than a line bears."""
    return sorted(set(map(word, values)))[:SHOWN]


def named(values: Iterable[str]) -> str:
    """`Failed, Success`."""
    found = set(values)
    shown = names(found)
    return ", ".join(shown) + _more(found, shown)


def _more(found: Iterable[str], shown: Sized) -> str:
    left = len(set(map(word, found))) - len(shown)
    return f", and {left:,} more" if left else ""


def word(text: str) -> str:
    """A word of a vocabulary; what is too long for one, or holds an address or a number, by its shape."""
    if text == "":
        return "(nothing)"
    if len(text) > LONGEST_WORD or "@" in text or masked(text) != text:
        return shape(text)
    return printable(text)


def shape(text: str) -> str:
    """What a text is made of, a 9 for each digit and an a for each letter: `9999-99-99 99:99:9`."""
    made = re.sub(r"[^\W\d_]", "a", re.sub(r"\d", "9", text[:LONGEST_SHAPE]))
    return printable(made) + ("..." if len(text) > LONGEST_SHAPE else "")


def several(number: int, noun: str) -> str:
    """`1 page`, `1,200 pages`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def share(part: int, whole: int) -> str:
    """A share in percent, with as many digits as it takes not to be nothing."""
    percent = 100 * part / whole
    return f"{percent:.0f} %" if percent >= 10 or part == 0 else f"{percent:.2g} %"
