"""What is built on the warehouse: dbt models, the HTML report, copies for readers.

- `transform` runs the dbt project
- `html_report` writes one page: `_figures` -> `_html_page` (`_html_sections`, `_html_format`, page_files/)
- `publish` writes a verified copy to a `target`: whole, marts alone (`_marts_file`) or masked (`_masked_copy`)
"""

__all__ = [
    "html_report",
    "publish",
    "target",
    "transform",
]
