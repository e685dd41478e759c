"""`passona report`."""

from __future__ import annotations

from pathlib import Path

import click

from passona.cli import options
from passona.config.settings import campaign_uuid


@click.command(
    epilog="""\b
Examples:
  passona report report.html
  passona report --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008 one.html"""
)
@click.argument("out", metavar="OUT.html", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--campaign", metavar="UUID", help="Only this campaign.")
@options.wait
@options.output_options
def report(*, out: Path, campaign: str | None, wait: float) -> None:
    """Write one page of figures and charts.

    Takes the figures from the marts that `passona transform` builds. The page needs no network and holds
    no phone number and no message.
    """
    from passona.analytics.html_report import write_report
    from passona.config.address import warehouse_address

    chosen = campaign_uuid(campaign) if campaign else None
    found = write_report(warehouse_address(), out, chosen, wait, options.notify)
    click.echo(f"{out}: {len(found.campaigns):,} campaign{'' if len(found.campaigns) == 1 else 's'}")
