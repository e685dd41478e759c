"""`passona campaigns`."""

from __future__ import annotations

from passona.cli import options
from passona.monitoring import logs


@options.verb("passona campaigns", "passona campaigns --json")
@options.wait
@options.as_json
def campaigns(*, wait: float, as_json: bool) -> None:
    """List the campaigns and the state of each report.

    The list is from the API, the states are from the warehouse: never loaded, open, settled, failed, held.
    Changes nothing.
    """
    from passona.cli.screen import overview_document, print_overview, print_result, spinner
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_settings
    from passona.monitoring.overview import overview

    settings = load_settings()
    with spinner("requesting the list of campaigns") as on_retry:
        listed = overview(settings, warehouse_address(), wait, logs.notify, on_retry)
    print_result(overview_document(listed), lambda: print_overview(listed), as_json=as_json)
