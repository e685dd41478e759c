"""`passona campaigns`."""

import logging
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from passona.cli import options
from passona.cli.screen import new_table, plain, print_result, spinner, stdout_console
from passona.config.address import exists, warehouse_address
from passona.config.configuration import load_accounts
from passona.config.settings import Settings
from passona.errors import Exit, PassonaError
from passona.masking.messages import counted
from passona.monitoring import logs
from passona.reports.definitions import REPORTS
from passona.source.campaigns import Campaign, list_campaigns
from passona.source.client import Client
from passona.source.ledger import Entry, Key
from passona.source.page_pool import PagePool
from passona.warehouse.database import open_reader
from passona.warehouse.ledger_table import Ledger

log = logging.getLogger("passona")

_NEVER_LOADED = "never loaded"


@dataclass(frozen=True)
class _Lists:
    """The campaigns of all accounts, newest first, and the errors of accounts whose list cannot be read."""

    campaigns: list[Campaign]
    errors: list[tuple[str, Exit]]
    several: bool


@options.verb("passona campaigns", "passona campaigns --json")
@options.accounts
@options.wait
@options.as_json
def campaigns(*, accounts: Sequence[str], wait: float, as_json: bool) -> Exit:
    """List the campaigns and the state of each report.

    The list is from the API, the states are from the warehouse: never loaded, open, settled, failed, held.
    Changes nothing.
    """
    lists, entries = _lists(load_accounts(*accounts)), _entries(wait)
    document = [
        {
            "campaign_id": campaign.campaign_id,
            **({"account": campaign.account} if lists.several else {}),
            "name": campaign.name,
            "expiry_date": campaign.expiry_date,
            "listed": campaign.listed,
            "reports": {name: _state(entries, campaign, name) for name in REPORTS},
        }
        for campaign in lists.campaigns
    ]
    print_result(document, lambda: _print(lists, entries), as_json=as_json)
    for line, code in lists.errors:
        log.error("%s", line, extra={"event": "list_failed", "exit_code": int(code)})
    return min((code for _, code in lists.errors), default=Exit.OK)


def _lists(accounts: Sequence[Settings]) -> _Lists:
    """Return what the API lists.

    :raises PassonaError: the list of the only account cannot be read.
    """
    found, errors = list[Campaign](), list[tuple[str, Exit]]()
    for settings in accounts:
        try:
            found += _listed(settings)
        except PassonaError as error:
            if len(accounts) == 1:
                raise
            errors.append((f"account {settings.account}: {error}", error.exit_code))
    newest = sorted(found, key=lambda c: (c.created_at is not None, c.created_at), reverse=True)
    return _Lists(newest, errors, several=accounts[0].label is not None)


def _listed(settings: Settings) -> Sequence[Campaign]:
    with (
        spinner("requesting the list of campaigns") as on_retry,
        PagePool(settings.concurrency) as pool,
        closing(Client(settings)) as client,
    ):
        client.on_retry = on_retry
        try:
            return list_campaigns(client, pool, settings).campaigns
        finally:
            client.stop()


def _entries(wait: float) -> Mapping[Key, Entry]:
    address = warehouse_address()
    if not exists(address):
        return {}
    with closing(open_reader(address, wait, logs.notify)) as connection:
        return dict(Ledger(connection))


def _state(entries: Mapping[Key, Entry], campaign: Campaign, report: str) -> str:
    entry = entries.get((campaign.campaign_id, report))
    return entry.state if entry else _NEVER_LOADED


def _print(lists: _Lists, entries: Mapping[Key, Entry]) -> None:
    headers = (*(["account"] if lists.several else []), "campaign", "name", "ends", *REPORTS)
    table = new_table(*headers, numbers=False)
    for campaign in lists.campaigns:
        account = [campaign.account] if lists.several else []
        ends = f"{campaign.expiry_date:%Y-%m-%d}" if campaign.expiry_date else ""
        states = (_state(entries, campaign, name).replace(_NEVER_LOADED, "-") for name in REPORTS)
        table.add_row(*account, campaign.campaign_id, plain(campaign.name or ""), ends, *states)
    console = stdout_console()
    console.print(table)
    count = len({campaign.campaign_id for campaign in lists.campaigns})  # two accounts may list the same one
    console.print(f"\n{counted(count, 'campaign')}; '-' means never loaded")
