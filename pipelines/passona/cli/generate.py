"""`passona generate`."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import timedelta

import click

from passona.cli import options
from passona.cli.screen import json_text, new_table, spinner, stdout_console
from passona.config.address import warehouse_address
from passona.config.configuration import load_accounts
from passona.config.settings import Settings, campaign_uuid
from passona.errors import TokenRefused
from passona.monitoring import logs
from passona.reports.definitions import Report
from passona.source.campaigns import list_campaigns
from passona.source.client import Client
from passona.source.ledger import Key
from passona.source.page_pool import PagePool
from passona.warehouse.accounts import accounts_of
from passona.warehouse.database import Database, open_database
from passona.warehouse.mail_requests import Mailing, ask, reports_to_request, requested_before

# The API does not list its mails: a second job on the same day is taken for a mistake.
RECENT = timedelta(days=1)


@options.verb(
    "passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008",
    "passona generate dc8a7564-fb1e-11e9-abb5-0242ac120008 --report clicks --again",
)
@click.argument("uuids", nargs=-1, required=True, metavar="UUID ...")
@options.reports
@click.option("--again", is_flag=True, help="Also request reports that were requested within the last day.")
@options.account
@options.wait
@options.as_json
def generate(
    *,
    uuids: Sequence[str],
    reports: tuple[Report, ...],
    again: bool,
    account: str | None,
    wait: float,
    as_json: bool,
) -> int:
    """Ask the server for reports as .csv files by mail.

    Sends one POST for each campaign and report. The token's user gets a mail with a link to each file, which
    passona import-csv loads. Each POST causes another mail, so one without an answer is not repeated unless you use
    --again.

    Exit codes: 0 all accepted, or requested before; 3 token refused; 4 some refused or without an answer.
    """
    keys = [(campaign_uuid(uuid), report.name) for uuid in uuids for report in reports]
    mailings: list[Mailing] = []
    try:
        for mailing in _request(keys, account, timedelta(0) if again else RECENT, wait):
            mailings.append(mailing)  # noqa: PERF402  # print them even if an error ends the loop
    finally:
        if mailings:
            _print(mailings, as_json=as_json)
    return max((mailing.exit_code for mailing in mailings), default=0)


def _request(keys: Sequence[Key], account: str | None, period: timedelta, wait: float) -> Iterator[Mailing]:
    """Send the requests of each account in turn. A refused token ends only its own."""
    accounts = {settings.account: settings for settings in load_accounts(*filter(None, [account]))}
    configured = next(iter(accounts.values())).all_accounts
    refusals: list[TokenRefused] = []
    with closing(open_database(warehouse_address(), wait, logs.notify)) as database:
        database.prepare()
        owners = accounts_of(database.connection, [uuid for uuid, _ in keys], configured, account)
        before = requested_before(database.connection, period)
        for name in dict.fromkeys(owners.values()):
            mailings = reports_to_request([key for key in keys if owners[key[0]] == name], before)
            try:
                yield from _request_of(accounts[name], database, mailings)
            except TokenRefused as error:
                refusals.append(error)
    if refusals:
        refusals_of_accounts = "; ".join(str(refusal) for refusal in refusals)
        raise TokenRefused(refusals_of_accounts)


def _request_of(settings: Settings, database: Database, mailings: Sequence[Mailing]) -> Iterator[Mailing]:
    with closing(Client(settings)) as client, spinner("requesting reports by mail") as client.on_retry:
        _check_team(client, settings)
        yield from ask(database, client, mailings, logs.notify)


def _check_team(client: Client, settings: Settings) -> None:
    """Refuse to send requests for another team than the configured one."""
    if settings.team_uuid:
        with PagePool(settings.concurrency) as pool:
            list_campaigns(client, pool, settings)


def _print(mailings: Sequence[Mailing], *, as_json: bool) -> None:
    """Print the status of each report that was requested by mail."""
    if as_json:
        names = ("campaign_id", "report", "status", "asked_at", "error")
        click.echo(json_text([{name: getattr(mailing, name) for name in names} for mailing in mailings]))
        return
    table = new_table("campaign", "report", "status", "asked at", numbers=False)
    for mailing in mailings:
        asked_at = f"{mailing.asked_at:%Y-%m-%d %H:%M:%S} UTC" if mailing.asked_at else ""
        table.add_row(mailing.campaign_id, mailing.report, mailing.status, asked_at)
    stdout_console().print(table)
