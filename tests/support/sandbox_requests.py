"""What a sandbox was asked for."""

from __future__ import annotations

from passona_sandbox import Sandbox


def requested_reports(box: Sandbox) -> list[tuple[str, str]]:
    """The reports that were asked for since last time, by campaign."""
    found = sorted({(record.campaign, record.report) for record in box.requests if record.kind == "report"})
    box.forget_requests()
    return found


def posted_reports(box: Sandbox) -> list[tuple[str | None, str | None]]:
    return [(record.campaign, record.report) for record in box.requests if record.method == "POST"]
