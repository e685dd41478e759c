"""The dlt source: from the API's pages to dlt's resources.

    source -> _extraction (campaigns, ledger) -> walk (paginator, pages, spool) -> rows -> resources -> dlt

- `source` the function `passona_source`, its arguments, one resource per report
- `_extraction` one run: what the destination holds (`_destination`, `_dataset_lock`), what is due, walks on demand
- `rows` what a vendor row means: typed columns, field rows, issues; pure
- `resources` dlt's resources: rows that are replaced by campaign; the command line fills the same ones
- `campaigns` who exists; `ledger` what was done, and so what is due
- `walk` one verified report: `paginator`, `page_pool`, `pages` follow links.next, in a `spool` until it is verified
- `client` HTTP over the `transport`, `pace` when a request goes
"""

__all__ = [
    "campaigns",
    "client",
    "ledger",
    "pace",
    "page_pool",
    "pages",
    "paginator",
    "resources",
    "rows",
    "source",
    "spool",
    "transport",
    "walk",
]
