"""`passona generate`."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.config.settings import campaign_uuid
from passona.reports.definitions import Report

if TYPE_CHECKING:
    from passona.config.settings import Settings
    from passona.source.client import Client
    from passona.source.ledger import Key
    from passona.warehouse.mail_requests import Mailing


@click.command(
    epilog="""\b
Examples:
  passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008
  passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008 --report clicks --dry-run
  passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008 --report clicks --again"""
)
@click.argument("uuids", nargs=-1, required=True, metavar="UUID ...")
@options.reports
@click.option("--dry-run", is_flag=True, help="Only list what would be asked.")
@click.option("--again", is_flag=True, help="Ask also for what was asked a short time ago.")
@click.option(
    "--again-after",
    type=click.FloatRange(0, 3650),
    default=1.0,
    show_default=True,
    metavar="DAYS",
    help="Without --again, what was asked within so many days is not asked anew.",
)
@options.wait
@options.as_json
@options.output_options
def generate(
    *,
    uuids: Sequence[str],
    reports: tuple[Report, ...],
    dry_run: bool,
    again: bool,
    again_after: float,
    wait: float,
    as_json: bool,
) -> None:
    """Ask the server for reports as .csv files by mail.

    One POST for each campaign and report; the mail with the link goes to the user of the token, and
    passona import-csv loads what is behind it. Each POST is another mail: one whose fate is unknown is not
    repeated unless you say --again. Exit codes: 0 all accepted, or asked before; 3 token refused; 4 some
    refused or unknown.
    """
    from passona.cli.screen import print_mailings

    keys = [(campaign_uuid(uuid), report.name) for uuid in uuids for report in reports]
    period = timedelta(0 if again else again_after)
    found: list[Mailing] = []
    try:
        for mailing in _planned(keys, period, wait) if dry_run else _asked(keys, period, wait):
            found.append(mailing)  # noqa: PERF402  # what was asked is told, whatever ends the asking
    finally:
        if found:
            print_mailings(found, as_json=as_json)
    sys.exit(max((mailing.exit_code for mailing in found), default=0))


def _planned(keys: Sequence[Key], period: timedelta, wait: float) -> Iterable[Mailing]:
    from passona.config.address import exists, warehouse_address
    from passona.config.configuration import load_settings
    from passona.warehouse.database import open_reader
    from passona.warehouse.mail_requests import reports_to_request, requested_before

    load_settings()
    if not exists(warehouse_address()):
        return reports_to_request(keys, {})
    with closing(open_reader(warehouse_address(), wait, options.notify)) as connection:
        return reports_to_request(keys, requested_before(connection, period))


def _asked(keys: Sequence[Key], period: timedelta, wait: float) -> Iterator[Mailing]:
    from passona.cli.screen import waiting
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_settings
    from passona.source.client import Client
    from passona.warehouse.database import open_database
    from passona.warehouse.mail_requests import ask, reports_to_request, requested_before

    settings = load_settings()
    database = open_database(warehouse_address(), wait, options.notify)
    client = Client(settings)
    try:
        with waiting("asking for reports by mail") as client.on_retry:
            database.prepare()
            _check_team(client, settings)
            mailings = reports_to_request(keys, requested_before(database.connection, period))
            yield from ask(database, client, mailings, options.notify)
    finally:
        client.close()
        database.close()


def _check_team(client: Client, settings: Settings) -> None:
    """Where a team is configured, nothing is asked in the name of another."""
    from passona.source.campaigns import list_campaigns
    from passona.source.page_pool import PagePool

    if settings.team_uuid:
        with PagePool(settings.concurrency) as pool:
            list_campaigns(client, pool, settings)
