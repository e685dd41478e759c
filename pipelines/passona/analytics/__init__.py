"""What is built on the warehouse: dbt models, the HTML report, copies for readers.

- `transform` runs the dbt project
- `html_report` writes one page: `_figures` -> page_files/page.html (Jinja2)
- `publish` writes a verified copy to a `target`: the file, only marts (`_marts_file`) or table by table (`_table_copy`)
"""

__all__ = ["html_report", "publish", "target", "transform"]
