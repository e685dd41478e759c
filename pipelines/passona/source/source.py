"""`passona_source`: the six reports and the list of campaigns as a dlt source.

    arguments -> settings -> Extractions (one per run) -> resources, one per report, that follow links.next

The body runs when the source is created, before any pipeline; everything else happens inside the resources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import Literal

import dlt
from dlt.common.configuration.utils import get_resolved_traces
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from passona.config.configuration import check_names
from passona.config.settings import Settings, campaign_uuid
from passona.errors import ConfigurationError
from passona.reports.definitions import CAMPAIGNS, REPORTS, Report
from passona.source._extraction import Extractions, SourceRequest
from passona.source.resources import SHARED, TABLES_OF, Item, declared, resource

__all__ = ["passona_source"]

# The class that dlt makes of the arguments of `passona_source`.
_SPEC = "PassonaSourceConfiguration"


@dlt.source(name="passona", section="passona")
def passona_source(
    campaigns: Sequence[str] = (),
    *,
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
    """The SMS campaign reports of one Passona account.

    Resources: `campaigns` and one per report (`clicks`, `delivery`, `alt_delivery`, `recipient`, `sent`, `unsent`),
    each of which follows `links.next` through every campaign that is due, and replaces its rows by campaign.
    `row_issues` and `report_ledger` accompany whatever is selected. All times are UTC. Guarantees: docs/source.md.

    `campaigns`: uuids of those to load; all that the API lists, if empty. `since`: leaves out campaigns that ended
    before this date (UTC). `refresh`: everything selected is due. `accept_shrink`: takes reports that have fewer than
    half of their rows, and a list with fewer than half of its campaigns. `on_failed`: whether a report that fails or
    has shrunk is noted in the ledger, with a warning at the end, or raises. `forgotten`: phone numbers with country
    code, or tokens, of people to leave out. The others are the keys of section `sources.passona`, see `Settings`.

    :raises ConfigurationError: a value cannot work, or dlt found one outside the section `sources.passona`. All other
        errors are raised in extraction, so that nothing of that run is loaded.
    """
    for name, texts in {"privacy_fields": privacy_fields, "privacy_former_keys": privacy_former_keys}.items():
        if isinstance(texts, str):
            raise ConfigurationError(f"{name}: expected a list of texts, got one text")
    check_names("campaigns", "since", "refresh", "accept_shrink", "on_failed", "forgotten")
    _check_origins()
    settings = Settings(
        api_token=api_token,
        base_url=base_url,
        timezone=timezone,
        team_uuid=team_uuid,
        page_size=page_size,
        concurrency=concurrency,
        requests_per_minute=requests_per_minute,
        retry_pause=retry_pause,
        request_timeout=request_timeout,
        settle_days=settle_days,
        clicks_settle_days=clicks_settle_days,
        privacy=privacy,
        privacy_key=privacy_key,
        privacy_former_keys=tuple(privacy_former_keys),
        privacy_fields=tuple(privacy_fields),
    )
    for name, value in {"refresh": refresh, "accept_shrink": accept_shrink}.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name}: expected True or False, got {value!r}")
    if on_failed not in ("ledger", "raise"):
        raise ConfigurationError(f"on_failed: expected 'ledger' or 'raise', got {on_failed!r}")
    uuids = [campaign_uuid(text, "campaigns") for text in campaigns]
    request = SourceRequest(uuids, _instant(since), refresh, accept_shrink, on_failed, forgotten)
    runs = Extractions(settings, request)

    def campaign_rows() -> Iterator[Item]:
        with runs.joined(CAMPAIGNS.name) as run:
            yield from declared((*TABLES_OF[CAMPAIGNS.name], "row_issues"), run.campaigns())

    def report_rows(report: Report) -> Iterator[Item]:
        with runs.joined(report.name) as run:
            yield from declared((*report.tables, "row_issues", "report_ledger"), run.results(report), run.mode)

    yield resource(CAMPAIGNS.name, campaign_rows)
    for report in REPORTS.values():
        yield resource(report.name, partial(report_rows, report))
    for name in SHARED:
        yield resource(name, _nothing)


def _check_origins() -> None:
    """Nothing, where dlt found each argument of this call in the section `sources.passona`: if a key is not there, it
    looks in every shorter section, and at last for the bare name, which may be another program's.

    :raises ConfigurationError: it found one elsewhere.
    """
    traces = get_resolved_traces().resolved_traces
    this_call = [trace for trace in traces if trace.config is traces[-1].config]
    for trace in this_call:
        if type(trace.config).__name__ != _SPEC or {"sources", "passona"} <= {*trace.sections}:
            continue
        traces[:] = [other for other in traces if other not in this_call]  # what the next call is given is not of it
        name = "__".join([*trace.sections, trace.key]).upper()
        raise ConfigurationError(
            f"{name} ({trace.provider_name}): it is not addressed to passona_source, but dlt takes it for {trace.key}; "
            f"set SOURCES__PASSONA__{trace.key.upper()}, pass {trace.key}=..., or unset it"
        )


def _nothing() -> Iterator[Item]:
    yield from ()


def _instant(since: date | str | None) -> datetime | None:
    """A date, a time or the ISO text of one, as an instant; UTC where it has no offset."""
    if since is None:
        return None
    try:
        found = datetime.fromisoformat(str(since))
    except ValueError as error:
        raise ConfigurationError(
            f"since: {str(since)[:40]!r} is no date (expected something like 2026-11-01)"
        ) from error
    return found if found.tzinfo else found.replace(tzinfo=UTC)
