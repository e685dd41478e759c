"""`make spellings`: docs/spellings.md, which shows where each spelling of one number is recognised.

    tests/support/data/spellings.toml -> the program's own functions -> docs/spellings.md

The page shows what the functions return, not what the list expects; a test compares the two, and the page.
tests/loading/test_spellings.py runs whole loads, imports and erasures with the same list.
"""

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
# Printable, but not recognisable on the page: combining marks, special dashes.
_MARKS = "\u20e3\ufe0f\u2011\u2212"
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
447700900123 (from a range that is reserved for drama) means the same person; the table shows where it is recognised:

- **`forget` takes it**: as `PHONE` of `passona forget`, in every mode.
- **Phone columns, erased**: if it is the whole value of `phone_number`, `recipient` or `mobile` (in your own tables, \
too), `passona forget` removes the row, and `passona load` and `passona import-csv` leave the person out. \
In clear mode by the number; in the other modes the tables hold the token.
- **Phone columns, the same token**: in pseudonymous and minimal mode it becomes the token of 447700900123.
- **Other texts, erased**: among other words, and in your own tables, `passona forget` removes it.
- **Other texts, a token**: among other words, where it is not known to be a phone, pseudonymous and minimal mode \
replace it with a token: in statuses, group names, link names, reasons, names of fields, user agents (minimal mode \
stores only their class) and hosts of links.
- **Seen in bytes**: the search of the rewritten file finds it. Other spellings are searched for in names and \
comments, outside the rows.

"""


@dataclass(frozen=True)
class Spelling:
    """One spelling, and where it is expected to be recognised; the fields are those of the list."""

    text: str
    how: str
    value: bool = True
    words: bool = True
    token: bool = True
    argument: bool = True
    null: bool = False
    why: str = ""


def spellings() -> list[Spelling]:
    return [Spelling(**entry) for entry in tomllib.loads(LIST.read_text("utf-8"))["spelling"]]


def known(text: str) -> dict[str, bool]:
    """Return where the program recognises a spelling, by column of the page."""
    phones, among = spellings_of(PHONE), f"call {text} now"
    return {
        "argument": _is_accepted(text),
        "value": not phones_of(text).isdisjoint(phones),
        "same": _kept({"Phone_Number": text})["Phone_Number"] == PSEUDONYMOUS.tokens.of_phone(PHONE),
        "words": names_one(among, phones) and not names_one(erased(among, phones.__contains__), phones),
        "token": "p_" in _kept({"Group_Name": among})["Group_Name"],
        "bytes": bool(found_in(among.encode(), [PHONE])),
    }


def _is_accepted(text: str) -> bool:
    try:
        return people([("", text)], CLEAR).phones == (PHONE,)
    except ConfigurationError:
        return False


def _kept(row: dict[str, str]) -> dict[str, Any]:
    """Return what pseudonymous mode stores of a row of `recipient`."""
    whole = dict.fromkeys(RECIPIENT.sorted_keys) | row
    return dict(vendor_texts(RECIPIENT, "", [whole], PSEUDONYMOUS).batch.to_pylist()[0])


def page() -> str:
    """Return the page for the current program."""
    rows = [(spelling, known(spelling.text)) for spelling in spellings()]
    recognised = [row for row in rows if row[1]["value"]]
    others = [row for row in rows if not row[1]["value"]]
    return "".join(
        (
            _INTRODUCTION,
            f"## Recognised: {len(recognised)}\n\n",
            *_table(recognised),
            f"\n## Not recognised: {len(others)}\n\n",
            "In phone columns, a number that lost digits is NULL, with the issue `invalid_phone`, in every mode.\n\n",
            *_table(others),
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
    """Return a text for the page, with escapes for invisible characters."""
    visible = "".join(c if c.isprintable() and c not in _MARKS else json.dumps(c)[1:-1] for c in text)
    return f"`{visible}`" if visible == visible.strip() else f"` {visible} `"


def main() -> int:
    PAGE.write_text(page(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
