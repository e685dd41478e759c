"""The other input: a report that was mailed as a .csv becomes a walk.

    locations -> reader (text, form, lines) -> cells -> Spool

- `locations` finds the files on this machine, behind a link or in an object store
- `form` encoding, delimiter, header and report; `reader` reads a whole file or refuses it
- `cells` undoes what a spreadsheet did, where no digit is lost
"""

__all__ = [
    "cells",
    "form",
    "locations",
    "reader",
]
