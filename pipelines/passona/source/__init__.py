"""The dlt source: from the API's pages to dlt's resources.

    source -> _runs -> _extraction -> walk (client, paginator, pages, spool) -> rows -> resources -> dlt

- `source` the function `passona_source`; `_arguments` checks what it is called with
- `_runs` which resources share a run; `_extraction` one run; `_selection` its work; `_new_columns` of unknown keys
- `_load_package` the package and dataset that dlt extracts into; `_destination`, `_dataset_lock`
- `campaigns` which campaigns exist; `ledger` what was loaded, and so what is due
- `client` HTTP over the `transport`; `pace` when a request may go
- `walk` one verified report, its total checked; `pages` accepts a page by itself, `paginator` against the first one;
  `page_pool` fetches ahead; a `spool` keeps the rows until they are verified
- `rows` what a vendor row means: typed columns, field rows, issues; pure
- `resources` dlt's resources, also of the command line: marker rows make dlt delete a campaign's old rows
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
