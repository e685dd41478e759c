"""`make spellings`: docs/spellings.md, in which mode and verb each spelling of one number is recognised.

    tests/support/data/spellings.toml -> the program's own functions -> docs/spellings.md

What the page says is found out by asking, not copied from what the list expects; a test compares these, and the page.
The same list is put through whole loads, imports and erasures by tests/loading/test_spellings.py.
"""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passona.errors import ConfigurationError
from passona.masking.people import people
from passona.masking.phone_search import found_in
from passona.masking.phones import erased, is_mangled, names_one, phones_of, spellings_of
from passona.masking.policy import CLEAR, Privacy
from passona.masking.tokens import Tokens
from passona.reports.definitions import RECIPIENT
from passona.source.rows import vendor_texts

ROOT = Path(__file__).parents[2]
LIST = ROOT / "tests/support/data/spellings.toml"
PAGE = ROOT / "docs/spellings.md"
PHONE = "447700900123"
PSEUDONYMOUS = Privacy("pseudonymous", Tokens((b"k" * 32,)))
_COLUMNS = {
    "argument": "`forget` takes it",
    "value": "phone columns: erased, left out of loads and imports",
    "same": "phone columns: the same token",
    "words": "other texts: erased",
    "token": "other texts: a token",
    "bytes": "seen in bytes",
}
_INTRODUCTION = """\
# Spellings of a number

Made by `make spellings` from `tests/support/data/spellings.toml` and the program itself. Every spelling of \
447700900123 (from a range that is reserved for drama) \
stands for the same person; the table shows where it is recognised:

- **`forget` takes it**: as `PHONE` of `passona forget`, in every mode.
- **Phone columns, erased**: where it is all that a value of `phone_number`, `recipient` or `mobile` holds (in your \
own tables, too), `passona forget` removes the row, and `passona load` and `passona import-csv` leave the person out. \
In clear mode by the number; in the other modes the tables hold the token.
- **Phone columns, the same token**: in pseudonymous and minimal mode it becomes the token of 447700900123.
- **Other texts, erased**: among other words, and in tables that you made, `passona forget` takes it out.
- **Other texts, a token**: among other words, where nobody knows that it is a phone, pseudonymous and minimal mode \
put a token in its place: in statuses, group names, link names, reasons, names of fields, user agents (in minimal mode \
no more than their class is kept) and hosts of links.
- **Seen in bytes**: the search of the rewritten file finds it. What is not seen there is looked for in names and \
comments, where no row is.

"""


@dataclass(frozen=True)
class Spelling:
    """One spelling, and where it is expected to be known; the fields are those of the list."""

    text: str
    how: str
    value: bool = True
    words: bool = True
    token: bool = True
    argument: bool = True
    null: bool = False
    why: str = ""


def spellings() -> list[Spelling]:
    """The list."""
    return [Spelling(**entry) for entry in tomllib.loads(LIST.read_text("utf-8"))["spelling"]]


def known(text: str) -> dict[str, bool]:
    """Where the program knows a spelling, by the columns of the page."""
    phones, among = spellings_of(PHONE), f"call {text} now"
    return {
        "argument": _is_taken(text),
        "value": not phones_of(text).isdisjoint(phones),
        "same": _kept({"Phone_Number": text})["Phone_Number"] == PSEUDONYMOUS.tokens.of_phone(PHONE),
        "words": names_one(among, phones) and not names_one(erased(among, phones.__contains__), phones),
        "token": "p_" in _kept({"Group_Name": among})["Group_Name"],
        "bytes": bool(found_in(among.encode(), [PHONE])),
    }


def _is_taken(text: str) -> bool:
    try:
        return people([("", text)], CLEAR).phones == (PHONE,)
    except ConfigurationError:
        return False


def _kept(row: dict[str, str]) -> dict[str, Any]:
    """What pseudonymous mode keeps of a row of `recipient`."""
    whole = dict.fromkeys(RECIPIENT.sorted_keys) | row
    return dict(vendor_texts(RECIPIENT, "", [whole], PSEUDONYMOUS).batch.to_pylist()[0])


def page() -> str:
    """The page as the program has it now."""
    rows = [(spelling, known(spelling.text)) for spelling in spellings()]
    found = [row for row in rows if row[1]["value"]]
    lost = [row for row in rows if not row[1]["value"]]
    return "".join(
        (
            _INTRODUCTION,
            f"## Recognised: {len(found)}\n\n",
            *_table(found),
            f"\n## Not recognised: {len(lost)}\n\n",
            "In columns of phones, what lost its digits is NULL, with the issue `invalid_phone`, in every mode.\n\n",
            *_table(lost),
        )
    )


def _table(rows: list[tuple[Spelling, dict[str, bool]]]) -> Iterator[str]:
    names = [name for name in _COLUMNS if name != "same" or any(places["value"] for _, places in rows)]
    yield "| " + " | ".join(("spelling", "written by", *(_COLUMNS[name] for name in names), "why")) + " |\n"
    yield "|---" * (len(names) + 3) + "|\n"
    for spelling, places in rows:
        marks = ["yes" if places[name] else "**no**" for name in names]
        null = "NULL; " if is_mangled(spelling.text) else ""
        yield f"| {shown(spelling.text)} | {spelling.how} | {' | '.join(marks)} | {null}{spelling.why} |\n"


def shown(text: str) -> str:
    """A text for the page, with escapes for what is not seen."""
    seen = "".join(c if c.isprintable() and not _is_mark(c) else json.dumps(c)[1:-1] for c in text)
    return f"`{seen}`" if seen == seen.strip() else f"` {seen} `"


def _is_mark(character: str) -> bool:
    return character in "\u20e3\ufe0f\u2011\u2212"


def main() -> int:
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
