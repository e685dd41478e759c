"""`passona doctor`: test every assumption about the API against a real account.

    Settings -> examination (about forty GETs) -> Evidence -> one check per assumption -> Diagnosis

- `examination` which requests are sent; `_requests` a request and its response
- `_evidence` all responses, and what a check returns; checks, one function each: `_connection`, `_paging`, `_zones`
- `diagnosis` the list of assumptions, the table, and the JSON document

Only `examination` and `_requests` do I/O. Nothing is written, and the warehouse is not opened.
An assumption is what the vendor's guide does not document, or what its samples show only once. What a load itself
notices in every row (keys, types, times, lists) is not examined here.
"""

__all__ = ["diagnosis", "examination"]
