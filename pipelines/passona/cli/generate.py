"""`passona generate`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from passona.cli import options
from passona.config.settings import campaign_uuid
from passona.monitoring import logs
from passona.reports.definitions import Report

if TYPE_CHECKING:
    from passona.config.settings import Settings
    from passona.source.client import Client
    from passona.source.ledger import Key
    from passona.warehouse.mail_requests import Mailing


@options.verb(
    "passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008",
    "passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008 --report clicks --dry-run",
    "passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008 --report clicks --again",
)
@click.argument("uuids", nargs=-1, required=True, metavar="UUID ...")
@options.reports
@click.option("--dry-run", is_flag=True, help="Only list the reports that would be requested.")
@click.option("--again", is_flag=True, help="Also request reports that were requested recently.")
@click.option(
    "--again-after",
    type=click.FloatRange(0, 3650),
    default=1.0,
    show_default=True,
    metavar="DAYS",
    help="Without --again, skip reports that were requested within so many days.",
)
@options.wait
@options.as_json
def generate(
    *,
    uuids: Sequence[str],
    reports: tuple[Report, ...],
    dry_run: bool,
    again: bool,
    again_after: float,
    wait: float,
    as_json: bool,
) -> int:
    """Ask the server for reports as .csv files by mail.

    Sends one POST for each campaign and report. The token's user gets a mail with a link to each file, which
    passona import-csv loads. Each POST causes another mail, so one without an answer is not repeated unless you use
    --again.

    Exit codes: 0 all accepted, or requested before; 3 token refused; 4 some refused or without an answer.
    """
    from passona.cli.screen import print_mailings

    keys = [(campaign_uuid(uuid), report.name) for uuid in uuids for report in reports]
    period = timedelta(0 if again else again_after)
    mailings: list[Mailing] = []
    try:
        for mailing in _plan(keys, period, wait) if dry_run else _request(keys, period, wait):
            mailings.append(mailing)  # noqa: PERF402  # print them even if an error ends the loop
    finally:
        if mailings:
            print_mailings(mailings, as_json=as_json)
    return max((mailing.exit_code for mailing in mailings), default=0)


def _plan(keys: Sequence[Key], period: timedelta, wait: float) -> Iterable[Mailing]:
    from passona.config.address import exists, warehouse_address
    from passona.config.configuration import load_settings
    from passona.warehouse.database import open_reader
    from passona.warehouse.mail_requests import reports_to_request, requested_before

    load_settings()
    if not exists(warehouse_address()):
        return reports_to_request(keys, {})
    with closing(open_reader(warehouse_address(), wait, logs.notify)) as connection:
        return reports_to_request(keys, requested_before(connection, period))


def _request(keys: Sequence[Key], period: timedelta, wait: float) -> Iterator[Mailing]:
    from passona.cli.screen import spinner
    from passona.config.address import warehouse_address
    from passona.config.configuration import load_settings
    from passona.source.client import Client
    from passona.warehouse.database import open_database
    from passona.warehouse.mail_requests import ask, reports_to_request, requested_before

    settings = load_settings()
    with (
        closing(open_database(warehouse_address(), wait, logs.notify)) as database,
        closing(Client(settings)) as client,
        spinner("requesting reports by mail") as client.on_retry,
    ):
        database.prepare()
        _check_team(client, settings)
        mailings = reports_to_request(keys, requested_before(database.connection, period))
        yield from ask(database, client, mailings, logs.notify)


def _check_team(client: Client, settings: Settings) -> None:
    """Refuse to send requests for another team than the configured one."""
    from passona.source.campaigns import list_campaigns
    from passona.source.page_pool import PagePool

    if settings.team_uuid:
        with PagePool(settings.concurrency) as pool:
            list_campaigns(client, pool, settings)
