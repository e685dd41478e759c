"""The dlt source: from the API's pages to dlt's resources.

    source -> extraction (campaigns, ledger) -> walk (paginator, pages, spool) -> resources -> dlt

- `source` the function `passona_source`, its arguments, one resource per report
- `extraction` one run: what the destination holds (`destination`, `dataset_lock`), what is due, walks on demand
- `resources` dlt's resources: rows that are replaced by campaign; the command line fills the same ones
- `campaigns` who exists; `ledger` what was done, and so what is due
- `walk` one verified report: `paginator`, `page_pool`, `pages` follow links.next, in a `spool` until it is verified
- `client` HTTP over the `transport`, `pace` when a request goes
"""
