"""What Passona sends and what it means, as values. Pure: no HTTP, no files, no clock.

- `definitions` the six reports and the campaign list, with all differences between them
- `tables` the tables of the dataset: columns, types, merge keys, comments
- `decoding` reads JSON; `times`, `field_lists` and `row_ids` turn texts into columns
"""

__all__ = ["decoding", "definitions", "field_lists", "row_ids", "tables", "times"]
