"""`passona doctor`: test every assumption about the API against a real account.

    Settings -> examination (about forty GETs) -> Evidence -> one judge per assumption -> Diagnosis

- `examination` which requests are sent; `_requests` a request and its response
- `_evidence` all responses, and their rows as a load would read them
- judges, one function per assumption: `_connection`, `_paging`, `_clocks` (with `_zones`), `_messages`, `_contents`
- `_findings` what a judge returns; `_words` shows values without showing a person's
- `diagnosis` the list of assumptions, the table, and the JSON document

Only `examination` and `_requests` do I/O. Nothing is written, and the warehouse is not opened.
An assumption is what the vendor's guide does not document, or what its samples show only once.
"""

__all__ = [
    "diagnosis",
    "examination",
]
