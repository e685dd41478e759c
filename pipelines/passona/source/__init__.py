"""The dlt source: from the API's pages to dlt's resources.

    campaigns -> ledger (what is due) -> walk (paginator, pages, spool) -> resources

- `client` HTTP over the `transport`, `pace` when a request goes
- `paginator`, `page_pool`, `pages` follow links.next
- `walk` one verified report, `spool` where it waits until then
- `resources` dlt's resources, one per report, fed with verified walks
"""
