"""`passona campaigns`."""

from __future__ import annotations

from typing import Any

from passona.cli import options
from passona.cli.screen import new_table, plain, print_result, spinner, wide
from passona.config.address import warehouse_address
from passona.config.configuration import load_settings
from passona.masking.messages import counted
from passona.monitoring import logs
from passona.monitoring.overview import NEVER_LOADED, Overview, overview
from passona.reports.definitions import REPORTS


@options.verb("passona campaigns", "passona campaigns --json")
@options.wait
@options.as_json
def campaigns(*, wait: float, as_json: bool) -> None:
    """List the campaigns and the state of each report.

    The list is from the API, the states are from the warehouse: never loaded, open, settled, failed, held.
    Changes nothing.
    """
    settings = load_settings()
    with spinner("requesting the list of campaigns") as on_retry:
        listed = overview(settings, warehouse_address(), wait, logs.notify, on_retry)
    print_result(_document(listed), lambda: _print(listed), as_json=as_json)


def _print(overview: Overview) -> None:
    table = new_table("campaign", "name", "ends", *REPORTS, numbers=False)
    for campaign in overview.campaigns:
        ends = f"{campaign.expiry_date:%Y-%m-%d}" if campaign.expiry_date else ""
        states = (overview.state(campaign, name).replace(NEVER_LOADED, "-") for name in REPORTS)
        table.add_row(campaign.campaign_id, plain(campaign.name or ""), ends, *states)
    console = wide()
    console.print(table)
    console.print(f"\n{counted(len(overview.campaigns), 'campaign')}; - is never loaded")


def _document(overview: Overview) -> list[dict[str, Any]]:
    return [
        {
            "campaign_id": campaign.campaign_id,
            "name": campaign.name,
            "expiry_date": campaign.expiry_date,
            "listed": campaign.listed,
            "reports": {name: overview.state(campaign, name) for name in REPORTS},
        }
        for campaign in overview.campaigns
    ]
