"""Checks of the arguments of `passona_source`, before any request."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Literal

from dlt.common.configuration.utils import get_resolved_traces

from passona.config.settings import campaign_uuid
from passona.errors import ConfigurationError
from passona.source._selection import SourceRequest

# The class that dlt makes of the arguments of `passona_source`.
_SPEC = "PassonaSourceConfiguration"


def check_origins() -> set[str]:
    """Check that dlt resolved every argument of this call from the section `sources.passona`; return their names.

    dlt also looks in every shorter section and finally for the bare name, which may belong to another program.

    :raises ConfigurationError: an argument came from elsewhere.
    """
    traces = get_resolved_traces().resolved_traces
    this_call = [trace for trace in traces if trace.config is traces[-1].config]
    for trace in this_call:
        if type(trace.config).__name__ != _SPEC or {"sources", "passona"} <= {*trace.sections}:
            continue
        traces[:] = [other for other in traces if other not in this_call]  # the next call starts afresh
        name = "__".join([*trace.sections, trace.key]).upper()
        raise ConfigurationError(
            f"{name} ({trace.provider_name}): it is not addressed to passona_source, but dlt takes it for {trace.key}; "
            f"set SOURCES__PASSONA__{trace.key.upper()}, pass {trace.key}=..., or unset it"
        )
    return {trace.key for trace in this_call}


def text_list(name: str, texts: Sequence[str]) -> tuple[str, ...]:
    if isinstance(texts, str):
        raise ConfigurationError(f"{name}: expected a list of texts, got one text")
    return tuple(texts)


def source_request(
    campaigns: Sequence[str],
    since: date | str | None,
    *,
    refresh: bool,
    accept_shrink: bool,
    on_failed: Literal["ledger", "raise"],
    forgotten: Sequence[str],
) -> SourceRequest:
    """Return the checked arguments.

    :raises ConfigurationError: one cannot be used.
    """
    for name, value in {"refresh": refresh, "accept_shrink": accept_shrink}.items():
        if not isinstance(value, bool):
            raise ConfigurationError(f"{name}: expected True or False, got {value!r}")
    if on_failed not in ("ledger", "raise"):
        raise ConfigurationError(f"on_failed: expected 'ledger' or 'raise', got {on_failed!r}")
    uuids = [campaign_uuid(text, "campaigns") for text in campaigns]
    return SourceRequest(uuids, _instant(since), refresh, accept_shrink, on_failed, forgotten)


def _instant(since: date | str | None) -> datetime | None:
    """Return a date, a time or the ISO text of one as an instant; UTC if it has no offset."""
    if since is None:
        return None
    try:
        instant = datetime.fromisoformat(str(since))
    except ValueError as error:
        raise ConfigurationError(
            f"since: {str(since)[:40]!r} is no date (expected something like 2026-11-01)"
        ) from error
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
