"""`passona_source`: the six reports and the list of campaigns as a dlt source.

    arguments -> settings -> a run -> resources, one per report, that follow links.next

The body runs when the source is created, before any pipeline; all work is done inside the resources.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial
from typing import Literal

import dlt
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from passona.config.configuration import check_names
from passona.config.settings import DEFAULT_ACCOUNT, Settings
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.source._account_source import account_source, of_account
from passona.source._arguments import check_origins, source_request, text_list
from passona.source._runs import Runs
from passona.source.resources import SHARED, TABLES_BY_RESOURCE, Item, declared, resource

__all__ = ["passona_source"]


@account_source
def passona_source(
    campaigns: Sequence[str] = (),
    *,
    account: str = DEFAULT_ACCOUNT,
    api_token: str = dlt.secrets.value,
    base_url: str = Settings.base_url,
    timezone: str = Settings.timezone,
    team_uuid: str | None = None,
    page_size: int = Settings.page_size,
    concurrency: int = Settings.concurrency,
    requests_per_minute: int | None = None,
    retry_pause: float = Settings.retry_pause,
    request_timeout: float = Settings.request_timeout,
    settle_days: int = Settings.settle_days,
    clicks_settle_days: int = Settings.clicks_settle_days,
    privacy: str = Settings.privacy,
    privacy_key: TSecretStrValue | None = None,
    privacy_former_keys: Sequence[str] = (),
    privacy_fields: Sequence[str] = (),
    since: date | str | None = None,
    refresh: bool = False,
    accept_shrink: bool = False,
    on_failed: Literal["ledger", "raise"] = "ledger",
    forgotten: Sequence[str] = (),
) -> Iterable[DltResource]:
    """Load the SMS campaign reports of one Passona account.

    Resources: `campaigns` and one per report (`clicks`, `delivery`, `alt_delivery`, `recipient`, `sent`, `unsent`),
    each of which follows `links.next` through every campaign that is due, and replaces its rows by campaign.
    `row_issues` and `report_ledger` accompany whatever is selected. All times are UTC. Guarantees: docs/source.md.

    `campaigns`: uuids to load; if empty, all that the API lists. `account`: take arguments that are not passed from
    section `sources.passona.accounts.<account>` first. `since`: leave out campaigns that ended before this
    date (UTC). `refresh`: everything selected is due. `accept_shrink`: accept reports with fewer than half of their
    rows, and a list with fewer than half of its campaigns. `on_failed`: note a report that failed or shrank in the
    ledger and warn at the end, or raise. `forgotten`: phone numbers with country code, or tokens, of people to leave
    out. The other arguments are the keys of section `sources.passona`, see `Settings`.

    :raises ConfigurationError: a value cannot work, or dlt resolved one outside the section `sources.passona`. All
        other errors are raised in extraction, so that nothing of that run is loaded.
    """
    former_keys = text_list("privacy_former_keys", privacy_former_keys)
    fields = text_list("privacy_fields", privacy_fields)
    check_names("campaigns", "account", "since", "refresh", "accept_shrink", "on_failed", "forgotten")
    resolved = check_origins()
    values = {
        "api_token": api_token, "base_url": base_url, "timezone": timezone, "team_uuid": team_uuid,
        "page_size": page_size, "concurrency": concurrency, "requests_per_minute": requests_per_minute,
        "retry_pause": retry_pause, "request_timeout": request_timeout, "settle_days": settle_days,
        "clicks_settle_days": clicks_settle_days,
    }  # fmt: skip
    settings = Settings(
        **of_account(account, values, resolved),
        account=account,
        privacy=privacy,
        privacy_key=privacy_key,
        privacy_former_keys=former_keys,
        privacy_fields=fields,
    )
    request = source_request(
        campaigns, since, refresh=refresh, accept_shrink=accept_shrink, on_failed=on_failed, forgotten=forgotten
    )
    runs = Runs(settings, request)

    def campaign_rows() -> Iterator[Item]:
        with runs.joined(CAMPAIGNS.name) as run:
            yield from declared((*TABLES_BY_RESOURCE[CAMPAIGNS.name], "row_issues"), run.campaigns())

    def report_rows(report: Report) -> Iterator[Item]:
        with runs.joined(report.name) as run:
            yield from declared((*report.tables, "row_issues", "report_ledger"), run.results(report), run.mode)

    yield resource(CAMPAIGNS.name, campaign_rows)
    for report in REPORTS.values():
        yield resource(report.name, partial(report_rows, report))
    for name in SHARED:
        yield resource(name, _nothing)


def _nothing() -> Iterator[Item]:
    yield from ()
