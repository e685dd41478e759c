"""What Passona sends and what it means, as values: no HTTP, no files, no clock.

- `definitions` the six reports and the list of campaigns; all that differs between them
- `tables` the tables of the dataset: columns, types, merge keys, comments
- `decoding` JSON as values; `times`, `field_lists`, `row_ids` what a value becomes
"""

__all__ = [
    "decoding",
    "definitions",
    "field_lists",
    "row_ids",
    "tables",
    "times",
]
