"""`passona campaigns`."""

from collections.abc import Mapping, Sequence
from contextlib import closing

from passona.cli import options
from passona.cli.screen import new_table, plain, print_result, spinner, stdout_console
from passona.config.address import exists, warehouse_address
from passona.config.configuration import load_settings
from passona.masking.messages import counted
from passona.monitoring import logs
from passona.reports.definitions import REPORTS
from passona.source.campaigns import Campaign, list_campaigns
from passona.source.client import Client
from passona.source.ledger import Entry, Key
from passona.source.page_pool import PagePool
from passona.warehouse.database import open_reader
from passona.warehouse.ledger_table import Ledger

_NEVER_LOADED = "never loaded"


@options.verb("passona campaigns", "passona campaigns --json")
@options.wait
@options.as_json
def campaigns(*, wait: float, as_json: bool) -> None:
    """List the campaigns and the state of each report.

    The list is from the API, the states are from the warehouse: never loaded, open, settled, failed, held.
    Changes nothing.
    """
    listed, entries = _listed(), _entries(wait)
    document = [
        {
            "campaign_id": campaign.campaign_id,
            "name": campaign.name,
            "expiry_date": campaign.expiry_date,
            "listed": campaign.listed,
            "reports": {name: _state(entries, campaign, name) for name in REPORTS},
        }
        for campaign in listed
    ]
    print_result(document, lambda: _print(listed, entries), as_json=as_json)


def _listed() -> list[Campaign]:
    """Return the campaigns that the API lists, newest first."""
    settings = load_settings()
    with (
        spinner("requesting the list of campaigns") as on_retry,
        PagePool(settings.concurrency) as pool,
        closing(Client(settings)) as client,
    ):
        client.on_retry = on_retry
        try:
            listed = list_campaigns(client, pool, settings).campaigns
        finally:
            client.stop()
    return sorted(listed, key=lambda c: (c.created_at is not None, c.created_at), reverse=True)


def _entries(wait: float) -> Mapping[Key, Entry]:
    address = warehouse_address()
    if not exists(address):
        return {}
    with closing(open_reader(address, wait, logs.notify)) as connection:
        return dict(Ledger(connection))


def _state(entries: Mapping[Key, Entry], campaign: Campaign, report: str) -> str:
    entry = entries.get((campaign.campaign_id, report))
    return entry.state if entry else _NEVER_LOADED


def _print(listed: Sequence[Campaign], entries: Mapping[Key, Entry]) -> None:
    table = new_table("campaign", "name", "ends", *REPORTS, numbers=False)
    for campaign in listed:
        ends = f"{campaign.expiry_date:%Y-%m-%d}" if campaign.expiry_date else ""
        states = (_state(entries, campaign, name).replace(_NEVER_LOADED, "-") for name in REPORTS)
        table.add_row(campaign.campaign_id, plain(campaign.name or ""), ends, *states)
    console = stdout_console()
    console.print(table)
    console.print(f"\n{counted(len(listed), 'campaign')}; '-' means never loaded")
