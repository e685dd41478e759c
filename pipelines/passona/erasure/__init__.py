"""People leave the warehouse: `forget`, its reversal, `re-key`, and `person` for access requests.

- `forget` erases (`_erase`, `_linked_tables`), rewrites the file and its copies, and keeps people out
- `lift` reverses a mistaken forget; `rekey` replaces every token; `person` lists everything stored about one person
- `text_columns` every column in which a number may stand
"""

__all__ = [
    "forget",
    "lift",
    "person",
    "rekey",
    "text_columns",
]
