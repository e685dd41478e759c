"""`passona campaigns`: the API's list with the states from the warehouse. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from passona.config.address import Address, exists
from passona.config.settings import Settings
from passona.source.campaigns import Campaign, list_campaigns
from passona.source.client import Client
from passona.source.ledger import Entry, Key
from passona.source.page_pool import PagePool
from passona.warehouse.database import open_reader
from passona.warehouse.ledger_table import Ledger

NEVER_LOADED = "never loaded"


@dataclass(frozen=True)
class Overview:
    """The listed campaigns, newest first, and the ledger."""

    campaigns: tuple[Campaign, ...]
    entries: dict[Key, Entry]

    def state(self, campaign: Campaign, report: str) -> str:
        entry = self.entries.get((campaign.campaign_id, report))
        return entry.state if entry else NEVER_LOADED


def overview(
    settings: Settings,
    address: Address,
    wait: float,
    notify: Callable[[str], None],
    on_retry: Callable[[str], None] = lambda _line: None,
) -> Overview:
    """Return the campaigns that the API lists, with the state of each report.

    :raises WalkFailed, TokenRefused: the API did not return the list.
    :raises Busy: another process writes to the warehouse for longer than `wait` seconds.
    """
    client = Client(settings)
    client.on_retry = on_retry
    with PagePool(settings.concurrency) as pool, closing(client):
        try:
            campaigns = list_campaigns(client, pool, settings).campaigns
        finally:
            client.stop()
    entries: dict[Key, Entry] = {}
    if exists(address):
        with closing(open_reader(address, wait, notify)) as connection:
            entries = dict(Ledger(connection))
    newest_first = sorted(campaigns, key=lambda c: (c.created_at is not None, c.created_at), reverse=True)
    return Overview(tuple(newest_first), entries)
