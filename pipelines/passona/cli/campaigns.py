"""`passona campaigns`."""

from __future__ import annotations

import click

from passona.cli import options


@click.command(
    epilog="""\b
Examples:
  passona campaigns
  passona campaigns --json"""
)
@options.wait
@options.as_json
@options.output_options
def campaigns(*, wait: float, as_json: bool) -> None:
    """List the campaigns and the state of each report.

    Asks the API for the list and the warehouse for the states: never loaded, open, settled, failed, held.
    Changes nothing.
    """
    from passona.cli.screen import overview_json, print_overview, waiting
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_settings
    from passona.monitoring.overview import overview

    settings = load_settings()
    with waiting("asking for the list of campaigns") as on_retry:
        found = overview(settings, warehouse_address(), wait, options.notify, on_retry)
    if as_json:
        click.echo(overview_json(found))
    else:
        print_overview(found)
