"""The other input: a mailed .csv file becomes a walk.

    locations -> reader (form, records) -> cells -> Spool

- `locations` finds the files on this machine or behind a link
- `form` detects encoding, delimiter, header and report; `reader` reads a whole file or refuses it
- `cells` restores what a spreadsheet changed, if no digit is lost
"""

__all__ = ["cells", "form", "locations", "reader"]
