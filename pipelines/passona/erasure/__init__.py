"""Rights of people: `forget`, its reversal, `re-key`, and `person` for access requests.

- `forget` erases people (`_erase`, `_linked_tables`), rewrites the file and its copies, and keeps people out
- `lift` reverses a mistaken forget; `rekey` replaces every token; `person` lists everything stored about one person
- `text_columns` every column that may contain a phone number
"""

__all__ = ["forget", "lift", "person", "rekey", "text_columns"]
