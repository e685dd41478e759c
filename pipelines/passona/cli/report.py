"""`passona report`."""

from pathlib import Path

import click

from passona.analytics.html_report import write_report
from passona.cli import options
from passona.config.address import warehouse_address
from passona.config.settings import campaign_uuid
from passona.masking.messages import counted
from passona.monitoring import logs


@options.verb("passona report report.html", "passona report --campaign dc8a7564-fb1e-11e9-abb5-0242ac120008 one.html")
@click.argument("out", metavar="OUT.html", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--campaign", metavar="UUID", help="Only this campaign.")
@click.option("--account", metavar="NAME", help="Only this account.")
@options.wait
def report(*, out: Path, campaign: str | None, account: str | None, wait: float) -> None:
    """Write one HTML page of figures and charts.

    The figures are from the marts that `passona transform` builds. The page needs no network and has no phone
    number and no message. If there are several accounts, it has a section for each.
    """
    uuid = campaign_uuid(campaign) if campaign else None
    figures = write_report(warehouse_address(), out, uuid, wait, logs.notify, account=account)
    click.echo(f"{out}: {counted(len(figures.campaigns), 'campaign')}")
